"""Given, when, then for one job: commands in, events and a folded state out, with small integers for times.

A `JobDriver` does what an engine does, decide and then apply, and keeps the commits. Tests speak to it in the words
of the domain (`claim`, `compute`, `fail`, …) and look at the job it leaves behind.
"""

from __future__ import annotations

import copy
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.decisions import Refusal, decide
from jobledger.core.graph import HELD, READY, WAITING, TaskGraph
from jobledger.core.job import Job, evolve
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.core.policy import Policy
from jobledger.core.queue import TaskQueue
from jobledger.core.submission import NO_DEPENDENCIES, NewTask, Submission, TaskSpec, columns

JOB = "job-1"
ERROR = e.Error("ValueError", "it broke", "a traceback")
A_VALUE = e.Value(b'{"answer":42}')
STARTED, STOPPED = 10, 20  # of every attempt: nothing depends on them


def task(
    name: str = "Task",
    *,
    after: Iterable[int] = (),
    data: bytes = b"",
    cluster: str = "default",
    retries: int = 0,
    optional: bool = False,
    **policy: Any,
) -> NewTask:
    """Return a task to submit, which waits for the tasks at the positions `after` of the same submission.

    The other words are those of `core.policy.Policy`.
    """
    asked = Policy(**policy) if policy else None
    return NewTask(TaskSpec(name, 1, 0, cluster, retries, optional, asked), data, frozenset(after))


def submission(*tasks: NewTask) -> Submission:
    """Return these tasks as one submission."""
    (only,) = columns(tasks)
    return only


LETTERS = {TaskState.FAILED_OPTIONAL: "O", TaskState.CANCELED: "X"}  #: of states; the others' is their first
A_TASK = submission(task())
MALFORMED = Submission([b"", b""], [TaskSpec("Task", 1, 0, "default")], [0, 1])
A_LATER_CHUNK = msgspec.structs.replace(A_TASK, start=5)

#: the commands that speak of an attempt: of attempt `attempt` of task `number`
OF_AN_ATTEMPT: dict[str, Callable[[int, int], c.Command]] = {
    "stage": lambda number, attempt: c.StageSubtasks(JOB, number, attempt, A_TASK),
    "computed": lambda number, attempt: c.ReportComputed(JOB, number, attempt, STARTED, STOPPED),
    "failed": lambda number, attempt: c.ReportFailed(JOB, number, attempt, STARTED, STOPPED, ERROR),
    "canceled": lambda number, attempt: c.ReportCanceled(JOB, number, attempt, STARTED, STOPPED),
    "reused": lambda number, attempt: c.ReportReused(JOB, number, attempt, STARTED, STOPPED, "job-0", 7),
    "progress": lambda number, attempt: c.ReportProgress(JOB, number, attempt, STARTED),
    "release": lambda number, attempt: c.ReleaseTask(JOB, number, attempt, "shutting down"),
    "expire": lambda number, attempt: c.ExpireLease(JOB, number, attempt),
}


class JobDriver:
    """One job and everything committed about it."""

    def __init__(self, *roots: NewTask) -> None:
        self.job = Job(JOB)
        self.now = 0
        self.history: list[tuple[int, list[e.Event]]] = []
        if roots:
            self.submit(*roots)

    # -- when -------------------------------------------------------------------------------------------------------

    def do(self, command: c.Command) -> list[e.Event]:
        """Decide, then apply what was decided. Return it."""
        self.now += 1
        self.job.graph.wake(self.now)
        events = decide(self.job, command, self.now)
        for event in events:
            evolve(self.job, event, self.now)
        if events:
            self.history.append((self.now, events))
        return events

    def refused(self, command: c.Command) -> str:
        """Return the code with which `command` is refused, and make sure that the job is as it was."""
        before = snapshot(self.job)
        try:
            events = self.do(command)
        except Refusal as refusal:
            assert snapshot(self.job) == before
            return refusal.code
        raise AssertionError(f"{command} was not refused, it led to {events}")

    def submit(self, *roots: NewTask, **options: Any) -> list[e.Event]:
        """Submit the job. The words are those of `JobOptions`."""
        asked = e.JobOptions(**options) if options else None
        return self.do(c.SubmitJob(JOB, "a job", submission(*roots), "user@host", asked))

    def claim(
        self,
        limit: int = 1,
        *,
        specs: Sequence[int] | None = None,
        runner: str = "runner-1",
        slots: dict[str, int] | None = None,
    ) -> list[int]:
        """Claim up to `limit` tasks, of any kind unless `specs` says otherwise. Return their numbers, ascending."""
        kinds = list(range(len(self.job.specs))) if specs is None else list(specs)
        events = self.do(c.ClaimTasks(JOB, runner, kinds, limit, slots or {}))
        return sorted(number for event in events for number in numbers_of(event))

    def compute(self, number: int, *subtasks: NewTask, attempt: int | None = None) -> list[e.Event]:
        last = submission(*subtasks) if subtasks else None
        return self.do(c.ReportComputed(JOB, number, self._attempt(number, attempt), STARTED, STOPPED, last))

    def stage(self, number: int, chunk: Submission, *, attempt: int | None = None) -> list[e.Event]:
        return self.do(c.StageSubtasks(JOB, number, self._attempt(number, attempt), chunk))

    def fail(
        self, number: int, *, attempt: int | None = None, error: e.Error = ERROR, final: bool = False
    ) -> list[e.Event]:
        attempt = self._attempt(number, attempt)
        report = c.ReportFailed(JOB, number, attempt, STARTED, STOPPED, error, final=final)
        return self.do(report)

    def release(self, number: int, *, attempt: int | None = None) -> list[e.Event]:
        return self.do(c.ReleaseTask(JOB, number, self._attempt(number, attempt), "shutting down"))

    def expire(self, number: int, *, attempt: int | None = None, alone: bool = False) -> list[e.Event]:
        return self.do(c.ExpireLease(JOB, number, self._attempt(number, attempt), alone))

    def stop(self, number: int, *, attempt: int | None = None) -> list[e.Event]:
        """Report that it stopped because it was asked to."""
        return self.do(c.ReportCanceled(JOB, number, self._attempt(number, attempt), STARTED, STOPPED))

    def reuse(self, number: int, *, attempt: int | None = None) -> list[e.Event]:
        """Report that an earlier success was found."""
        attempt = self._attempt(number, attempt)
        return self.do(c.ReportReused(JOB, number, attempt, STARTED, STOPPED, "job-0", 7, A_VALUE))

    def cancel(self, command_id: str = "cancel-1", *, grace: int = -1) -> list[e.Event]:
        return self.do(c.CancelJob(JOB, command_id, "user@host", "enough", grace))

    def cancel_task(self, number: int, command_id: str = "cancel-1", *, grace: int = -1) -> list[e.Event]:
        return self.do(c.CancelTask(JOB, command_id, number, "user@host", "enough", grace))

    def retry(self, command_id: str = "retry-1", *, task: int = -1, deadline: int = 0) -> list[e.Event]:
        return self.do(c.RetryJob(JOB, command_id, "user@host", task, deadline))

    def delete(self, command_id: str = "delete-1", *, force: bool = False) -> list[e.Event]:
        return self.do(c.DeleteJob(JOB, command_id, "user@host", "old", force))

    def run(self, number: int, *subtasks: NewTask) -> list[e.Event]:
        """Claim tasks one at a time until it is this one's turn, which is then computed; the others are given back."""
        claimed: list[int] = []
        while number not in claimed:
            taken = self.claim()
            assert taken, f"task {number} is not ready"
            claimed += taken
        for other in claimed:
            if other != number:
                self.release(other)
        return self.compute(number, *subtasks)

    def drain(self) -> list[int]:
        """Compute whatever is ready, one at a time, until nothing is. Return the tasks in the order they ran."""
        order: list[int] = []
        while taken := self.claim():
            order += taken
            self.compute(taken[0])
        return order

    def _attempt(self, number: int, attempt: int | None) -> int:
        return self.job.attempt[number] if attempt is None else attempt

    # -- then -------------------------------------------------------------------------------------------------------

    @property
    def state(self) -> JobState:
        return JobState(self.job.state)

    @property
    def states(self) -> str:
        """The states of all tasks in order, a letter each; FAILED_OPTIONAL is O, CANCELED is X."""
        return "".join(LETTERS.get(state, state.name[0]) for state in self._states())

    @property
    def counts(self) -> dict[TaskState, int]:
        """How many tasks are in each state, counted afresh, without states that no task is in."""
        return dict(Counter(self._states()))

    def _states(self) -> list[TaskState]:
        return [self.job.state_of(number) for number in range(len(self.job.graph))]


def fanned_out(children: int = 3) -> JobDriver:
    """Return a job whose root is computed and has some subtasks, all ready: tasks 1, 2, 3, …"""
    job = JobDriver(task("Root"))
    job.run(0, *[task("Child") for _ in range(children)])
    return job


def numbers_of(event: e.Event) -> list[int]:
    """Return the numbers of the tasks that a TasksClaimed, TasksSkipped and the like is about."""
    assert isinstance(
        event, e.TasksClaimed | e.TasksSkipped | e.TasksCanceled | e.TasksAbandoned | e.JobRetried
    )
    pairs = zip(event.tasks[::2], event.tasks[1::2], strict=True)
    return [number for start, stop in pairs for number in range(start, stop)]


# -- looking at a job -------------------------------------------------------------------------------------------------


def snapshot(job: Job) -> dict[str, Any]:
    """Return a copy of everything in `job`, down to the last list, for comparison.

    Heaps are told by what they hold: their layout changes as they are looked at, which is no change. Whether what is
    due has been made ready is left out: that depends on when somebody looked at the clock.
    """
    parts = {name: _frozen(getattr(job, name)) for name in Job.__slots__ if name != "graph"}
    return parts | {"graph": graph_snapshot(job.graph)}


def graph_snapshot(graph: TaskGraph) -> dict[str, Any]:
    """As `snapshot`, of a graph."""
    names = {*TaskQueue.__slots__, *TaskGraph.__slots__} - {"_heaps", "_holds", "ready"}
    parts = {name: _frozen(getattr(graph, name)) for name in names}
    return parts | {"ready": graph.ready.translate(_READY_OR_HELD), "hinted": hinted(graph)}


_READY_OR_HELD = bytes((WAITING, READY, READY)) + bytes(253)


def _frozen(value: Any) -> Any:
    kind = type(value)
    if kind in _UNCHANGING or issubclass(kind, _UNCHANGING_STRUCTS):
        return value
    if kind is list:
        # all parts of a list in a job are of one type
        return tuple(value if not value or type(value[0]) in _UNCHANGING else map(_frozen, value))
    if kind is dict:
        return {key: _frozen(part) for key, part in value.items()}
    if kind is set:
        return frozenset(value)
    if kind is Submission:
        return tuple(map(_frozen, msgspec.structs.astuple(value)))
    assert kind in (array, bytearray), f"how is {value!r} copied?"
    return bytes(value)


_UNCHANGING = (int, str, bytes, bool, TaskSpec, type(None))
_UNCHANGING_STRUCTS = (e.JobOptions, e.Value, e.CancelRequested, e.JobCanceled, e.TasksTakenOver)


def hinted(graph: TaskGraph) -> dict[int, set[int]]:
    """Return per kind which ready or held tasks a heap knows of: one that none knows of would never run."""
    known: dict[int, set[int]] = {}
    listed = [(start, stop, READY) for heap in graph._heaps.values() for _, _, start, stop in heap]
    for start, stop, what in [*listed, *((start, stop, HELD) for _, start, stop in graph._holds)]:
        for number in range(start, stop):
            if graph.ready[number] == what:
                known.setdefault(graph.spec[number], set()).add(number)
    return known


def describe(job: Job) -> dict[str, Any]:
    """Return what the state of `job` means, as JSON would have it, in words that outlive how it is kept.

    What came later is told only where there is any of it, so that what was recorded before still reads the same.
    """
    graph = job.graph
    later = copy.deepcopy(graph)
    later.wake(2**63)
    row = {
        "id": job.id,
        "name": job.name,
        "by": job.by,
        "submitted_at": job.submitted_at,
        "state": JobState(job.state).name,
        "settled": job.settled,
        "unfinished": job.unfinished,
        "failed_task": job.failed_task,
        "commands": dict(job.commands),
        "counts": {state.name: job.counts[state.value] for state in TaskState if _told(job, state)},
        "next": later.next_ready(range(len(job.specs)), len(graph)),
        "tasks": [_describe_task(job, number) for number in range(len(graph))],
    }
    extras = {
        "options": None if job.options == e.JobOptions() else _describe_options(job.options),
        "deadline": job.deadline or None,
        "slots": job.slots or None,
        "unwanted": sorted(job.unwanted) or None,
        "erased": job.erased or None,
        "cancel": msgspec.to_builtins(job.cancel) if isinstance(job.cancel, e.CancelRequested) else None,
    }
    return row | {name: value for name, value in extras.items() if value is not None}


#: fields of `JobOptions` when the first of them was recorded
_FIRST_OPTIONS = 6


def _describe_options(options: e.JobOptions) -> list[object]:
    told, unsaid = msgspec.to_builtins(options), msgspec.to_builtins(e.JobOptions())
    while len(told) > _FIRST_OPTIONS and told[-1] == unsaid[len(told) - 1]:
        told.pop()
    return list(told)


def _told(job: Job, state: TaskState) -> bool:
    return bool(job.counts[state.value]) or state not in (TaskState.CANCELED, TaskState.ABANDONED)


def _describe_task(job: Job, number: int) -> dict[str, Any]:
    graph, spec = job.graph, job.spec_of(number)
    waits = graph.dependencies[number]
    row = {
        "state": job.state_of(number).name,
        "attempt": job.attempt[number],
        "task": [spec.name, spec.major, spec.minor, spec.cluster, spec.max_retries, spec.optional],
        "input": job.inputs[number].hex(),
        "parent": graph.parent[number],
        "depth": graph.depth[number],
        "children": [*graph.children(number)],
        "complete": graph.is_complete(number),
        "waits_for": [] if waits == NO_DEPENDENCIES else list(graph.members[waits]),
    }
    result = job.results.get(number)
    request = job.cancel_requests.get(number)
    extras = {
        "runner": job.claimed_by.get(number),
        "failures": job.failures.get(number),
        "expiries": job.expiries.get(number),
        "lost_alone": job.lost_alone.get(number),
        "staged": job.staged_count(number) or None,
        "policy": msgspec.to_builtins(spec.policy),
        "held_until": graph.held_until(number) or None,
        "by_reference": number in job.references or None,
        "result": None if result is None else [result.data.hex(), result.object, result.size],
        "asked_to_stop": None if request is None else [request.task, request.command_id],
    }
    return row | {name: value for name, value in extras.items() if value is not None}
