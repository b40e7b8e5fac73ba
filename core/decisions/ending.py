"""What an end does to others: who is skipped, who is left without a chance to run, and when the job is over."""

from __future__ import annotations

from collections.abc import Iterable

from .. import events as e
from ..job import Job
from ..lifecycle import HALTED, TaskState

_QUEUED, _FAILED = TaskState.QUEUED.value, TaskState.FAILED.value
_CANCELED, _ABANDONED = TaskState.CANCELED.value, TaskState.ABANDONED.value


def in_states(job: Job, tasks: Iterable[int], states: tuple[int, ...]) -> list[int]:
    status = job.graph.status
    return [task for task in tasks if status[task] in states]


def queued_of(job: Job, tasks: Iterable[int]) -> list[int]:
    return in_states(job, tasks, (_QUEUED,))


def stranded(job: Job, lost: int) -> list[int]:
    """Return the queued tasks that can never run because this one will not succeed.

    Those that cannot for the sake of another one are abandoned already, in a job that goes on.
    """
    return sorted(job.graph.stranded([lost], (_QUEUED,)))


def with_end(job: Job, events: list[e.Event], *, left: int) -> list[e.Event]:
    """Add how the job ends, if these events leave nothing of it to run. A failure outranks a cancel.

    Shape:  `left` is how many tasks are queued or running after them.
    """
    if left or job.state in HALTED:
        return events
    failed = [event.task for event in events if isinstance(event, e.TaskFailed)]
    if job.counts[_FAILED]:
        failed.append(job.graph.status.find(_FAILED))
    if failed:
        events.append(e.JobFailed(min(failed)))
    elif (
        job.counts[_CANCELED]
        or job.counts[_ABANDONED]
        or any(isinstance(event, _CANCELS) for event in events)
    ):
        requests = [event for event in events if isinstance(event, e.CancelRequested)]
        last = requests[-1] if requests else job.cancel
        events.append(e.JobCanceled("", last.by if last else "", last.reason if last else ""))
    else:
        events.append(e.JobCompleted())
    return events


_CANCELS = (e.TaskCanceled, e.TasksCanceled, e.TasksAbandoned)
