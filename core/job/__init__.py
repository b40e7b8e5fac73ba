"""One job: its state, and how each event changes it.

`evolve` is the only code that changes a job, for the engine, for every view and for every audit alike. It trusts
nothing: an event that the lifecycle forbids raises `LifecycleError` and leaves the job as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .. import events as e
from ..lifecycle import JobState, LifecycleError
from . import ending, forking, interventions, leaves, reports, work
from .state import Job

__all__ = ["Job", "evolve", "evolve_all", "fold"]

_DELETED = JobState.DELETED.value


def evolve(job: Job, event: e.Event | e.UnknownEvent, at: int) -> None:
    """Apply one event, committed at `at`.

    Errors: LifecycleError if the event cannot follow what came before. The job is then as it was.
    """
    handler = _HANDLERS.get(event.__class__)
    if handler is None:
        return  # of a later version of jobledger: kept in the log, without meaning here
    if not 0 < job.state < _DELETED:
        if job.state and event.__class__ is not e.JobErased:
            raise LifecycleError(f"{type(event).__name__} after JobDeleted")
        if not job.state and event.__class__ not in _BEFORE_ALL:
            raise LifecycleError(f"{type(event).__name__} before JobSubmitted")
    handler(job, event, at)


def evolve_all(job: Job, events: Sequence[e.Event | e.UnknownEvent], at: int) -> None:
    """Apply the events of one commit, in order.

    Errors: as `evolve`. The job then has the events before the one that cannot follow.
    """
    index = 0
    while index < len(events):
        event = events[index]
        if event.__class__ is e.TaskComputed and 0 < job.state < _DELETED:
            done = leaves.computed(job, events, index)
            if done > index:
                index = done
                continue
        evolve(job, event, at)
        index += 1


def fold(job: Job, commits: Iterable[tuple[int, Sequence[e.Event | e.UnknownEvent]]]) -> Job:
    """Apply the events of these (time, events) commits in order, and return the job."""
    for at, events in commits:
        evolve_all(job, events, at)
    return job


_BEFORE_ALL = (e.JobSubmitted, e.TasksTakenOver)

_HANDLERS: dict[type, Callable[[Job, Any, int], None]] = {
    e.TasksTakenOver: forking.taken_over,
    e.JobSubmitted: work.submitted,
    e.SubtasksStaged: work.staged,
    e.TasksClaimed: work.claimed,
    e.TaskProgressed: work.progressed,
    e.TaskComputed: reports.computed,
    e.TaskReused: reports.reused,
    e.AttemptFailed: reports.attempt_failed,
    e.TaskFailed: reports.failed,
    e.OptionalTaskFailed: reports.optional_failed,
    e.TaskCanceled: reports.canceled,
    e.TaskReleased: reports.released,
    e.LeaseExpired: reports.expired,
    e.TasksSkipped: ending.tasks_skipped,
    e.TasksCanceled: ending.tasks_canceled,
    e.TasksAbandoned: ending.tasks_abandoned,
    e.JobCompleted: ending.job_completed,
    e.JobFailed: ending.job_failed,
    e.JobCanceled: interventions.job_canceled,
    e.CancelRequested: interventions.cancel_requested,
    e.JobRetried: interventions.job_retried,
    e.DeadlineExceeded: interventions.deadline_exceeded,
    e.JobDeleted: interventions.job_deleted,
    e.JobErased: interventions.job_erased,
}
