"""An attempt has ended."""

from __future__ import annotations

from .. import events as e
from ..lifecycle import TASK_TABLE, LifecycleError
from .state import Job
from .steps import RUNNING, add_tasks, check_tasks, end_without_success, follow_tasks, leave_running, requeue

_COMPUTE = TASK_TABLE["compute"]


def computed(job: Job, event: e.TaskComputed, at: int) -> None:
    task = event.task
    if event.subtasks is not None:
        check_tasks(event.subtasks, start=job.staged_count(task))
    leave_running(job, event, _COMPUTE)
    if event.result is not None:
        job.results[task] = event.result
    if event.reuse_key is not None:
        job.reuse_keys[task] = event.reuse_key
    graph = job.graph
    chunks = job.staged.pop(task, None) if job.staged else None
    if event.subtasks is None and chunks is None:
        graph.finish(task)
    else:
        first = len(graph)
        for chunk in [*(chunks or ()), *((event.subtasks,) if event.subtasks is not None else ())]:
            add_tasks(job, chunk, base=first, parent=task)
        graph.finish(task, first_child=first, children=len(graph) - first)
    if not job.counts[RUNNING]:
        follow_tasks(job)


def reused(job: Job, event: e.TaskReused, at: int) -> None:
    # What it staged before it found the earlier success is not needed.
    end_without_success(job, event, "compute")
    if event.result is not None:
        job.results[event.task] = event.result
    job.graph.finish(event.task)
    follow_tasks(job)


def attempt_failed(job: Job, event: e.AttemptFailed, at: int) -> None:
    requeue(job, event, "fail_attempt", event.retry_at)
    job.failures[event.task] = job.failures.get(event.task, 0) + 1


def failed(job: Job, event: e.TaskFailed, at: int) -> None:
    end_without_success(job, event, "fail")
    follow_tasks(job)


def optional_failed(job: Job, event: e.OptionalTaskFailed, at: int) -> None:
    end_without_success(job, event, "fail_optional")
    job.graph.finish(event.task)
    follow_tasks(job)


def canceled(job: Job, event: e.TaskCanceled, at: int) -> None:
    if event.task not in job.cancel_requests:
        raise LifecycleError(f"TaskCanceled of task {event.task}, which was not asked to stop")
    end_without_success(job, event, "cancel")
    follow_tasks(job)


def released(job: Job, event: e.TaskReleased, at: int) -> None:
    requeue(job, event, "release")
    job.let_go[event.task] = event.attempt


def expired(job: Job, event: e.LeaseExpired, at: int) -> None:
    requeue(job, event, "expire")
    job.let_go[event.task] = event.attempt
    job.expiries[event.task] = job.expiries.get(event.task, 0) + 1
    if event.alone:
        job.lost_alone[event.task] = job.lost_alone.get(event.task, 0) + 1
