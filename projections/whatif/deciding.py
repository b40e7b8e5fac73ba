"""Whether the same would be decided again.

A history does not hold the commands it came of, but what they led to says what they were: a runner that reported an
error, a user who canceled a task. Each is put to `decide` once more, at the state it met then, and what comes of it is
compared with what was written.

Taken as recorded, and not decided again: which runner claimed which task, for who else was asking is not known; that a
runner called an error final; and the time of a decision within its commit, so that the end of a delay between attempts
may differ by as much as a commit can wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.decisions import Refusal, decide
from jobledger.core.job import Job, evolve
from jobledger.core.lifecycle import LifecycleError

from ..history import Placed
from ..sentences import sentence
from .divergences import Divergence, DivergenceKind

#: µs by which a decision may be later than the first one of its commit: an append is waited for no longer
_GATHERED = 5_000_000

#: events that only ever follow from others in the same decision
_CONSEQUENCES = (e.JobCompleted, e.JobFailed, e.TasksSkipped, e.TasksCanceled, e.TasksAbandoned)


def decide_again(job_id: str, commits: Sequence[Placed]) -> list[Divergence]:
    """Return where something else would be decided than was written. It ends where the history cannot be folded."""
    job = Job(job_id)
    divergences: list[Divergence] = []
    for placed in commits:
        try:
            divergences += _check(job, placed)
        except (LifecycleError, ValueError):
            break  # `folding` tells
    return divergences


def _check(job: Job, placed: Placed) -> Iterator[Divergence]:
    at, events = placed.commit.at, placed.commit.events
    index = 0
    while index < len(events):
        if isinstance(events[index], e.TasksClaimed | e.UnknownEvent):
            end = index + 1
        else:
            end = _end(events, index)
            told = events[index:end]
            command = _command(job, events, index)
            expected, refused = (
                ([], "") if command is None else _decided(job, command, _time(job, told[0], at))
            )
            if not _same(expected, told):
                yield _divergence(job, placed, expected, told, refused)
        for event in events[index:end]:
            evolve(job, event, at)
        index = end


def _end(events: Sequence[Any], index: int) -> int:
    """Return where the events end that were decided together with the one at `index`."""
    if isinstance(events[index], e.TasksTakenOver) and isinstance(_next(events, index), e.JobSubmitted):
        index += 1
    elif _is_forced(events, index):
        return index + 2
    index += 1
    while index < len(events) and _follows(events, index):
        index += 1
    return index


def _follows(events: Sequence[Any], index: int) -> bool:
    event = events[index]
    if isinstance(event, e.JobCanceled):
        return not event.command_id and not _is_forced(events, index)
    return isinstance(event, _CONSEQUENCES)


def _is_forced(events: Sequence[Any], index: int) -> bool:
    """Whether the job was canceled here only to be deleted."""
    event = events[index]
    return (
        isinstance(event, e.JobCanceled)
        and event.grace == 0
        and isinstance(_next(events, index), e.JobDeleted)
    )


def _next(events: Sequence[Any], index: int) -> Any:
    return events[index + 1] if index + 1 < len(events) else None


def _time(job: Job, event: Any, at: int) -> int:
    """Return when something was decided, as far as that is known: with its commit, or a little later."""
    if isinstance(event, e.JobRetried) and not event.deadline and at < job.deadline <= at + _GATHERED:
        return job.deadline  # it must have passed by then
    if isinstance(event, e.DeadlineExceeded):
        return max(at, event.deadline)
    return int(event.stopped) if _blames_the_runner(event) else at


def _decided(job: Job, command: c.Command, at: int) -> tuple[list[e.Event], str]:
    try:
        return decide(job, command, at), ""
    except Refusal as refusal:
        return [], refusal.message


def _same(expected: Sequence[Any], told: Sequence[Any]) -> bool:
    return len(expected) == len(told) and all(map(_alike, expected, told))


def _alike(expected: Any, told: Any) -> bool:
    if isinstance(expected, e.AttemptFailed) and isinstance(told, e.AttemptFailed) and expected.retry_at:
        late = told.retry_at - expected.retry_at
        return 0 <= late <= _GATHERED and _without_time(expected) == _without_time(told)
    return bool(expected == told)


def _without_time(event: e.AttemptFailed) -> tuple[Any, ...]:
    return event.task, event.attempt, event.started, event.stopped, event.error, event.display, event.progress


def _divergence(
    job: Job, placed: Placed, expected: Sequence[Any], told: Sequence[Any], refused: str
) -> Divergence:
    def words(events: Sequence[Any]) -> str:
        return "; ".join(sentence(event, names) for event in events)

    def names(number: int) -> str:
        return job.spec_of(number).name if 0 <= number < len(job.graph) else ""

    would = (
        words(expected)
        if expected
        else f"it would be refused ({refused})"
        if refused
        else "nothing would be written"
    )
    task = getattr(told[0], "task", None)
    return Divergence(
        DivergenceKind.DECISION,
        job.id,
        job.name,
        placed.version,
        placed.position,
        f"now {would}; recorded is: {words(told)}",
        task if isinstance(task, int) and task >= 0 else None,
    )


# -- what must have been asked ------------------------------------------------------------------------------------


def _command(job: Job, events: Sequence[Any], index: int) -> c.Command | None:
    """Return the command that must have led to the event at `index`; None if that follows from another one."""
    event = events[index]
    if isinstance(event, e.TasksTakenOver):
        submitted = _next(events, index)
        if not isinstance(submitted, e.JobSubmitted):
            return c.TakeOver(job.id, event)
        options = submitted.options or e.JobOptions()
        return c.ForkJob(job.id, submitted.name, submitted.tasks, submitted.by, options, event)
    if isinstance(event, e.JobCanceled) and _is_forced(events, index):
        deleted = events[index + 1]
        return c.DeleteJob(job.id, deleted.command_id, deleted.by, deleted.reason, True)
    asked = _ASKED.get(type(event))
    return None if asked is None else asked(job, event)


def _failed(job: Job, event: Any) -> c.Command:
    if _blames_the_runner(event):
        return c.ExpireLease(job.id, event.task, event.attempt, alone=True)
    request = job.cancel_requests.get(event.task)
    if request is not None and event.error == e.Error("TaskCanceled", request.reason):
        return _stopped(job, event)
    known = 0 <= event.task < len(job.graph)
    left = known and job.failures.get(event.task, 0) < job.spec_of(event.task).max_retries
    final = left and not isinstance(event, e.AttemptFailed)
    times = event.started, event.stopped
    return c.ReportFailed(
        job.id, event.task, event.attempt, *times, event.error, event.display, event.progress, final=final
    )


def _blames_the_runner(event: Any) -> bool:
    """Whether a task failed because its runner was lost too often."""
    failed = isinstance(event, e.TaskFailed | e.OptionalTaskFailed)
    return failed and event.error.reason == "LeaseExpired" and event.started == event.stopped


def _stopped(job: Job, event: Any) -> c.Command:
    times = event.started, event.stopped
    return c.ReportCanceled(job.id, event.task, event.attempt, *times, event.display, event.progress)


def _task_canceled(job: Job, event: e.TaskCanceled) -> c.Command:
    return _stopped(job, event) if event.error is None else _failed(job, event)


def _computed(job: Job, event: e.TaskComputed) -> c.Command:
    return c.ReportComputed(
        job.id,
        event.task,
        event.attempt,
        event.started,
        event.stopped,
        event.subtasks,
        event.display,
        event.progress,
        event.result,
        event.reuse_key,
    )


def _reused(job: Job, event: e.TaskReused) -> c.Command:
    times = event.started, event.stopped
    return c.ReportReused(
        job.id, event.task, event.attempt, *times, event.source_job, event.source_task, event.result
    )


_ASKED: dict[type, Callable[[Job, Any], c.Command | None]] = {
    e.JobSubmitted: lambda job, one: c.SubmitJob(job.id, one.name, one.tasks, one.by, one.options),
    e.SubtasksStaged: lambda job, one: c.StageSubtasks(job.id, one.task, one.attempt, one.tasks),
    e.TaskProgressed: lambda job, one: c.ReportProgress(
        job.id, one.task, one.attempt, one.started, one.progress, one.display
    ),
    e.TaskComputed: _computed,
    e.TaskReused: _reused,
    e.AttemptFailed: _failed,
    e.TaskFailed: _failed,
    e.OptionalTaskFailed: _failed,
    e.TaskCanceled: _task_canceled,
    e.TaskReleased: lambda job, one: c.ReleaseTask(job.id, one.task, one.attempt, one.reason),
    e.LeaseExpired: lambda job, one: c.ExpireLease(job.id, one.task, one.attempt, one.alone),
    e.JobCanceled: lambda job, one: (
        c.CancelJob(job.id, one.command_id, one.by, one.reason, one.grace) if one.command_id else None
    ),
    e.CancelRequested: lambda job, one: c.CancelTask(
        job.id, one.command_id, one.task, one.by, one.reason, one.grace
    ),
    e.JobRetried: lambda job, one: c.RetryJob(job.id, one.command_id, one.by, one.task, one.deadline),
    e.DeadlineExceeded: lambda job, one: c.ExpireJob(job.id),
    e.JobDeleted: lambda job, one: c.DeleteJob(job.id, one.command_id, one.by, one.reason),
    e.JobErased: lambda job, one: c.EraseJob(job.id),
}
