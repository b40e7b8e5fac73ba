"""What a job's view notes of each event, after `evolve` accepted it: what deciding does not need, and people ask about."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jobledger.core import events as e
from jobledger.core import ranges
from jobledger.core.events import Error
from jobledger.core.lifecycle import TaskState

from .attempts import AttemptOutcome, Ended, Source

if TYPE_CHECKING:
    from .job_fold import JobFold

_FAR = 2**62


def _taken_over(view: JobFold, event: e.TasksTakenOver, at: int) -> None:
    if event.part == 0:
        view.taken_over.clear()
    view.taken_over.append(event)


def _submitted(view: JobFold, event: e.JobSubmitted, at: int) -> None:
    if not view.taken_over:
        return
    view.grow()
    view.sources = array("i", (-1,)) * len(view.job.graph)
    for part in view.taken_over:
        runners = [view.runner_number(runner) for runner in part.runners]
        for one in part.tasks:
            _take_over(view, one, runners[one.runner], at)
    view.taken_over.clear()


def _take_over(view: JobFold, one: e.TakenOver, runner: int, at: int) -> None:
    task = one.task
    view.sources[task] = one.source
    view.runs[task] = runner
    view.claimed[task] = max(-_FAR, min(one.claimed, _FAR))
    _set_times(view, task, one.started, one.stopped)
    if one.display is not None:
        view.displays[task] = one.display
    if one.progress is not None:
        view.progressed[task] = one.progress
    if one.source_job:
        view.reused[task] = Source(one.source_job, one.source_task)
    if one.error is not None:
        times = view.claimed[task], view.started[task], view.stopped[task]
        view.ended[task] = [Ended(one.attempt, AttemptOutcome.FAILED, runner, *times, one.error, "")]
    if one.state == TaskState.SKIPPED.value:
        view.dismissals.note([task, task + 1], one.cause, at, known=len(view.job.graph))


def _claimed(view: JobFold, event: e.TasksClaimed, at: int) -> None:
    view.grow()
    view.reopened = False
    runner = view.runner_number(event.runner)
    for start, stop in ranges.pairs(event.tasks):
        size = stop - start
        view.claimed[start:stop] = array("q", (at,)) * size
        view.runs[start:stop] = array("I", (runner,)) * size
        if event.attempt > 1:
            view.started[start:stop] = view.stopped[start:stop] = array("q", (0,)) * size


def _progressed(view: JobFold, event: e.TaskProgressed, at: int) -> None:
    task = event.task
    _set_times(view, task, event.started, 0)
    if event.display is not None:
        view.displays[task] = event.display
    if event.progress is not None:
        view.progressed[task] = event.progress
        view.counting.add(task)


def _computed(view: JobFold, event: e.TaskComputed, at: int) -> None:
    task = event.task
    try:
        view.started[task] = event.started
        view.stopped[task] = event.stopped
    except OverflowError:
        _set_times(view, task, event.started, event.stopped)
    if event.display is not None or event.progress is not None or view.progressed:
        _show(view, event)


def _reused(view: JobFold, event: e.TaskReused, at: int) -> None:
    _set_times(view, event.task, event.started, event.stopped)
    view.reused[event.task] = Source(event.source_job, event.source_task)
    view.progressed.pop(event.task, None)
    view.counting.discard(event.task)


def _failed(view: JobFold, event: e.AttemptFailed | e.TaskFailed | e.OptionalTaskFailed, at: int) -> None:
    _end(view, event, AttemptOutcome.FAILED, event.started, event.stopped, event.error)
    _show(view, event)


def _released(view: JobFold, event: e.TaskReleased, at: int) -> None:
    _end(view, event, AttemptOutcome.RELEASED, view.started[event.task], at, reason=event.reason)
    _count_no_more(view, event.task)


def _expired(view: JobFold, event: e.LeaseExpired, at: int) -> None:
    reason = f"no sign of life from runner {event.runner}"
    _end(view, event, AttemptOutcome.EXPIRED, view.started[event.task], at, reason=reason)
    _count_no_more(view, event.task)


def _task_canceled(view: JobFold, event: e.TaskCanceled, at: int) -> None:
    task = event.task
    request = view.asked.pop(task, None)
    started = event.started or view.started[task]
    reason = request.reason if request else ""
    _end(view, event, AttemptOutcome.CANCELED, started, event.stopped, event.error, reason)
    _show(view, event)
    cause = request.task if request else task
    view.dismissals.note([task, task + 1], cause, at, known=len(view.job.graph))


def _cancel_requested(view: JobFold, event: e.CancelRequested, at: int) -> None:
    view.requests[event.task] = event
    view.asked.update(dict.fromkeys(ranges.numbers(event.running), event))


def _dismissed(view: JobFold, event: e.TasksSkipped | e.TasksCanceled | e.TasksAbandoned, at: int) -> None:
    view.dismissals.note(event.tasks, event.cause, at, known=len(view.job.graph))


def _job_canceled(view: JobFold, event: e.JobCanceled, at: int) -> None:
    view.canceled = event


def _deadline_exceeded(view: JobFold, event: e.DeadlineExceeded, at: int) -> None:
    view.missed = event


def _job_retried(view: JobFold, event: e.JobRetried, at: int) -> None:
    view.grow()
    view.canceled = view.missed = None
    view.reopened = True
    for task in ranges.numbers(event.tasks):
        left = view.dismissals.at(task) or view.stopped[task]
        view.outs.setdefault(task, []).append((left, at))
        view.dismissals.forget(task)


def _job_deleted(view: JobFold, event: e.JobDeleted, at: int) -> None:
    view.deleted = event


# -- the steps they share ---------------------------------------------------------------------------------------


def _show(view: JobFold, event: Any) -> None:
    """Note what the execution said of itself at its end."""
    if event.display is not None:
        view.displays[event.task] = event.display
    if event.progress is not None:
        view.progressed[event.task] = event.progress
    elif view.progressed:
        view.progressed.pop(event.task, None)  # of an execution before, or of this one so far
    view.counting.discard(event.task)


def _count_no_more(view: JobFold, task: int) -> None:
    """The attempt is over without having come to anything: what it counted meanwhile counts no more."""
    if task in view.counting:
        view.counting.discard(task)
        view.progressed.pop(task, None)


def _end(
    view: JobFold,
    event: Any,
    outcome: AttemptOutcome,
    started: int,
    stopped: int,
    error: Error | None = None,
    reason: str = "",
) -> None:
    task = event.task
    _set_times(view, task, started, stopped)
    times = view.claimed[task], view.started[task], view.stopped[task]
    ended = Ended(event.attempt, outcome, view.runs[task], *times, error, reason)
    view.ended.setdefault(task, []).append(ended)


def _set_times(view: JobFold, task: int, started: int, stopped: int) -> None:
    try:
        view.started[task] = started
        view.stopped[task] = stopped
    except OverflowError:  # what a runner says is not checked by the engine: 64 bits are enough for any time
        view.started[task] = max(-_FAR, min(started, _FAR))
        view.stopped[task] = max(-_FAR, min(stopped, _FAR))


NOTES: dict[type, Callable[[JobFold, Any, int], None]] = {
    e.TasksTakenOver: _taken_over,
    e.JobSubmitted: _submitted,
    e.TasksClaimed: _claimed,
    e.TaskProgressed: _progressed,
    e.TaskComputed: _computed,
    e.TaskReused: _reused,
    e.AttemptFailed: _failed,
    e.TaskFailed: _failed,
    e.OptionalTaskFailed: _failed,
    e.TaskReleased: _released,
    e.LeaseExpired: _expired,
    e.TaskCanceled: _task_canceled,
    e.CancelRequested: _cancel_requested,
    e.TasksSkipped: _dismissed,
    e.TasksCanceled: _dismissed,
    e.TasksAbandoned: _dismissed,
    e.JobCanceled: _job_canceled,
    e.DeadlineExceeded: _deadline_exceeded,
    e.JobRetried: _job_retried,
    e.JobDeleted: _job_deleted,
}
