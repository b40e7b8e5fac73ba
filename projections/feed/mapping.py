"""An event as the facts that the feed tells: one, or several where it is about tasks of several kinds, or very many.

A fact is about tasks of one kind, a cluster and a name, or about a job as a whole. So whoever wants to know of the tasks
of one kind hears all of them, and of no others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jobledger.core import events as e

from . import about_jobs, about_tasks, tasks
from . import data as d
from .context import JobContext
from .facts import Fact, Facts
from .plain import plain


def facts(context: JobContext, event: e.Event | e.UnknownEvent) -> list[Fact]:
    """Return what the feed tells of an event, at least one fact, and fold it into the context."""
    if isinstance(event, e.UnknownEvent):
        return [Fact(None, d.Unknown(plain(event.tag), [plain(field) for field in event.fields]))]
    tell, _ = _TELL[event.__class__]
    found = list(tell(context, event))
    born = context.fold(event)
    for taken in born.tasks:
        found += [Fact(kind, submitted) for kind, submitted in tasks.submitted(taken)]
    for part in born.over:
        found += about_jobs.taken_over(context, part)
    return found


#: each type of event: how it is told, and the messages that tell it
_TELL: dict[type, tuple[Callable[[JobContext, Any], Facts], tuple[type[d.Data], ...]]] = {
    e.JobSubmitted: (about_jobs.job_submitted, (d.JobSubmitted, d.TaskSubmitted, d.TaskTakenOver)),
    e.SubtasksStaged: (about_tasks.staged, (d.TaskStaged,)),
    e.TasksClaimed: (about_tasks.claimed, (d.TaskClaimed,)),
    e.TaskComputed: (about_tasks.computed, (d.TaskComputed, d.TaskSubmitted)),
    e.AttemptFailed: (about_tasks.attempt_failed, (d.TaskAttemptFailed,)),
    e.TaskFailed: (about_tasks.failed, (d.TaskFailed,)),
    e.OptionalTaskFailed: (about_tasks.failed_optional, (d.TaskFailedOptional,)),
    e.TasksSkipped: (about_tasks.skipped, (d.TaskSkipped,)),
    e.TaskReleased: (about_tasks.released, (d.TaskReleased,)),
    e.LeaseExpired: (about_tasks.expired, (d.TaskLeaseExpired,)),
    e.JobCompleted: (about_jobs.job_completed, (d.JobCompleted,)),
    e.JobFailed: (about_jobs.job_failed, (d.JobFailed,)),
    e.JobCanceled: (about_jobs.job_canceled, (d.JobCanceled,)),
    e.JobRetried: (about_jobs.job_retried, (d.JobRetried, d.TaskRetried)),
    e.CancelRequested: (about_tasks.cancel_requested, (d.TaskCancelRequested,)),
    e.TasksCanceled: (about_tasks.canceled_queued, (d.TaskCanceledQueued,)),
    e.TaskCanceled: (about_tasks.canceled, (d.TaskCanceled,)),
    e.TasksAbandoned: (about_tasks.abandoned, (d.TaskAbandoned,)),
    e.TaskReused: (about_tasks.reused, (d.TaskReused,)),
    e.TaskProgressed: (about_tasks.progressed, (d.TaskProgressed,)),
    e.DeadlineExceeded: (about_jobs.deadline_exceeded, (d.JobDeadlineExceeded,)),
    e.JobDeleted: (about_jobs.job_deleted, (d.JobDeleted,)),
    e.TasksTakenOver: (about_jobs.forking, (d.JobForking,)),
    e.JobErased: (about_jobs.job_erased, (d.JobErased,)),
}

#: the messages that tell of each type of event; of others, `Unknown` does
TOLD: dict[type, tuple[type[d.Data], ...]] = {event: messages for event, (_, messages) in _TELL.items()}
