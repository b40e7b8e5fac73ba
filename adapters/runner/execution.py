"""From a claimed task to what is reported of it: decode the input, run the user's code, and survive whatever it does."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Awaitable
from contextvars import copy_context
from typing import Any

from jobledger.core.commands import ReleaseTask, Report, ReportComputed, ReportFailed, StageSubtasks
from jobledger.core.events import Error, Progress
from jobledger.core.task import decode_input

from ..protocol import encode
from .assignment import Assignment
from .context import Equipment, RunningContext
from .failure import describe, short

log = logging.getLogger(__name__)


class SubmissionTooLarge(ValueError):
    """What this execution submitted cannot be put into messages the server takes."""


class Coroutines:
    """Runs the asynchronous tasks of one worker thread, on one event loop, one after another."""

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None

    def run(self, work: Awaitable[Any]) -> None:
        """Run `work` to its end, and what it left running to its cancellation. Errors: whatever `work` raises."""
        if self._runner is None:
            # With a factory, the loop does not become the thread's: asyncio.run in another task works as ever.
            self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        try:
            error = self._runner.run(_alone(work), context=copy_context())
        except (
            BaseException
        ):  # from a task beside it: it tore through the loop, which may be left in any state
            self.close()
            raise
        if error is not None:
            raise error

    def close(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.close()


def execute(assignment: Assignment, equipment: Equipment, coroutines: Coroutines) -> None:
    """Run this attempt and note in it what is to be reported. Raises nothing."""
    spec = assignment.spec
    cls = equipment.tasks.lookup(spec.name, spec.major, spec.minor)
    assignment.started = _now()
    if cls is None:
        assignment.stopped = assignment.started
        release(assignment, f"no class for {spec.identifier} is registered with this runner")
        return
    context = RunningContext(assignment, cls, equipment)
    try:
        task = decode_input(cls, assignment.input, spec.identifier)
        # A context of its own: what a task sets in context variables does not reach the next one.
        result = copy_context().run(task.execute, context)
        if result is not None and inspect.isawaitable(result):
            coroutines.run(result)
        assignment.stopped = _now()
        assignment.reports = _computed(assignment, context, equipment.max_report)
    except BaseException as error:  # noqa: BLE001  SystemExit too: it ends the task, not the worker
        assignment.stopped = assignment.stopped or _now()
        context.close()
        fail(assignment, describe(error), context.display, context.counted)
        _tell(context, cls.__name__, error)


def fail(
    assignment: Assignment,
    error: Error,
    display: str | None = None,
    progress: list[Progress] | None = None,
) -> None:
    """Have the attempt reported as failed."""
    a = assignment
    report = ReportFailed(a.job_id, a.task, a.attempt, a.started, a.stopped, error, display, progress)
    a.reports, a.submits, a.failed = [encode(report)], False, True


def release(assignment: Assignment, reason: str) -> None:
    """Have the attempt given back."""
    a = assignment
    a.reports, a.submits = [encode(ReleaseTask(a.job_id, a.task, a.attempt, reason))], False


def _computed(assignment: Assignment, context: RunningContext, limit: int) -> list[bytes]:
    """Return the reports that say the attempt ran to its end, the one that ends it last."""
    a = assignment
    subtasks = context.close()
    staged, last = [], None
    if subtasks is not None and len(subtasks):
        a.submits = True
        *staged, last = subtasks.chunks()
    reports: list[Report] = [StageSubtasks(a.job_id, a.task, a.attempt, chunk) for chunk in staged]
    reports.append(
        ReportComputed(
            a.job_id, a.task, a.attempt, a.started, a.stopped, last, context.display, context.counted
        )
    )
    encoded = [encode(report) for report in reports]
    largest = max(map(len, encoded))
    # An input of up to the limit was let in; that and what surrounds it still is a message.
    if subtasks is not None and largest > limit + _SURROUNDINGS:
        raise SubmissionTooLarge(
            f"a part of the {len(subtasks):,} subtasks that cannot be divided takes {largest:,} bytes; the limit is "
            f"{limit + _SURROUNDINGS:,}. None was submitted. Large inputs and scattered dependencies take the room: "
            "depend on neighbours (tasks submitted one after another cost nothing extra) or on one task that joins "
            "the others, and hand large data over in context.job_cache"
        )
    return encoded


#: bytes around a single large input: ids, kind and dependencies of the task
_SURROUNDINGS = 16 * 1024


async def _alone(work: Awaitable[Any]) -> BaseException | None:
    """Await `work` and end what it left running. What it raised is returned: asyncio would look into it."""
    error: BaseException | None = None
    try:
        await work
    except BaseException as raised:  # noqa: BLE001  raised again outside of the loop
        error = raised
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
    return error


def _tell(context: RunningContext, name: str, error: BaseException) -> None:
    try:
        context.logger.error(f"Task {name} failed with exception: {short(error)}")
    except BaseException as problem:  # noqa: BLE001  from the user's own configuration of structlog
        log.warning("a failed task could not be logged: %r", problem)


def _now() -> int:
    return time.time_ns() // 1000
