"""One job: its state, and how each event changes it.

`evolve` is the only code that changes a job, for the engine, for every view and for every audit alike. It trusts
nothing: an event that the lifecycle forbids raises `LifecycleError` and leaves the job as it was.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from typing import Any

from . import events as e
from . import ranges
from .graph import ROOT, TaskGraph
from .lifecycle import HALTED, JOB_TABLE, TASK_TABLE, JobState, LifecycleError, TaskState
from .submission import Submission, TaskSpec

_RUNNING = TaskState.RUNNING.value
_QUEUED = TaskState.QUEUED.value
_COMPUTED = TaskState.COMPUTED.value
_FAILED = TaskState.FAILED.value
_STATES = len(TaskState) + 1

_CLAIM, _COMPUTE, _SKIP, _RETRY = (TASK_TABLE[event] for event in ("claim", "compute", "skip", "retry"))


class Job:
    """The state of a job, in arrays indexed by task number. About 150 bytes a task beyond the inputs."""

    __slots__ = (
        "attempt",
        "by",
        "claimed_by",
        "commands",
        "counts",
        "expiries",
        "failed_task",
        "failures",
        "graph",
        "id",
        "inputs",
        "name",
        "spec_index",
        "specs",
        "staged",
        "state",
        "submitted_at",
    )

    def __init__(self, job_id: str) -> None:
        self.id = job_id
        self.name = ""
        self.by = ""
        self.submitted_at = 0
        self.state = 0  #: a JobState value; 0 before JobSubmitted
        self.graph = TaskGraph()
        self.specs: list[TaskSpec] = []  #: the kinds of task seen so far
        self.spec_index: dict[TaskSpec, int] = {}
        self.inputs: list[bytes] = []
        self.attempt = array("I")  #: number of the current or last attempt, 0 before the first
        self.counts = [0] * _STATES  #: how many tasks are in each TaskState
        self.failures: dict[int, int] = {}  #: failed attempts since the last retry of the job, where not 0
        self.expiries: dict[int, int] = {}  #: expired leases since the last retry of the job, where not 0
        self.claimed_by: dict[int, str] = {}  #: runner of each running task
        self.staged: dict[int, list[Submission]] = {}  #: subtasks of attempts that have not reported yet
        self.failed_task: int | None = None  #: the task that failed the job
        self.commands: dict[
            str, int
        ] = {}  #: what each cancel (1) and retry (tasks rescheduled) was answered, by command id

    @property
    def unfinished(self) -> int:
        """How many tasks keep the job from being completed."""
        counts = self.counts
        return counts[_QUEUED] + counts[_RUNNING] + counts[_FAILED]

    @property
    def settled(self) -> bool:
        """Whether the job is in a terminal state with no task running."""
        return self.state in HALTED and not self.counts[_RUNNING]

    def state_of(self, task: int) -> TaskState:
        return TaskState(self.graph.status[task])

    def spec_of(self, task: int) -> TaskSpec:
        return self.specs[self.graph.spec[task]]

    def staged_count(self, task: int) -> int:
        """How many subtasks the running attempt has staged so far."""
        return sum(len(chunk) for chunk in self.staged.get(task, ()))


def evolve(job: Job, event: e.Event | e.UnknownEvent, at: int) -> None:
    """Apply one event, committed at `at`.

    Errors: LifecycleError if the event cannot follow what came before. The job is then as it was.
    """
    handler = _HANDLERS.get(event.__class__)
    if handler is None:
        return  # of a later version of jobledger: kept in the log, without meaning here
    if not job.state and event.__class__ is not e.JobSubmitted:
        raise LifecycleError(f"{type(event).__name__} before JobSubmitted")
    handler(job, event, at)


def fold(job: Job, commits: Iterable[tuple[int, Iterable[e.Event | e.UnknownEvent]]]) -> Job:
    """Apply the events of these (time, events) commits in order, and return the job."""
    for at, events in commits:
        for event in events:
            evolve(job, event, at)
    return job


# -- what each event does ---------------------------------------------------------------------------------------


def _submitted(job: Job, event: e.JobSubmitted, at: int) -> None:
    if job.state:
        raise LifecycleError("JobSubmitted twice")
    _check_tasks(event.tasks, start=0)
    job.name, job.by, job.submitted_at = event.name, event.by, at
    job.state = JobState.SUBMITTED.value
    _add_tasks(job, event.tasks, base=0, parent=ROOT)


def _staged(job: Job, event: e.SubtasksStaged, at: int) -> None:
    _check_running(job, event)
    _check_tasks(event.tasks, start=job.staged_count(event.task))
    job.staged.setdefault(event.task, []).append(event.tasks)


def _claimed(job: Job, event: e.TasksClaimed, at: int) -> None:
    graph = job.graph
    if job.state in HALTED:
        raise LifecycleError(f"tasks claimed while the job is {JobState(job.state).name}")
    _check_ranges(graph, event.tasks)
    for start, stop in ranges.pairs(event.tasks):
        if graph.ready.count(1, start, stop) != stop - start:
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
        job.counts[_QUEUED] -= size
        job.counts[_RUNNING] += size
    _follow_tasks(job)


def _computed(job: Job, event: e.TaskComputed, at: int) -> None:
    task = event.task
    if event.subtasks is not None:
        _check_tasks(event.subtasks, start=job.staged_count(task))
    _leave_running(job, event, _COMPUTE)
    graph = job.graph
    chunks = job.staged.pop(task, None)
    if event.subtasks is None and chunks is None:
        graph.finish(task)
    else:
        first = len(graph)
        for chunk in [*(chunks or ()), *((event.subtasks,) if event.subtasks is not None else ())]:
            _add_tasks(job, chunk, base=first, parent=task)
        graph.finish(task, first_child=first, children=len(graph) - first)
    if not job.counts[_RUNNING]:
        _follow_tasks(job)


def _attempt_failed(job: Job, event: e.AttemptFailed, at: int) -> None:
    _requeue(job, event, "fail_attempt")
    job.failures[event.task] = job.failures.get(event.task, 0) + 1


def _failed(job: Job, event: e.TaskFailed, at: int) -> None:
    _leave_running(job, event, TASK_TABLE["fail"])
    job.staged.pop(event.task, None)
    _follow_tasks(job)


def _optional_failed(job: Job, event: e.OptionalTaskFailed, at: int) -> None:
    _leave_running(job, event, TASK_TABLE["fail_optional"])
    job.staged.pop(event.task, None)
    job.graph.finish(event.task)
    _follow_tasks(job)


def _skipped(job: Job, event: e.TasksSkipped, at: int) -> None:
    graph = job.graph
    _check_ranges(graph, event.tasks)
    for start, stop in ranges.pairs(event.tasks):
        if graph.status[start:stop].translate(_SKIP).count(0):
            raise LifecycleError(f"a task in [{start}, {stop}) is skipped but not queued")
    # all are marked before any is finished: finishing one must not make another one ready
    for start, stop in ranges.pairs(event.tasks):
        graph.status[start:stop] = graph.status[start:stop].translate(_SKIP)
        graph.ready[start:stop] = bytes(stop - start)
        job.counts[_QUEUED] -= stop - start
        job.counts[TaskState.SKIPPED.value] += stop - start
    for task in ranges.numbers(event.tasks):
        graph.finish(task)


def _released(job: Job, event: e.TaskReleased, at: int) -> None:
    _requeue(job, event, "release")


def _expired(job: Job, event: e.LeaseExpired, at: int) -> None:
    _requeue(job, event, "expire")
    job.expiries[event.task] = job.expiries.get(event.task, 0) + 1


def _job_completed(job: Job, event: e.JobCompleted, at: int) -> None:
    if job.unfinished:
        raise LifecycleError(f"the job is completed with {job.unfinished} unfinished tasks")
    _move_job(job, "complete")


def _job_failed(job: Job, event: e.JobFailed, at: int) -> None:
    if not 0 <= event.task < len(job.graph) or job.graph.status[event.task] != _FAILED:
        raise LifecycleError(f"the job failed of task {event.task}, which has not failed")
    _move_job(job, "fail")
    job.failed_task = event.task


def _job_canceled(job: Job, event: e.JobCanceled, at: int) -> None:
    _move_job(job, "cancel")
    job.commands[event.command_id] = 1


def _job_retried(job: Job, event: e.JobRetried, at: int) -> None:
    graph = job.graph
    _check_ranges(graph, event.tasks)
    for start, stop in ranges.pairs(event.tasks):
        if graph.status[start:stop].translate(_RETRY).count(0):
            raise LifecycleError(f"a task in [{start}, {stop}) is retried but has not failed")
    _move_job(job, "retry")
    for task in ranges.numbers(event.tasks):
        graph.requeue(task)
    size = ranges.count(event.tasks)
    job.counts[_FAILED] -= size
    job.counts[_QUEUED] += size
    job.failures.clear()
    job.expiries.clear()
    job.failed_task = None
    job.commands[event.command_id] = event.rescheduled
    _follow_tasks(job)


# -- the steps they share ---------------------------------------------------------------------------------------


def _add_tasks(job: Job, tasks: Submission, *, base: int, parent: int) -> None:
    index = []
    for spec in tasks.specs:
        if spec not in job.spec_index:
            job.spec_index[spec] = len(job.specs)
            job.specs.append(spec)
        index.append(job.spec_index[spec])
    job.graph.add(tasks, base=base, parent=parent, specs=index)
    job.inputs += tasks.inputs
    job.attempt += array("I", (0,)) * len(tasks)
    job.counts[_QUEUED] += len(tasks)


def _check_tasks(tasks: Submission, *, start: int) -> None:
    if tasks.start != start:
        raise LifecycleError(f"a chunk of subtasks begins at {tasks.start} instead of {start}")
    try:
        tasks.check()
    except ValueError as error:
        raise LifecycleError(f"malformed submission: {error}") from error


def _check_ranges(graph: TaskGraph, tasks: list[int]) -> None:
    try:
        ranges.check(tasks, len(graph))
    except ValueError as error:
        raise LifecycleError(f"malformed ranges: {error}") from error


def _check_running(job: Job, event: Any) -> None:
    """Raise unless the event speaks of the current attempt of a running task: attempt is the fence."""
    task = event.task
    if not 0 <= task < len(job.attempt):
        raise LifecycleError(f"{type(event).__name__} of task {task}, which does not exist")
    if job.graph.status[task] != _RUNNING or job.attempt[task] != event.attempt:
        raise LifecycleError(
            f"{type(event).__name__} of attempt {event.attempt} of task {task}, "
            f"which is {job.state_of(task).name} at attempt {job.attempt[task]}"
        )


def _leave_running(job: Job, event: Any, row: bytes) -> None:
    _check_running(job, event)
    task = event.task
    target = row[_RUNNING]
    job.graph.status[task] = target
    del job.claimed_by[task]
    job.counts[_RUNNING] -= 1
    job.counts[target] += 1


def _requeue(job: Job, event: Any, transition: str) -> None:
    _leave_running(job, event, TASK_TABLE[transition])
    job.staged.pop(event.task, None)
    job.graph.requeue(event.task)
    _follow_tasks(job)


def _move_job(job: Job, event: str) -> None:
    target = JOB_TABLE[event][job.state]
    if not target:
        raise LifecycleError(f"the job cannot {event}: it is {JobState(job.state).name}")
    job.state = target


def _follow_tasks(job: Job) -> None:
    """Derive RUNNING and STARTED. A job that was started and has nothing computed counts as RUNNING."""
    if job.state in HALTED:
        return
    if job.counts[_RUNNING]:
        event = "run"
    elif job.counts[_COMPUTED]:
        event = "rest"
    elif any(job.attempt):
        event = "run"
    else:
        return
    job.state = JOB_TABLE[event][job.state] or job.state  # 0: it runs, or rests, already


_HANDLERS: dict[type, Callable[[Job, Any, int], None]] = {
    e.JobSubmitted: _submitted,
    e.SubtasksStaged: _staged,
    e.TasksClaimed: _claimed,
    e.TaskComputed: _computed,
    e.AttemptFailed: _attempt_failed,
    e.TaskFailed: _failed,
    e.OptionalTaskFailed: _optional_failed,
    e.TasksSkipped: _skipped,
    e.TaskReleased: _released,
    e.LeaseExpired: _expired,
    e.JobCompleted: _job_completed,
    e.JobFailed: _job_failed,
    e.JobCanceled: _job_canceled,
    e.JobRetried: _job_retried,
}
