"""An attempt has ended: what becomes of its task, of those around it, and of the job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import commands as c
from .. import events as e
from .. import ranges
from ..job import Job
from ..lifecycle import JobState, TaskState
from ..policy import CONTINUE, retry_at
from .bounds import check_bounds, check_error
from .ending import queued_of, stranded, with_end
from .refusal import already, check_current, check_tasks, is_current

#: Losses of its runner after which a task is suspected to be their cause. From then on it is handed out with fewer and
#: fewer others, in the end by itself: it takes nothing else with it, and is not blamed for what others do.
SUSPECTED_AFTER = 2
#: How many tasks a runner holds together with a suspect, by its losses; with more losses, none but that one.
_TOGETHER = {SUSPECTED_AFTER: 8, SUSPECTED_AFTER + 1: 3}
#: How often a task is started again after its runner was lost with nothing but that task in its hands, before the task is
#: held to blame. The number is Tilebox's documented one.
MAX_EXPIRIES = 10
#: The same whatever else explains the losses: somewhere it has to end. So many leases of default length are 25 minutes.
MAX_LOSSES = 100

_COMPUTED = TaskState.COMPUTED.value
#: where an attempt that ended without success may have left its task: tried again, or stopped because it was asked to
_STOPPED = (TaskState.QUEUED.value, TaskState.CANCELED.value, TaskState.FAILED_OPTIONAL.value)


def computed(job: Job, command: c.ReportComputed, now: int) -> list[e.Event]:
    if not is_current(job, command):  # the rule is checked at once, what breaks it is found out after
        if already(job, command, _COMPUTED):
            return []
        check_current(job, command)
    task, subtasks = command.task, command.subtasks
    if subtasks is not None:
        check_tasks(subtasks, job.staged_count(task))
        check_bounds(job, subtasks)
    events: list[e.Event] = [
        e.TaskComputed(
            task,
            command.attempt,
            command.started,
            command.stopped,
            subtasks,
            command.display,
            command.progress,
            command.result,
            command.reuse_key,
        )
    ]
    if subtasks is None and task not in job.staged:
        left = job.left - 1
        return with_end(job, events, left=left) if not left else events
    request = job.cancel_requests.get(task)
    if request is None:
        return events
    # It was asked to stop and did not: its subtasks exist, and never run.
    first = len(job.graph)
    children = [first, first + job.staged_count(task) + len(subtasks or ())]
    kind = e.TasksCanceled if job.optional_boundary(request.task) is None else e.TasksSkipped
    events.append(kind(children, request.task))
    return with_end(job, events, left=job.left - 1)


def reused(job: Job, command: c.ReportReused, now: int) -> list[e.Event]:
    if already(job, command, _COMPUTED):
        return []
    check_current(job, command)
    reused = e.TaskReused(
        command.task,
        command.attempt,
        command.started,
        command.stopped,
        command.source_job,
        command.source_task,
        command.result,
    )
    return with_end(job, [reused], left=job.left - 1)


def failed(job: Job, command: c.ReportFailed, now: int) -> list[e.Event]:
    task = command.task
    known = already(job, command, TaskState.FAILED.value, *_STOPPED)
    if known and job.let_go.get(task) != command.attempt:  # of one that was let go, no failure is in the log
        return []
    check_current(job, command)
    check_error(command.error)
    if task in job.cancel_requests:
        return _stopped(job, command, command.error)
    spec = job.spec_of(task)
    failures = job.failures.get(task, 0)
    if failures >= spec.max_retries or command.final:
        return _fail(job, command)
    again = e.AttemptFailed(
        task,
        command.attempt,
        command.started,
        command.stopped,
        command.error,
        command.display,
        command.progress,
        retry_at(spec.asked, failures + 1, now, seed=f"{job.id}/{task}/{command.attempt}"),
    )
    return [again]


def _fail(job: Job, report: c.ReportFailed) -> list[e.Event]:
    """The attempt failed for good.

    Inside an optional subtree that skips the rest of it. Elsewhere it halts the job or, by its policy, only what
    depends on it.
    """
    task = report.task
    boundary = job.optional_boundary(task)
    if boundary is not None:
        return _fail_optional(job, report, report.error, boundary)
    events: list[e.Event] = [_failure(e.TaskFailed, report, report.error)]
    if job.state == JobState.FAILED.value:
        return events
    asked = job.spec_of(task).asked.on_failure
    continues = asked == CONTINUE if asked else job.options.continues
    if not continues or job.state == JobState.CANCELED.value:
        return [*events, e.JobFailed(task)]
    abandoned = stranded(job, task)
    if abandoned:
        events.append(e.TasksAbandoned(ranges.pack(abandoned), task))
    return with_end(job, events, left=job.left - 1 - len(abandoned))


def _fail_optional(job: Job, report: Any, error: e.Error, boundary: int) -> list[e.Event]:
    skipped = queued_of(job, job.graph.descendants(boundary))
    events: list[e.Event] = [_failure(e.OptionalTaskFailed, report, error)]
    if skipped:
        events.append(e.TasksSkipped(ranges.pack(skipped), report.task))
    return with_end(job, events, left=job.left - 1 - len(skipped))


def _failure(kind: Callable[..., e.Event], report: Any, error: e.Error) -> e.Event:
    return kind(
        report.task,
        report.attempt,
        report.started,
        report.stopped,
        error,
        report.display,
        report.progress,
    )


def canceled(job: Job, command: c.ReportCanceled, now: int) -> list[e.Event]:
    if already(job, command, *_STOPPED):
        return []
    check_current(job, command)
    if command.task in job.cancel_requests:
        return _stopped(job, command, None)
    # The whole job was canceled, or the request was taken back by a retry: the task itself is still wanted.
    return [e.TaskReleased(command.task, command.attempt, "it stopped because it was asked to")]


def _stopped(job: Job, report: Any, error: e.Error | None) -> list[e.Event]:
    """A running task that was asked to stop has ended without success, however it came about.

    Where the cancel was inside an optional subtree this is a failure there, which does not concern the job.
    """
    request = job.cancel_requests[report.task]
    boundary = job.optional_boundary(report.task)
    if boundary is not None and job.optional_boundary(request.task) is not None:
        return _fail_optional(job, report, error or e.Error("TaskCanceled", request.reason), boundary)
    canceled = e.TaskCanceled(
        report.task,
        report.attempt,
        report.started,
        report.stopped,
        report.display,
        report.progress,
        error,
    )
    return with_end(job, [canceled], left=job.left - 1)


def release(job: Job, command: c.ReleaseTask, now: int) -> list[e.Event]:
    if already(job, command, *_STOPPED):
        return []
    check_current(job, command)
    if command.task in job.cancel_requests:
        return _stopped(job, c.ReportCanceled(job.id, command.task, command.attempt, now, now), None)
    return [e.TaskReleased(command.task, command.attempt, command.reason)]


def expire(job: Job, command: c.ExpireLease, now: int) -> list[e.Event]:
    check_current(job, command)
    task, runner = command.task, job.claimed_by[command.task]
    if task in job.cancel_requests:
        return _stopped(job, c.ReportCanceled(job.id, task, command.attempt, now, now), None)
    losses, alone = job.expiries.get(task, 0), job.lost_alone.get(task, 0)
    if losses < MAX_LOSSES and not (command.alone and alone >= MAX_EXPIRIES):
        return [e.LeaseExpired(task, command.attempt, runner, command.alone)]
    alone += command.alone
    error = e.Error(
        "LeaseExpired",
        f"the runner was lost {losses + 1} times while it ran this task, {alone} of them with nothing else in its hands; "
        f"the last one was {runner}. The task may be killing its process (out of memory, a crash in native code). Mend "
        "it, then retry the job.",
    )
    return _fail(job, c.ReportFailed(job.id, task, command.attempt, now, now, error))


def is_suspect(job: Job, task: int) -> bool:
    """Whether the task may be what its runners are lost by: it is to be handed out with few others."""
    return job.expiries.get(task, 0) >= SUSPECTED_AFTER


def together(job: Job, suspect: int) -> int:
    """Return how many tasks a runner may hold, this suspect among them."""
    return _TOGETHER.get(job.expiries.get(suspect, 0), 1)
