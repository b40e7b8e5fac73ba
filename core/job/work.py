"""Work comes in, is handed out, and speaks of itself while it runs."""

from __future__ import annotations

from array import array

from .. import events as e
from .. import ranges
from ..graph import ROOT, WAITING
from ..lifecycle import HALTED, TASK_TABLE, JobState, LifecycleError
from . import forking
from .state import NO_OPTIONS, Job
from .steps import (
    QUEUED,
    RUNNING,
    add_tasks,
    check_ranges,
    check_running,
    check_tasks,
    follow_tasks,
    take_slot,
)

_CLAIM = TASK_TABLE["claim"]


def submitted(job: Job, event: e.JobSubmitted, at: int) -> None:
    if job.state:
        raise LifecycleError("JobSubmitted twice")
    check_tasks(event.tasks, start=0)
    forking.check_whole(job, event)
    job.name, job.by, job.submitted_at = event.name, event.by, at
    job.options = event.options or NO_OPTIONS
    job.deadline = job.options.deadline
    job.state = JobState.SUBMITTED.value
    add_tasks(job, event.tasks, base=0, parent=ROOT)
    if job.taken_over:
        forking.take_over(job)


def claimed(job: Job, event: e.TasksClaimed, at: int) -> None:
    graph = job.graph
    if job.state in HALTED:
        raise LifecycleError(f"tasks claimed while the job is {JobState(job.state).name}")
    if len(event.tasks) == 2 and 0 <= event.tasks[0] == event.tasks[1] - 1 < len(graph):
        _claim_one(job, event)
        return
    check_ranges(graph, event.tasks)
    for start, stop in ranges.pairs(event.tasks):
        if graph.ready.count(WAITING, start, stop):
            raise LifecycleError(f"a task in [{start}, {stop}) is claimed but not ready")
        if job.attempt[start:stop].count(event.attempt - 1) != stop - start:
            raise LifecycleError(f"attempt {event.attempt} of a task in [{start}, {stop}) is not its next")
    runner = event.runner
    for start, stop in ranges.pairs(event.tasks):
        size = stop - start
        graph.status[start:stop] = graph.status[start:stop].translate(_CLAIM)
        graph.ready[start:stop] = bytes(size)
        job.attempt[start:stop] = array("I", (event.attempt,)) * size
        job.claimed_by.update(dict.fromkeys(range(start, stop), runner))
        if job.slots:
            for task in range(start, stop):
                take_slot(job, task, 1)
        job.counts[QUEUED] -= size
        job.counts[RUNNING] += size
    follow_tasks(job)


def _claim_one(job: Job, event: e.TasksClaimed) -> None:
    """As `claimed`, of a single task: slow tasks are claimed so, and a long history of them is folded in half the time."""
    graph, task = job.graph, event.tasks[0]
    if graph.ready[task] == WAITING:
        raise LifecycleError(f"a task in [{task}, {task + 1}) is claimed but not ready")
    if job.attempt[task] != event.attempt - 1:
        raise LifecycleError(f"attempt {event.attempt} of a task in [{task}, {task + 1}) is not its next")
    graph.status[task] = _CLAIM[graph.status[task]]
    graph.ready[task] = WAITING
    job.attempt[task] = event.attempt
    job.claimed_by[task] = event.runner
    if job.slots:
        take_slot(job, task, 1)
    job.counts[QUEUED] -= 1
    job.counts[RUNNING] += 1
    follow_tasks(job)


def staged(job: Job, event: e.SubtasksStaged, at: int) -> None:
    check_running(job, event)
    check_tasks(event.tasks, start=job.staged_count(event.task))
    job.staged.setdefault(event.task, []).append(event.tasks)


def progressed(job: Job, event: e.TaskProgressed, at: int) -> None:
    check_running(job, event)
