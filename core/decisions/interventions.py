"""Somebody steps in, or the clock does: cancel, retry, delete, and the deadline of a job."""

from __future__ import annotations

from .. import commands as c
from .. import events as e
from .. import ranges
from ..job import Job
from ..lifecycle import HALTED, JobState, TaskState
from .bounds import check_deadline
from .ending import in_states, queued_of, stranded, with_end
from .refusal import Refusal, check_exists, check_task

_QUEUED, _RUNNING = TaskState.QUEUED.value, TaskState.RUNNING.value
_CANCELED, _ABANDONED = TaskState.CANCELED.value, TaskState.ABANDONED.value
#: what a retry takes up again
_LOST = (TaskState.FAILED.value, _CANCELED, _ABANDONED)
#: what ended without success: there is nothing to cancel
_WITHOUT_SUCCESS = (*_LOST, TaskState.SKIPPED.value, TaskState.FAILED_OPTIONAL.value)


def cancel_job(job: Job, command: c.CancelJob, now: int) -> list[e.Event]:
    check_exists(job)
    if command.command_id in job.commands:
        return []  # a late repetition must not cancel a job that was retried meanwhile
    if job.state in HALTED and not (job.counts[_RUNNING] and _is_news(command, job.halt)):
        return []
    return [e.JobCanceled(command.command_id, command.by, command.reason, command.grace)]


def cancel_task(job: Job, command: c.CancelTask, now: int) -> list[e.Event]:
    """Inside an optional subtree this is as if the task had failed there: the rest of the subtree is skipped."""
    check_exists(job)
    task, graph = command.task, job.graph
    if command.command_id in job.commands:
        return []
    check_task(job, task)
    if graph.status[task] in _WITHOUT_SUCCESS:
        return []
    boundary = job.optional_boundary(task)
    running = in_states(job, graph.subtree(task), (_RUNNING,))
    asked = [one for one in running if _is_news(command, job.cancel_requests.get(one))]
    queued: list[int] = []
    abandoned: list[int] = []
    if job.state not in HALTED:
        queued = queued_of(job, graph.subtree(task if boundary is None else boundary))
        abandoned = [] if boundary is not None else stranded(job, task)
    affected = len(queued) + len(asked) + len(abandoned)
    if not affected:
        return []
    by = (command.command_id, command.by, command.reason, command.grace)
    events: list[e.Event] = [e.CancelRequested(task, ranges.pack(asked), *by, affected)]
    if queued:
        kind = e.TasksCanceled if boundary is None else e.TasksSkipped
        events.append(kind(ranges.pack(queued), task))
    if abandoned:
        events.append(e.TasksAbandoned(ranges.pack(abandoned), task))
    return with_end(job, events, left=job.left - len(queued) - len(abandoned))


def _is_news(command: c.CancelJob | c.CancelTask, before: e.JobCanceled | e.CancelRequested | None) -> bool:
    """Whether what runs is told something new: that it is to stop, or when it is stopped, if sooner than said before."""
    if before is None:
        return True
    return command.grace >= 0 and (before.grace < 0 or command.grace < before.grace)


def retry(job: Job, command: c.RetryJob, now: int) -> list[e.Event]:
    check_exists(job)
    if command.command_id in job.commands:
        return []
    if job.state == JobState.COMPLETED.value:
        raise _not_retryable(job)
    check_deadline(command.deadline)
    halted = job.state in HALTED
    abandoned: dict[int, list[int]] = {}
    if command.task >= 0:
        tasks, abandoned = _part(job, command.task)
    else:
        tasks = _lost(job)
        if not (halted or tasks or job.cancel_requests):
            raise _not_retryable(job)
    queued = job.counts[_QUEUED] - sum(map(len, abandoned.values()))
    rescheduled = len(tasks) + (queued if halted else 0)
    # one that has passed would end the job again at once
    deadline = command.deadline or (job.deadline if job.deadline > now or not halted else 0)
    events: list[e.Event] = [
        e.JobRetried(command.command_id, ranges.pack(tasks), rescheduled, command.by, command.task, deadline)
    ]
    events += [e.TasksAbandoned(ranges.pack(group), cause) for cause, group in sorted(abandoned.items())]
    return events if job.unfinished else [*events, e.JobCompleted()]


def _part(job: Job, task: int) -> tuple[list[int], dict[int, list[int]]]:
    """Return which tasks a retry of one task resets, and the queued ones it leaves without a chance to run, by cause.

    Reset are those of its subtree, and those elsewhere that were abandoned for the sake of nothing else.
    """
    check_task(job, task)
    graph, status = job.graph, job.graph.status
    below = set(graph.subtree(task))
    lost = _lost(job)
    others = {one for one in lost if status[one] != _ABANDONED} | job.unwanted
    hopeless = graph.stranded(sorted(others - below), (_QUEUED, _CANCELED, _ABANDONED))
    if task in hopeless and status[task] in _LOST:
        raise Refusal(
            "not_retryable",
            f"task {task} of job {job.id} depends on task {hopeless[task]}, which failed or was canceled: retry that "
            "one first, or the whole job",
        )
    tasks = [one for one in lost if one in below or (status[one] == _ABANDONED and one not in hopeless)]
    left_behind = queued_of(job, sorted(hopeless))
    takes_back = not below.isdisjoint(job.unwanted | job.cancel_requests.keys())
    if not tasks and not (takes_back and job.left > len(left_behind)):
        raise Refusal(
            "not_retryable",
            f"task {task} of job {job.id} is {job.state_of(task).name}, and no task below it failed, was canceled or "
            "abandoned: there is nothing to retry but the whole job, where that is FAILED or CANCELED",
        )
    abandoned: dict[int, list[int]] = {}
    for one in left_behind:
        abandoned.setdefault(hopeless[one], []).append(one)
    return tasks, abandoned


def _lost(job: Job) -> list[int]:
    if not any(job.counts[state] for state in _LOST):
        return []
    return in_states(job, range(len(job.graph)), _LOST)


def _not_retryable(job: Job) -> Refusal:
    state = JobState(job.state)
    done = state is JobState.COMPLETED
    remedy = "submit it again to run it anew" if done else "wait for it to end, or cancel it first"
    return Refusal(
        "not_retryable",
        f"job {job.id} is {state.name}; only a FAILED or CANCELED job is retried, or one with such tasks: {remedy}",
    )


def delete(job: Job, command: c.DeleteJob, now: int) -> list[e.Event]:
    if command.command_id in job.commands:
        return []
    check_exists(job)
    deleted = e.JobDeleted(command.command_id, command.by, command.reason)
    if job.settled:
        return [deleted]
    if not command.force:
        state, running = JobState(job.state).name, job.counts[_RUNNING]
        why = f"it is {state}" + (f" and {running} of its tasks still run" if running else "")
        raise Refusal(
            "not_deletable",
            f"job {job.id} cannot be deleted: {why}. Cancel it and wait until it is settled, or delete it with force",
        )
    return [e.JobCanceled("", command.by, command.reason, 0), deleted]


def erase(job: Job, command: c.EraseJob, now: int) -> list[e.Event]:
    return [e.JobErased(job.options.sealed)] if job.erasing else []


def expire_job(job: Job, command: c.ExpireJob, now: int) -> list[e.Event]:
    if not job.deadline or now < job.deadline or job.state in HALTED:
        return []
    return [e.DeadlineExceeded(job.deadline)]
