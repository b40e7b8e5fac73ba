"""What an end does to others: queued tasks that will not run, and the end of the job itself."""

from __future__ import annotations

from .. import events as e
from .. import ranges
from ..lifecycle import LifecycleError, TaskState
from .state import Job
from .steps import check_exists, end_queued, move_job

_FAILED = TaskState.FAILED.value


def tasks_skipped(job: Job, event: e.TasksSkipped, at: int) -> None:
    end_queued(job, event, "skip")
    for task in ranges.numbers(event.tasks):
        job.graph.finish(task)


def tasks_canceled(job: Job, event: e.TasksCanceled, at: int) -> None:
    end_queued(job, event, "cancel")


def tasks_abandoned(job: Job, event: e.TasksAbandoned, at: int) -> None:
    end_queued(job, event, "abandon")


def job_completed(job: Job, event: e.JobCompleted, at: int) -> None:
    if job.unfinished:
        raise LifecycleError(f"the job is completed with {job.unfinished} unfinished tasks")
    move_job(job, "complete")


def job_failed(job: Job, event: e.JobFailed, at: int) -> None:
    check_exists(job, event, event.task)
    if job.graph.status[event.task] != _FAILED:
        raise LifecycleError(f"the job failed of task {event.task}, which has not failed")
    move_job(job, "fail")
    job.failed_task = event.task
