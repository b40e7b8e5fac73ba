"""The checks and steps that several events share."""

from __future__ import annotations

from array import array
from typing import Any

from .. import ranges
from ..graph import TaskGraph
from ..lifecycle import HALTED, JOB_TABLE, TASK_TABLE, JobState, LifecycleError, TaskState
from ..submission import Submission
from .state import Job

QUEUED, RUNNING, COMPUTED = TaskState.QUEUED.value, TaskState.RUNNING.value, TaskState.COMPUTED.value


def check_tasks(tasks: Submission, *, start: int) -> None:
    if tasks.start != start:
        raise LifecycleError(f"a chunk of subtasks begins at {tasks.start} instead of {start}")
    try:
        tasks.check()
    except ValueError as error:
        raise LifecycleError(f"malformed submission: {error}") from error


def check_ranges(graph: TaskGraph, tasks: list[int]) -> None:
    try:
        ranges.check(tasks, len(graph))
    except ValueError as error:
        raise LifecycleError(f"malformed ranges: {error}") from error


def check_exists(job: Job, event: Any, task: int) -> None:
    if not 0 <= task < len(job.attempt):
        raise LifecycleError(f"{type(event).__name__} of task {task}, which does not exist")


def check_running(job: Job, event: Any) -> None:
    """Raise unless the event speaks of the current attempt of a running task: attempt is the fence."""
    task = event.task
    if task in job.claimed_by and job.attempt[task] == event.attempt:
        return
    check_exists(job, event, task)
    raise LifecycleError(
        f"{type(event).__name__} of attempt {event.attempt} of task {task}, "
        f"which is {job.state_of(task).name} at attempt {job.attempt[task]}"
    )


def add_tasks(job: Job, tasks: Submission, *, base: int, parent: int) -> None:
    index = []
    for spec in tasks.specs:
        kind = job.spec_index.get(spec)
        if kind is None:
            kind = job.spec_index[spec] = len(job.specs)
            job.specs.append(spec)
            asked = spec.asked
            job.graph.add_kind(priority=asked.priority, not_before=asked.not_before, key=asked.key)
            if asked.key:
                job.slots.setdefault(asked.key, 0)
        index.append(kind)
    job.graph.add(tasks, base=base, parent=parent, specs=index)
    job.inputs += tasks.inputs
    if tasks.references:
        job.references.update(base + position for position in ranges.numbers(tasks.references))
    job.attempt += array("I", (0,)) * len(tasks)
    job.counts[QUEUED] += len(tasks)


def leave_running(job: Job, event: Any, row: bytes) -> None:
    """Take the task of an attempt that has ended to where `row` of the table leads."""
    check_running(job, event)
    task = event.task
    target = row[RUNNING]
    job.graph.status[task] = target
    del job.claimed_by[task]
    if job.slots:
        take_slot(job, task, -1)
    if job.cancel_requests:
        job.cancel_requests.pop(task, None)
    counts = job.counts
    counts[RUNNING] -= 1
    counts[target] += 1


def end_without_success(job: Job, event: Any, transition: str) -> None:
    """As `leave_running`, for an attempt of which nothing stays."""
    leave_running(job, event, TASK_TABLE[transition])
    job.staged.pop(event.task, None)


def requeue(job: Job, event: Any, transition: str, retry_at: int = 0) -> None:
    end_without_success(job, event, transition)
    job.graph.requeue(event.task, retry_at)
    follow_tasks(job)


def end_queued(job: Job, event: Any, transition: str) -> None:
    """Take queued tasks to where they never run. All of them, before any is finished: that makes others ready."""
    graph, row = job.graph, TASK_TABLE[transition]
    check_exists(job, event, event.cause)
    check_ranges(graph, event.tasks)
    for start, stop in ranges.pairs(event.tasks):
        if graph.status.count(QUEUED, start, stop) != stop - start:
            raise LifecycleError(f"{type(event).__name__} of a task in [{start}, {stop}) that is not queued")
    for start, stop in ranges.pairs(event.tasks):
        size = stop - start
        graph.status[start:stop] = bytes((row[QUEUED],)) * size
        graph.ready[start:stop] = bytes(size)
        job.counts[QUEUED] -= size
        job.counts[row[QUEUED]] += size


def take_slot(job: Job, task: int, count: int) -> None:
    key = job.spec_of(task).asked.key
    if key:
        job.slots[key] += count


def move_job(job: Job, event: str) -> None:
    target = JOB_TABLE[event][job.state]
    if not target:
        raise LifecycleError(f"the job cannot {event}: it is {JobState(job.state).name}")
    job.state = target


def follow_tasks(job: Job) -> None:
    """Derive RUNNING and STARTED. A job that was started and has nothing computed counts as RUNNING."""
    if job.state in HALTED:
        return
    if job.counts[RUNNING]:
        event = "run"
    elif job.counts[COMPUTED]:
        event = "rest"
    elif any(job.attempt):
        event = "run"
    else:
        return
    job.state = JOB_TABLE[event][job.state] or job.state  # 0: it runs, or rests, already
