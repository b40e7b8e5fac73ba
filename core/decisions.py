"""What becomes of a command: events, or a refusal.

`decide` looks at the job and changes nothing; whoever calls it appends the events to the log and applies them with
`evolve`. A command that has already had its effect is answered with no events, so that repeating one is harmless.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any

from . import commands as c
from . import events as e
from . import ranges
from .graph import ROOT
from .job import Job
from .lifecycle import HALTED, JobState, TaskState

#: How often a task is started again after its runner vanished before the task itself is held to blame.
#: The number is Tilebox's documented one.
MAX_EXPIRIES = 10


class Refusal(Exception):
    """The command is not possible in the state at hand. The job is unchanged.

    `code` is for programs: "stale" (the attempt is over), "not_retryable", "invalid" or "unknown_job".
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def decide(job: Job, command: c.Command, now: int) -> list[e.Event]:
    """Return what `command` leads to, decided at `now` (µs since 1970 UTC).

    Errors: Refusal, when the command is not possible or makes no sense.
    """
    return _DECISIONS[command.__class__](job, command, now)


def _submit(job: Job, command: c.SubmitJob, now: int) -> list[e.Event]:
    if job.state:
        return []
    if not command.name:
        raise Refusal("invalid", "a job needs a name")
    _check_tasks(command.tasks, 0)
    return [e.JobSubmitted(command.name, command.tasks, command.by)]


def _cancel(job: Job, command: c.CancelJob, now: int) -> list[e.Event]:
    _check_exists(job)
    if job.state in HALTED or command.command_id in job.commands:
        return []  # a late repetition must not cancel a job that was retried meanwhile
    return [e.JobCanceled(command.command_id, command.by, command.reason)]


def _retry(job: Job, command: c.RetryJob, now: int) -> list[e.Event]:
    _check_exists(job)
    if command.command_id in job.commands:
        return []
    state = JobState(job.state)
    if state not in (JobState.FAILED, JobState.CANCELED):
        done = state is JobState.COMPLETED
        remedy = "submit it again to run it anew" if done else "wait for it to end, or cancel it first"
        raise Refusal(
            "not_retryable",
            f"job {job.id} is {state.name}; only a FAILED or CANCELED job is retried: {remedy}",
        )
    status, failed = job.graph.status, []
    task = status.find(TaskState.FAILED.value)
    while task >= 0:
        failed.append(task)
        task = status.find(TaskState.FAILED.value, task + 1)
    rescheduled = len(failed) + job.counts[TaskState.QUEUED.value]
    retried = e.JobRetried(command.command_id, ranges.pack(failed), rescheduled, command.by)
    return [retried] if job.unfinished else [retried, e.JobCompleted()]


def _claim(job: Job, command: c.ClaimTasks, now: int) -> list[e.Event]:
    if job.state in HALTED or not job.state:
        return []
    tasks = job.graph.next_ready(command.specs, command.limit)
    tasks.sort(key=job.attempt.__getitem__)
    return [
        e.TasksClaimed(command.runner, attempt + 1, ranges.pack(group))
        for attempt, group in groupby(tasks, key=job.attempt.__getitem__)
    ]


def _stage(job: Job, command: c.StageSubtasks, now: int) -> list[e.Event]:
    _check_current(job, command)
    staged = job.staged_count(command.task)
    if command.tasks.start < staged:
        return []
    _check_tasks(command.tasks, staged)
    return [e.SubtasksStaged(command.task, command.attempt, command.tasks)]


def _computed(job: Job, command: c.ReportComputed, now: int) -> list[e.Event]:
    task = command.task
    if _already(job, command, TaskState.COMPUTED.value):
        return []
    _check_current(job, command)
    if command.subtasks is not None:
        _check_tasks(command.subtasks, job.staged_count(task))
    computed = e.TaskComputed(
        task,
        command.attempt,
        command.started,
        command.stopped,
        command.subtasks,
        command.display,
        command.progress,
    )
    if command.subtasks is None and task not in job.staged:
        return _with_completion(job, [computed], finished=1)
    return [computed]


def _failed(job: Job, command: c.ReportFailed, now: int) -> list[e.Event]:
    if _already(job, command, *_FAILED_STATES):
        return []
    _check_current(job, command)
    if job.failures.get(command.task, 0) < job.spec_of(command.task).max_retries:
        return [_failure(e.AttemptFailed, command)]
    return _fail(job, command)


def _fail(job: Job, report: c.ReportFailed) -> list[e.Event]:
    """The attempt failed for good: inside an optional subtree that skips the rest of it, elsewhere it halts the job."""
    boundary = _optional_boundary(job, report.task)
    if boundary is not None:
        queued = TaskState.QUEUED.value
        skipped = [task for task in job.graph.descendants(boundary) if job.graph.status[task] == queued]
        events: list[e.Event] = [_failure(e.OptionalTaskFailed, report)]
        if skipped:
            events.append(e.TasksSkipped(ranges.pack(skipped), report.task))
        return _with_completion(job, events, finished=1 + len(skipped))
    events = [_failure(e.TaskFailed, report)]
    if job.state != JobState.FAILED.value:
        events.append(e.JobFailed(report.task))
    return events


def _failure(kind: Callable[..., e.Event], report: c.ReportFailed) -> e.Event:
    return kind(
        report.task,
        report.attempt,
        report.started,
        report.stopped,
        report.error,
        report.display,
        report.progress,
    )


def _release(job: Job, command: c.ReleaseTask, now: int) -> list[e.Event]:
    if _already(job, command, TaskState.QUEUED.value):
        return []
    _check_current(job, command)
    return [e.TaskReleased(command.task, command.attempt, command.reason)]


def _expire(job: Job, command: c.ExpireLease, now: int) -> list[e.Event]:
    _check_current(job, command)
    runner = job.claimed_by[command.task]
    if job.expiries.get(command.task, 0) < MAX_EXPIRIES:
        return [e.LeaseExpired(command.task, command.attempt, runner)]
    error = e.Error(
        "LeaseExpired",
        f"the runner was lost {MAX_EXPIRIES + 1} times while it ran this task, the last one was {runner}: the task "
        "may be killing its process (out of memory, a crash in native code). Mend it, then retry the job.",
    )
    return _fail(job, c.ReportFailed(job.id, command.task, command.attempt, now, now, error))


# -- what they share --------------------------------------------------------------------------------------------

_FAILED_STATES = (TaskState.QUEUED.value, TaskState.FAILED.value, TaskState.FAILED_OPTIONAL.value)


def _check_exists(job: Job) -> None:
    if not job.state:
        raise Refusal("unknown_job", f"there is no job {job.id}")


def _check_tasks(tasks: Any, start: int) -> None:
    try:
        tasks.check()
    except ValueError as error:
        raise Refusal("invalid", f"malformed submission: {error}") from error
    if tasks.start != start:
        raise Refusal("invalid", f"a chunk of subtasks begins at {tasks.start} instead of {start}")


def _already(job: Job, report: Any, *states: int) -> bool:
    """Whether this attempt has ended in one of these states: the report is a repetition."""
    task = report.task
    return (
        0 <= task < len(job.attempt)
        and 0 < report.attempt == job.attempt[task]
        and job.graph.status[task] in states
    )


def _check_current(job: Job, report: Any) -> None:
    """Refuse unless the report speaks of the running attempt: a runner that lost its lease changes nothing."""
    _check_exists(job)
    task = report.task
    if not 0 <= task < len(job.attempt):
        raise Refusal("invalid", f"job {job.id} has no task {task}")
    if job.attempt[task] != report.attempt or job.graph.status[task] != TaskState.RUNNING.value:
        raise Refusal(
            "stale",
            f"attempt {report.attempt} of task {task} is over: the task is {job.state_of(task).name} "
            f"at attempt {job.attempt[task]}",
        )


def _optional_boundary(job: Job, task: int) -> int | None:
    """Return the nearest task, this one or above it, that was submitted as optional."""
    while task != ROOT:
        if job.spec_of(task).optional:
            return task
        task = job.graph.parent[task]
    return None


def _with_completion(job: Job, events: list[e.Event], finished: int) -> list[e.Event]:
    """Add JobCompleted where these events finish the last tasks of a job that is not halted."""
    if job.unfinished == finished and job.state not in HALTED:
        events.append(e.JobCompleted())
    return events


_DECISIONS: dict[type, Callable[[Job, Any, int], list[e.Event]]] = {
    c.SubmitJob: _submit,
    c.CancelJob: _cancel,
    c.RetryJob: _retry,
    c.ClaimTasks: _claim,
    c.StageSubtasks: _stage,
    c.ReportComputed: _computed,
    c.ReportFailed: _failed,
    c.ReleaseTask: _release,
    c.ExpireLease: _expire,
}
