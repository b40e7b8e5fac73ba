"""What runners are told of jobs and tasks that go no further: once when it happens, and with every sign of life after."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jobledger.core import events as e
from jobledger.core import ranges
from jobledger.core.lifecycle import JobState, TaskState

from ...protocol import AttemptRef, Halted
from ..live import LiveJob

#: µs that running tasks have to end after the deadline of their job, before they are stopped
DEADLINE_GRACE = 5_000_000


def news(live: LiveJob) -> Iterator[Halted]:
    """Yield what runners have not been told of this job, and note that they are told now."""
    job = live.job
    notice = _job_halted(live) if live.halted else None
    if notice is not None and notice != live.halt_told and job.counts[TaskState.RUNNING.value]:
        yield notice
    live.halt_told = notice
    asked = job.cancel_requests
    if asked or live.requests_told:
        told = live.requests_told
        yield from _tasks_halted(live, [task for task in asked if told.get(task) is not asked[task]])
        live.requests_told = dict(asked)


def reminders(live: LiveJob, held: Iterable[AttemptRef]) -> Iterator[Halted]:
    """Yield what a runner that holds these attempts of the job should have heard."""
    if live.halted:
        notice = _job_halted(live)
        if notice.canceled:
            yield notice
    yield from _tasks_halted(live, {ref.task for ref in held} & live.job.cancel_requests.keys())


def _job_halted(live: LiveJob) -> Halted:
    job = live.job
    if job.halt is not None:
        return Halted(job.id, None, True, job.halt.reason, job.halt.grace)
    if job.state == JobState.FAILED.value and job.failed_task is None:
        return Halted(job.id, None, True, "the deadline of the job has passed", DEADLINE_GRACE)
    return Halted(job.id)  # what runs may end as it does


def _tasks_halted(live: LiveJob, tasks: Iterable[int]) -> Iterator[Halted]:
    """Group the tasks by the request that asked them to stop."""
    groups: dict[str, tuple[e.CancelRequested, list[int]]] = {}
    for task in tasks:
        request = live.job.cancel_requests[task]
        groups.setdefault(request.command_id, (request, []))[1].append(task)
    for request, members in groups.values():
        yield Halted(live.job.id, ranges.pack(members), True, request.reason, request.grace)
