"""A job begins where another one was: tasks that are over from the beginning.

They are known before the job is: parts of them are kept until `JobSubmitted` takes them over, all at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import events as e
from ..lifecycle import LifecycleError, TaskState
from ..submission import Submission
from .state import Job
from .steps import QUEUED, add_tasks, follow_tasks

_COMPUTED, _SKIPPED = TaskState.COMPUTED.value, TaskState.SKIPPED.value
#: how a task may have ended that does not run again, whatever happens to its job
_OVER = (_COMPUTED, _SKIPPED, TaskState.FAILED_OPTIONAL.value)
_ATTEMPTS = range(2**32)
_NUMBERS = range(2**31)  # of tasks


def taken_over(job: Job, event: e.TasksTakenOver, at: int) -> None:
    if job.state:
        raise LifecycleError("TasksTakenOver after JobSubmitted")
    if event.part == 0:
        job.plan, job.taken_over = event.plan, [event]
    elif event.plan != job.plan or event.part != len(job.taken_over):
        raise LifecycleError(f"part {event.part} of what a fork takes over, without the one before it")
    else:
        job.taken_over.append(event)


def check_whole(job: Job, event: e.JobSubmitted) -> None:
    """Raise unless the job can be taken over as the parts that are known say."""
    if not job.taken_over:
        return
    if event.options is None or event.options.origin is None:
        raise LifecycleError("tasks were taken over, and the job does not say from where")
    try:
        left_to_run(event.tasks, job.taken_over)
    except ValueError as error:
        raise LifecycleError(f"tasks cannot be taken over: {error}") from error


def left_to_run(roots: Submission, parts: Sequence[e.TasksTakenOver]) -> int:
    """Return how many tasks a fork has to run. Errors: ValueError unless the parts make sense together."""
    known = total = len(roots)
    for part in parts:
        total += sum([len(chunk.tasks) for chunk in part.subtasks])
    over = bytearray(total)
    pending: dict[int, int] = {}  # subtasks by the number of their parent
    for part in parts:
        for chunk in part.subtasks:
            chunk.tasks.check()
            start, before = chunk.tasks.start, pending.get(chunk.task, 0)
            if start != before:
                raise ValueError(f"subtasks of task {chunk.task} begin at {start} instead of {before}")
            pending[chunk.task] = before + len(chunk.tasks)
        for one in part.tasks:
            if not 0 <= one.task < known:
                raise ValueError(f"task {one.task} is not among the first {known}")
            if over[one.task]:
                raise ValueError(f"task {one.task} is taken over twice")
            over[one.task] = 1
            fits = one.source in _NUMBERS and one.attempt in _ATTEMPTS and 0 <= one.runner < len(part.runners)
            if one.state not in _OVER or not fits:
                raise ValueError(
                    f"task {one.task} has state {one.state}, source {one.source}, attempt {one.attempt}, "
                    f"runner {one.runner}"
                )
            if one.state == _SKIPPED and not 0 <= one.cause < total:
                raise ValueError(
                    f"task {one.task} is skipped because of task {one.cause}, which does not exist"
                )
            if one.state == _COMPUTED and pending:
                known += pending.pop(one.task, 0)
    if pending:
        raise ValueError(f"task {min(pending)} has subtasks, and is not taken over as computed")
    return total - over.count(1)


def take_over(job: Job) -> None:
    """Have what was taken over take effect. It was checked."""
    graph, counts = job.graph, job.counts
    pending: dict[int, list[Submission]] = {}
    for part in job.taken_over:
        for chunk in part.subtasks:
            pending.setdefault(chunk.task, []).append(chunk.tasks)
        for one in part.tasks:
            task = one.task
            graph.status[task] = one.state
            graph.ready[task] = 0
            job.attempt[task] = one.attempt
            counts[QUEUED] -= 1
            counts[one.state] += 1
            if one.result is not None:
                job.results[task] = one.result
            first = len(graph)
            for tasks in pending.pop(task, ()):
                add_tasks(job, tasks, base=first, parent=task)
            graph.finish(task, first_child=first, children=len(graph) - first)
    job.taken_over = []
    follow_tasks(job)
