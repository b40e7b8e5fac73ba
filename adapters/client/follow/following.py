"""Waiting for a job and watching it: told by the engine, never by looking again and again."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Coroutine
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from jobledger.core.errors import ArgumentError, JobCanceled, JobFailed
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.projections.job_view import JobView

from .. import arguments
from ..requests import follow

if TYPE_CHECKING:
    from ...protocol import JobStatus
    from ..read.reading import Reading

T = TypeVar("T")

log = logging.getLogger(__name__)

FOLLOW = 10.0  # seconds after which the engine answers a question that has no news, and is asked again
FOLLOW_MARGIN = 5.0  # seconds an answer may be late before it is held to be lost
#: Seconds a wait without a limit outlasts a server that is away: longer than a restart or an upgrade takes.
PATIENCE = 300.0
ONE_LOOK = 2.0  # seconds beyond the time to wait in which a last look may still be answered


async def refresh(reading: Reading) -> None:
    """Read what is new, and return the job.

    >>> job.refresh().state
    <JobState.COMPLETED: 4>
    """
    await reading.refresh()


def wait(
    reading: Reading,
    timeout: float | None = None,
    *,
    interval: float | None = FOLLOW,
    raise_on_failure: bool = True,
    raise_on_cancel: bool | None = None,
) -> Coroutine[Any, Any, None]:
    """Return the job once it is settled: told by the engine, across restarts of it and of the server. Of many jobs:
    `client.jobs().wait_all(jobs)`.

    Units:  `timeout` is seconds; None waits without limit. `interval` is seconds after which the program's log is told
            how far the job has come, again and again (logger "jobledger", level INFO); None: never.
    Shape:  `raise_on_failure=False` also returns when the job has failed or was canceled, `raise_on_cancel=False` when
            it was canceled; None: as `raise_on_failure`.
    Errors: JobFailed, saying which task failed and why, or JobCanceled; TimeoutError (the builtin one) with the state
            so far; ServerUnavailable when nobody answers for five minutes; ArgumentError for `timeout` and `interval`.

    >>> job.wait(timeout=60).state
    <JobState.COMPLETED: 4>
    """
    bad = raised(raise_on_failure, raise_on_cancel)
    return _wait(reading, arguments.seconds("timeout", timeout), _interval(interval), bad)


def raised(on_failure: bool, on_cancel: bool | None) -> frozenset[JobState]:
    """Return the states that are raised, as `wait` is asked."""
    asked = {JobState.FAILED: on_failure, JobState.CANCELED: on_failure if on_cancel is None else on_cancel}
    return frozenset(state for state, raises in asked.items() if raises)


async def _wait(reading: Reading, timeout: float, interval: float, bad: frozenset[JobState]) -> None:
    time_left = _TimeLeft(reading, timeout)
    due = time.monotonic() + interval
    # One look is always taken: a job that is settled is told even to someone without any time.
    while True:
        left = time_left.seconds
        pause = min(FOLLOW, left, max(0.0, due - time.monotonic()))
        told = await time_left.of(news(reading, pause, settled=True))
        if told is not None and told.state == JobState.COMPLETED.value:
            return  # The log is read when something is asked of the job: of many, this was all.
        if told is not None or not left:
            view = await time_left.of(reading.refresh(patience=PATIENCE))
            if view.settled:
                break
            if not left:
                time_left.out()
        if time.monotonic() >= due:
            due = time.monotonic() + interval
            if log.isEnabledFor(logging.INFO):
                view = await time_left.of(reading.refresh(patience=PATIENCE))
                state = view.state.name if view.state else "not known"
                log.info("job %r (%s) is %s, %.1f %%", reading.name, reading.job_id, state, view.percent)
    error = failure(view, bad)
    if error is not None:
        raise error


def failure(view: JobView, bad: frozenset[JobState]) -> JobFailed | JobCanceled | None:
    """Return the error that a settled job is to whoever waits for it; None if it is none of these states."""
    if view.state not in bad:
        return None
    return _failed(view) if view.state is JobState.FAILED else _canceled(view)


def watch(
    reading: Reading, interval: float | None = None, timeout: float | None = None
) -> AsyncGenerator[None, None]:
    """Yield the job now, after every change to it, and last when it is settled.

    Changes are pushed: one shows a few milliseconds after it was written to the log, across restarts of the engine and
    of the server. Changes that come while the caller is busy are one. It is always the same job that is yielded.

    Units:  `interval` is seconds after which the job is yielded although nothing has changed; None: never. `timeout`
            is seconds for all of it; None: no limit.
    Errors: TimeoutError (the builtin one) with the state so far, once time is up; NotFoundError if the job is deleted
            meanwhile; ServerUnavailable when nobody answers for five minutes; ArgumentError for both arguments.

    >>> for job in job.watch(timeout=60):
    ...     print(job.state.name, job.tasks_by_state[TaskState.COMPUTED])
    COMPLETED 1
    """
    return _watch(reading, _interval(interval), arguments.seconds("timeout", timeout))


async def _watch(reading: Reading, interval: float, timeout: float) -> AsyncGenerator[None, None]:
    time_left = _TimeLeft(reading, timeout)
    while True:
        view = await time_left.of(reading.refresh(patience=PATIENCE))
        shown, settled = view.version, view.settled
        yield
        if settled:
            return
        due = time.monotonic() + interval
        # Whoever looked at the job in the meantime may have read the next change already.
        while reading.view.version == shown and (wait := due - time.monotonic()) > 0:
            left = time_left.seconds
            if await time_left.of(news(reading, min(FOLLOW, wait, left), after=shown)):
                break
            if not left:
                time_left.out()


async def news(reading: Reading, wait: float, *, after: int = 0, settled: bool = False) -> JobStatus | None:
    """Return where the job stands once it has changed since version `after`, or is `settled`; None if it has not within
    `wait` seconds. Errors: as `follow`."""
    from ...protocol import FollowJob

    question = FollowJob(reading.job_id, after, settled, wait)
    status = await follow(reading.session, question, margin=FOLLOW_MARGIN, patience=PATIENCE)
    if not question.is_news(status):
        return None
    reading.told(status)
    return status


def _interval(given: float | None) -> float:
    interval = arguments.seconds("interval", given)
    if not interval:
        raise ArgumentError(f"interval={given!r} leaves no time: pass seconds above 0, or None for never")
    return interval


class _TimeLeft:
    """How long something about a job may still take."""

    def __init__(self, reading: Reading, timeout: float) -> None:
        self._reading = reading
        self._timeout = timeout
        self._until = time.monotonic() + timeout

    @property
    def seconds(self) -> float:
        return max(0.0, self._until - time.monotonic())

    async def of(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` returns. Errors: TimeoutError, with the state so far, if it takes longer than there is."""
        try:
            async with asyncio.timeout(None if self._timeout == math.inf else self.seconds + ONE_LOOK):
                return await work
        except TimeoutError:
            self.out(await self._reading.session.outage())

    def out(self, outage: str = "") -> NoReturn:
        view, name = self._reading.view, self._reading.name
        told = _told(view, name, f"after {self._timeout:g} s")
        if outage:
            told += f". {outage}"
        raise TimeoutError(f"{told}. It goes on: wait again, or cancel it") from None


def _told(view: JobView, name: str | None, when: str) -> str:
    """Say where an unsettled job stands, and what it waits for where nothing runs."""
    job = view.job
    if view.state is None:
        return f"the state of job {job.id} could not be read {when}: no answer from the server"
    counts = ", ".join(f"{count} {state.name}" for state, count in view.tasks_by_state.items() if count)
    text = f"job {name!r} ({job.id}) is not settled {when}: {view.state.name} with tasks {counts}"
    if not job.counts[TaskState.RUNNING.value]:
        ready = next((task for task in view.tasks.filter(state=TaskState.QUEUED) if task.ready), None)
        if ready is not None:
            text += f"; task {ready.number} is {ready.waiting}"
    return text


def _failed(view: JobView) -> JobFailed:
    job, error = view.job, view.error
    task = None if job.failed_task is None else view.tasks[job.failed_task]
    what = (
        f": {error}"
        if task is None
        else f": task {task.id} ({task.name}) failed at attempt {task.attempt} with {error}"
    )
    return JobFailed(
        f"job {job.name!r} ({job.id}) failed{what}. Mend the cause, then go on from there, keeping what is computed: "
        f"client.jobs().retry('{job.id}')",
        job_id=job.id,
        task_id="" if task is None else task.id,
        reason="" if error is None else error.reason,
        detail="" if error is None else error.message,
    )


def _canceled(view: JobView) -> JobCanceled:
    job, cancel = view.job, view.job.cancel
    by, reason = (cancel.by, cancel.reason) if cancel is not None else ("", "")
    return JobCanceled(
        f"job {job.name!r} ({job.id}) was canceled{f' by {by}' if by else ''}{f': {reason}' if reason else ''}. "
        f"To go on with it: client.jobs().retry('{job.id}')",
        job_id=job.id,
        by=by,
        reason=reason,
    )
