"""Somebody stepped in, or the clock did."""

from __future__ import annotations

from itertools import chain

from .. import events as e
from .. import ranges
from ..lifecycle import HALTED, TASK_TABLE, JobState, LifecycleError
from .state import Job
from .steps import QUEUED, RUNNING, check_exists, check_ranges, follow_tasks, move_job

_RETRY = TASK_TABLE["retry"]


def job_canceled(job: Job, event: e.JobCanceled, at: int) -> None:
    move_job(job, "stop" if job.state in HALTED else "cancel")
    job.cancel = job.halt = event
    if event.command_id:
        job.commands[event.command_id] = 1


def cancel_requested(job: Job, event: e.CancelRequested, at: int) -> None:
    graph = job.graph
    check_exists(job, event, event.task)
    check_ranges(graph, event.running)
    for start, stop in ranges.pairs(event.running):
        if graph.status.count(RUNNING, start, stop) != stop - start:
            raise LifecycleError(f"a task in [{start}, {stop}) is asked to stop but does not run")
    job.cancel_requests.update(dict.fromkeys(ranges.numbers(event.running), event))
    if job.optional_boundary(event.task) is None:  # inside an optional subtree it concerns nobody else
        job.unwanted.update((event.task, *ranges.numbers(event.running)))
    job.cancel = event
    job.commands[event.command_id] = event.affected


def job_retried(job: Job, event: e.JobRetried, at: int) -> None:
    graph = job.graph
    if event.task >= 0:
        check_exists(job, event, event.task)
    check_ranges(graph, event.tasks)
    for start, stop in ranges.pairs(event.tasks):
        if graph.status[start:stop].translate(_RETRY).count(QUEUED) != stop - start:
            raise LifecycleError(f"a task in [{start}, {stop}) is retried that has not failed")
    move_job(job, "retry" if job.state in HALTED else "retry_tasks")
    for task in ranges.numbers(event.tasks):
        job.counts[graph.status[task]] -= 1
        graph.requeue(task)
    job.counts[QUEUED] += ranges.count(event.tasks)
    _begin_afresh(job, event)
    job.failed_task = job.halt = None
    job.deadline = event.deadline
    job.commands[event.command_id] = event.rescheduled
    follow_tasks(job)


def _begin_afresh(job: Job, event: e.JobRetried) -> None:
    """Forget what went wrong with the tasks it is about: also with those that are only queued, or run."""
    if event.task < 0:
        for record in (job.failures, job.expiries, job.lost_alone, job.cancel_requests, job.unwanted):
            record.clear()
        return
    for task in chain(job.graph.subtree(event.task), ranges.numbers(event.tasks)):
        job.failures.pop(task, None)
        job.expiries.pop(task, None)
        job.lost_alone.pop(task, None)
        job.cancel_requests.pop(task, None)
        job.unwanted.discard(task)


def deadline_exceeded(job: Job, event: e.DeadlineExceeded, at: int) -> None:
    if event.deadline != job.deadline:
        raise LifecycleError(f"deadline {event.deadline} is exceeded, but that of the job is {job.deadline}")
    move_job(job, "expire")


def job_deleted(job: Job, event: e.JobDeleted, at: int) -> None:
    move_job(job, "delete")
    # Nobody waits for what still runs: nothing happens to the job any more.
    job.claimed_by.clear()
    job.cancel_requests.clear()
    job.slots = dict.fromkeys(job.slots, 0)
    job.commands[event.command_id] = 1


def job_erased(job: Job, event: e.JobErased, at: int) -> None:
    if job.state != JobState.DELETED.value:
        raise LifecycleError("JobErased before JobDeleted")
    if not job.erasing or event.key != job.options.sealed:
        raise LifecycleError(f"JobErased after JobDeleted: {event.key!r} is no key of the job that is left")
    job.erased = True
