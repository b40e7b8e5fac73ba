"""From a claimed task to what is reported of it: decode the input, run the user's code, and survive whatever it does."""

from __future__ import annotations

import asyncio
import logging
import time
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from jobledger.core.commands import (
    ReleaseTask,
    ReportCanceled,
    ReportComputed,
    ReportFailed,
    ReportReused,
    StageSubtasks,
)
from jobledger.core.context import TaskCanceled
from jobledger.core.events import Error
from jobledger.core.submission import Submission
from jobledger.core.task import InputError, Task, decode_input
from jobledger.projections.sealed import OBJECT, of_input

from ...protocol import encode
from ...successes import Success
from ..assignment import Assignment, Cause
from ..failure import describe, is_final, kinds_of, short
from .context import Equipment, RunningContext
from .results import kept
from .reuse import earlier_success, reuse_key
from .user_code import LeftBehind, UserCode

if TYPE_CHECKING:
    from ..running.coroutines import LoopTask

log = logging.getLogger(__name__)


class SubmissionTooLarge(ValueError):
    """What this execution submitted cannot be put into messages the server takes."""


async def execute_on_loop_as_span(assignment: Assignment, member: LoopTask, equipment: Equipment) -> None:
    """Do as `execute_on_loop`, and have the attempt be a span. Raises nothing."""
    if not equipment.telemetry.exports.spans:
        await execute_on_loop(assignment, member, equipment)
        return
    from ..telemetry.attempt_span import attempt_as_span  # as below

    with attempt_as_span(assignment, equipment.telemetry):
        await execute_on_loop(assignment, member, equipment)


def execute_as_span(assignment: Assignment, user_code: UserCode, equipment: Equipment) -> None:
    """Do as `execute`, and have the attempt be a span for OpenTelemetry where that is set up. Raises nothing."""
    if not equipment.telemetry.exports.spans:
        execute(assignment, equipment, user_code)
        return
    from ..telemetry.attempt_span import attempt_as_span  # only here is OpenTelemetry needed

    with attempt_as_span(assignment, equipment.telemetry):
        execute(assignment, equipment, user_code)


def execute(assignment: Assignment, equipment: Equipment, user_code: UserCode) -> None:
    """Run this attempt and note in it what is to be reported. Raises nothing."""
    spec = assignment.spec
    cls = equipment.tasks.lookup(spec.name, spec.major, spec.minor)
    assignment.started = time.time_ns() // 1000
    if cls is None:
        assignment.stopped = assignment.started
        release(assignment, f"no class for {spec.identifier} is registered with this runner")
        return
    context = assignment.context = RunningContext(assignment, cls, equipment)
    try:
        key = None
        if assignment.sealed or (spec.policy is not None and spec.policy.reuse):
            key = _prepare(assignment, cls, equipment)
            if assignment.reports:
                return
        returned = user_code.run(assignment, _begin_here, cls, assignment, context, equipment)
        assignment.reports = _finished(assignment, cls, context, equipment, returned, key, user_code.stopped)
    except LeftBehind:
        return
    except BaseException as error:  # noqa: BLE001  SystemExit too: it ends the task, not the worker
        _broken_off(assignment, context, cls.__name__, error, stopped=user_code.stopped)
    assignment.context = None


async def execute_on_loop(assignment: Assignment, member: LoopTask, equipment: Equipment) -> None:
    """Do as `execute` for a coroutine, on the event loop it shares with others. What may block is done beside it."""
    spec = assignment.spec
    cls = equipment.tasks.lookup(spec.name, spec.major, spec.minor)
    assert cls is not None  # otherwise it were no coroutine
    assignment.started = time.time_ns() // 1000
    context = assignment.context = RunningContext(assignment, cls, equipment)
    try:
        key, data = None, assignment.input
        if assignment.sealed or (spec.policy is not None and spec.policy.reuse):
            key = await asyncio.to_thread(_prepare, assignment, cls, equipment)
            if assignment.reports:
                return
        if assignment.indirect:
            data = await asyncio.to_thread(_input, assignment, equipment)
        returned = await member.run(_begin(cls, data, assignment, context))
        finish = partial(_finished, assignment, cls, context, equipment, returned, key, member.stopped)
        assignment.reports = finish() if returned is None else await asyncio.to_thread(finish)
    except LeftBehind:
        return
    except BaseException as error:  # noqa: BLE001  SystemExit too: it ends the task, not the loop
        if member.left_behind:
            return
        _broken_off(assignment, context, cls.__name__, error, stopped=member.stopped)
    assignment.context = None


def _prepare(assignment: Assignment, cls: type[Task], equipment: Equipment) -> bytes | None:
    """Have what a sealed job and a reusable result need. Return the key of the latter; may report an earlier success."""
    if assignment.sealed:
        assignment.seal = equipment.seal(assignment.job_id, assignment.sealed)
    key = reuse_key(assignment, cls) if assignment.spec.asked.reuse else None
    if key is not None and (success := earlier_success(assignment, equipment.values, key)) is not None:
        _reuse(assignment, success)
    return key


def _begin_here(
    cls: type[Task], assignment: Assignment, context: RunningContext, equipment: Equipment
) -> Any:
    """Get the input, and do as `_begin`."""
    data = _input(assignment, equipment) if assignment.indirect else assignment.input
    return _begin(cls, data, assignment, context)


def _begin(cls: type[Task], data: bytes, assignment: Assignment, context: RunningContext) -> Any:
    """Make the task and return what its `execute` returns."""
    try:
        task = decode_input(cls, data)
    except InputError:
        # Again, for an error that says what was submitted: making that costs as much as decoding a small input.
        task = decode_input(cls, data, assignment.spec.identifier)
    # A context of its own: what a task sets in context variables does not reach the next one.
    return copy_context().run(task.execute, context)


def _input(assignment: Assignment, equipment: Equipment) -> bytes:
    """Return an input that lies elsewhere, or is sealed."""
    seal = assignment.seal
    data = seal.opened(assignment.input, of_input(*assignment.place))
    return seal.opened(equipment.values.load(data.decode()), OBJECT) if assignment.by_reference else data


def give_up(assignment: Assignment, stack: str, became: str) -> None:
    """Report an attempt that was stopped and did not end, in place of who runs it: where it was, and what became of it."""
    assignment.stopped = _now()
    if assignment.context is not None:
        assignment.context.close()
    if not _overran(assignment):
        _cancel(assignment)
        return
    message = f"{_time_limit(assignment)} It was stopped, {became}"
    fail(assignment, Error("TimeoutError", message, stack), TimeoutError())


def fail(assignment: Assignment, error: Error, raised: BaseException | None = None) -> None:
    """Have the attempt reported as failed: by `raised`, or by something that is no exception of the task's."""
    a = assignment
    kinds = {error.reason} if raised is None else kinds_of(raised)
    display, progress = (a.context.display, a.context.counted) if a.context else (None, None)
    final = is_final(a.spec.asked, kinds)
    told = a.seal.error(error, a.task, a.attempt)
    report = ReportFailed(a.job_id, a.task, a.attempt, a.started, a.stopped, told, display, progress, final)
    a.reports, a.submits, a.failed = [encode(report)], False, True


def release(assignment: Assignment, reason: str) -> None:
    """Have the attempt given back."""
    a = assignment
    a.reports, a.submits = [encode(ReleaseTask(a.job_id, a.task, a.attempt, reason))], False


def _reuse(assignment: Assignment, success: Success) -> None:
    """Have it reported that an earlier success stands for this attempt."""
    a = assignment
    a.stopped, a.context = _now(), None
    report = ReportReused(
        a.job_id, a.task, a.attempt, a.started, a.stopped, success.job_id, success.task, success.value
    )
    a.reports = [encode(report)]


def _finished(
    assignment: Assignment,
    cls: type[Task],
    context: RunningContext,
    equipment: Equipment,
    returned: Any,
    key: bytes | None,
    stopped: bool,
) -> list[bytes]:
    """Return the reports that say the attempt ran to its end, the one that ends it last."""
    a = assignment
    a.stopped = time.time_ns() // 1000
    if stopped and _overran(a):
        raise TaskCanceled  # it went on regardless: a limit that can be ignored is none
    result = None if returned is None else kept(cls, returned, a, equipment.values, context)
    subtasks = context.close()
    staged: list[Submission] = []  # `list[Submission]()` is as slow as all the rest of this
    last = None
    if subtasks is not None and len(subtasks):
        a.submits = True
        *staged, last = subtasks.chunks()
    display, progress = context.shown
    report = encode(
        ReportComputed(
            a.job_id, a.task, a.attempt, a.started, a.stopped, last, display, progress, result, key
        )
    )
    if subtasks is None:
        return [report]
    encoded = [encode(StageSubtasks(a.job_id, a.task, a.attempt, chunk)) for chunk in staged]
    encoded.append(report)
    largest, limit = max(map(len, encoded)), equipment.max_report
    # An input of up to the limit was let in; that and what surrounds it still is a message.
    if largest > limit + _SURROUNDINGS:
        raise SubmissionTooLarge(
            f"a part of the {len(subtasks):,} subtasks that cannot be divided takes {largest:,} bytes; the limit is "
            f"{limit + _SURROUNDINGS:,}. None was submitted. Large inputs and scattered dependencies take the room: "
            "depend on neighbours (tasks submitted one after another cost nothing extra) or on one task that joins "
            "the others, and hand large data over in context.job_cache"
        )
    return encoded


#: bytes around a single large input: ids, kind and dependencies of the task
_SURROUNDINGS = 16 * 1024


def _broken_off(
    assignment: Assignment, context: RunningContext, name: str, error: BaseException, *, stopped: bool
) -> None:
    """The task did not run to its end: it failed, or was stopped, at its time limit or because it was canceled."""
    assignment.stopped = assignment.stopped or _now()
    context.close()
    if assignment.notice is not None and (stopped or _only_cancels(error)):
        if not _overran(assignment):
            _cancel(assignment)
            _tell(context, f"Task {name} was canceled")
            return
        error = TimeoutError(f"{_time_limit(assignment)} It was stopped").with_traceback(error.__traceback__)
    fail(assignment, describe(error), error)
    _tell(context, f"Task {name} failed with exception: {short(error)}", failed=True)


def _cancel(assignment: Assignment) -> None:
    """Have the attempt reported as canceled. It was: itself, or with its whole job, which may go on some day."""
    a = assignment
    if a.notice is None or a.notice.cause is not Cause.TASK:
        release(a, "canceled")
        return
    display, progress = (a.context.display, a.context.counted) if a.context else (None, None)
    report = ReportCanceled(a.job_id, a.task, a.attempt, a.started, a.stopped, display, progress)
    a.reports, a.submits = [encode(report)], False


def _overran(assignment: Assignment) -> bool:
    return assignment.notice is not None and assignment.notice.cause is Cause.TIME_LIMIT


def _only_cancels(error: BaseException) -> bool:
    """Whether this is a TaskCanceled, or a group of nothing else, as `asyncio.TaskGroup` makes them."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(TaskCanceled)[1] is None
    return isinstance(error, TaskCanceled)


def _time_limit(assignment: Assignment) -> str:
    return f"the attempt took longer than its time limit of {assignment.spec.asked.timeout / 1e6:g} s."


def _tell(context: RunningContext, line: str, *, failed: bool = False) -> None:
    try:
        (context.logger.error if failed else context.logger.info)(line)
    except BaseException as problem:  # noqa: BLE001  from the user's own configuration of structlog
        log.warning("the end of a task could not be logged: %r", problem)


def _now() -> int:
    return time.time_ns() // 1000
