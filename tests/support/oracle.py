"""What the core ought to do, told naively: live machines, walks over all tasks, nothing incremental.

One `TaskLifecycle` per task and one `JobLifecycle` say what is allowed and where it leads. Everything else is written
down as the definition has it. Slow, and as plain as can be: this is what the core is held against.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from jobledger.core import events as e
from jobledger.core.lifecycle import JobLifecycle, JobState, TaskLifecycle, TaskState
from jobledger.core.submission import NO_DEPENDENCIES, NewTask, Submission

TASK_STATES = {state.value: state.name.lower() for state in TaskState}
JOB_STATES = {state.value: state.name.lower() for state in JobState}
HALTED = {"completed", "failed", "canceled"}
FINISHED = {"computed", "skipped", "failed_optional"}

#: events of the log -> events of the task's machine
OF_TASK: dict[type[Any], str] = {
    e.TasksClaimed: "claim",
    e.TaskComputed: "compute",
    e.AttemptFailed: "fail_attempt",
    e.TaskFailed: "fail",
    e.OptionalTaskFailed: "fail_optional",
    e.TasksSkipped: "skip",
    e.TaskReleased: "release",
    e.LeaseExpired: "expire",
    e.JobRetried: "retry",
}
#: events of the log -> events of the job's machine
OF_JOB: dict[type[Any], str] = {
    e.JobCompleted: "complete",
    e.JobFailed: "fail",
    e.JobCanceled: "cancel",
    e.JobRetried: "retry",
}


class Node:
    """One task."""

    def __init__(self, number: int, parent: Node | None, new: NewTask, waits_for: list[Node]) -> None:
        self.number = number
        self.parent = parent
        self.spec = new.spec
        self.input = new.input
        self.waits_for = waits_for
        self.children: list[Node] = []
        self.machine: Any = TaskLifecycle()
        self.state = "queued"  #: of the machine, by name; asking it each time is slow
        self.attempt = 0
        self.failures = 0
        self.expiries = 0
        self.runner = ""
        self.staged: list[NewTask] = []

    @property
    def complete(self) -> bool:
        return self.state in FINISHED and all(child.complete for child in self.children)

    @property
    def ready(self) -> bool:
        return self.state == "queued" and all(other.complete for other in self.waits_for)

    @property
    def depth(self) -> int:
        return 0 if self.parent is None else 1 + self.parent.depth

    @property
    def boundary(self) -> Node | None:
        """The nearest task, this one or above it, that was submitted as optional."""
        if self.spec.optional:
            return self
        return None if self.parent is None else self.parent.boundary

    def below(self) -> Iterator[Node]:
        for child in self.children:
            yield child
            yield from child.below()


class Oracle:
    """One job."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.machine: Any = None  # until the job is submitted
        self.commands: dict[str, int] = {}
        self.failed_task: int | None = None
        #: the transitions taken: machine, number of the state, event
        self.taken: set[tuple[str, int, str]] = set()

    # -- definitions ----------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        return JOB_STATES[self.machine.current_state_value] if self.machine else "none"

    @property
    def halted(self) -> bool:
        return self.state in HALTED

    def count(self, *states: str) -> int:
        return sum(node.state in states for node in self.nodes)

    @property
    def unfinished(self) -> int:
        return len(self.nodes) - self.count(*FINISHED)

    def following_state(self) -> str:
        """Which state a job has that is not halted: it follows from its tasks."""
        if self.count("running"):
            return "running"
        if self.count("computed"):
            return "started"
        return "running" if any(node.attempt for node in self.nodes) else "submitted"

    def kinds(self) -> list[Any]:
        """The kinds of task seen so far, in the order in which they were first seen."""
        return list(dict.fromkeys(node.spec for node in self.nodes))

    def claimable(self, kinds: Iterable[int], limit: int) -> list[Node]:
        if self.halted:
            return []
        known = self.kinds()
        wanted = {known[kind] for kind in kinds if 0 <= kind < len(known)}
        ready = [node for node in self.nodes if node.ready and node.spec in wanted]
        return sorted(ready, key=lambda node: (-node.depth, node.number))[: max(limit, 0)]

    # -- what happens ---------------------------------------------------------------------------------------------

    def allows(self, event: e.Event) -> bool:
        """Whether `event` may follow what came before."""
        if isinstance(event, e.JobSubmitted):
            return self.machine is None and sound(event.tasks, 0)
        if self.machine is None:
            return False
        if type(event) in OF_JOB and OF_JOB[type(event)] not in _allowed(self.machine):
            return False
        if isinstance(event, e.JobCompleted):
            return not self.unfinished
        if isinstance(event, e.JobFailed):
            return 0 <= event.task < len(self.nodes) and self.nodes[event.task].state == "failed"
        if isinstance(event, e.JobCanceled):
            return True
        return self._allows_to_tasks(event)

    def _allows_to_tasks(self, event: Any) -> bool:
        if isinstance(event, e.TasksClaimed | e.TasksSkipped | e.JobRetried):
            if not _well_formed(event.tasks, len(self.nodes)):
                return False
            nodes = [self.nodes[number] for number in unpacked(event.tasks)]
            if isinstance(event, e.TasksClaimed):
                next_ones = all(node.ready and node.attempt + 1 == event.attempt for node in nodes)
                return next_ones and not self.halted
        else:
            if not 0 <= event.task < len(self.nodes) or self.nodes[event.task].attempt != event.attempt:
                return False
            nodes = [self.nodes[event.task]]
        if isinstance(event, e.SubtasksStaged):
            return nodes[0].state == "running" and sound(event.tasks, len(nodes[0].staged))
        new = event.subtasks if isinstance(event, e.TaskComputed) else None
        if new is not None and not sound(new, len(nodes[0].staged)):
            return False
        return all(OF_TASK[type(event)] in _allowed(node.machine) for node in nodes)

    def follow(self, event: Any) -> None:
        """Apply an event. The machines raise where it is not allowed."""
        if isinstance(event, e.JobSubmitted):
            self.machine = JobLifecycle()
            self._add(None, rows(event.tasks))
        elif isinstance(event, e.SubtasksStaged):
            self.nodes[event.task].staged += rows(event.tasks)
        if type(event) in OF_JOB:
            self._send(self.machine, OF_JOB[type(event)])
        if type(event) in OF_TASK:
            for number in about(event):
                self._follow_one(self.nodes[number], event)
        self._note(event)
        wanted = self.following_state()
        if not self.halted and self.state != wanted:
            self._send(self.machine, "run" if wanted == "running" else "rest")

    def _follow_one(self, node: Node, event: Any) -> None:
        self._send(node.machine, OF_TASK[type(event)])
        node.state = TASK_STATES[node.machine.current_state_value]
        if isinstance(event, e.TasksClaimed):
            node.attempt, node.runner = event.attempt, event.runner
            return
        if isinstance(event, e.TaskComputed):
            new = node.staged + ([] if event.subtasks is None else rows(event.subtasks))
            node.staged = []
            self._add(node, new)
        node.staged = []
        node.failures += isinstance(event, e.AttemptFailed)
        node.expiries += isinstance(event, e.LeaseExpired)

    def _note(self, event: Any) -> None:
        if isinstance(event, e.JobFailed):
            self.failed_task = event.task
        elif isinstance(event, e.JobCanceled):
            self.commands[event.command_id] = 1
        elif isinstance(event, e.JobRetried):
            self.commands[event.command_id] = event.rescheduled
            self.failed_task = None
            for node in self.nodes:
                node.failures = node.expiries = 0

    def _add(self, parent: Node | None, tasks: list[NewTask]) -> None:
        base = len(self.nodes)
        for new in tasks:
            waits_for = [self.nodes[base + position] for position in sorted(new.depends_on)]
            node = Node(len(self.nodes), parent, new, waits_for)
            self.nodes.append(node)
            if parent is not None:
                parent.children.append(node)

    def _send(self, machine: Any, event: str) -> None:
        before = machine.current_state_value
        machine.send(event)
        self.taken.add((type(machine).__name__, before, event))


def about(event: Any) -> list[int]:
    """Return the numbers of the tasks that `event` moves."""
    return unpacked(event.tasks) if hasattr(event, "tasks") else [event.task]


def packed(numbers: Iterable[int]) -> list[int]:
    ranges: list[int] = []
    for number in sorted(numbers):
        if ranges and ranges[-1] == number:
            ranges[-1] = number + 1
        else:
            ranges += [number, number + 1]
    return ranges


def unpacked(ranges: list[int]) -> list[int]:
    return [n for start, stop in zip(ranges[::2], ranges[1::2], strict=True) for n in range(start, stop)]


def rows(chunk: Submission) -> list[NewTask]:
    """Return the tasks of these columns, one by one: the definition of what the columns mean."""
    specs = [index for index, count in _runs(chunk.spec_runs) for _ in range(count)]
    waits = [index for index, count in _runs(chunk.dependency_runs) for _ in range(count)]
    waits = waits or [NO_DEPENDENCIES] * len(specs)
    sets = [frozenset(unpacked(members)) for members in chunk.dependency_sets]
    return [
        NewTask(chunk.specs[spec], data, frozenset() if index == NO_DEPENDENCIES else sets[index])
        for spec, data, index in zip(specs, chunk.inputs, waits, strict=True)
    ]


def _runs(flat: list[int]) -> Iterator[tuple[int, int]]:
    return zip(flat[::2], flat[1::2], strict=True)


def sound(tasks: Submission, start: int) -> bool:
    """Whether these are well-formed tasks to follow `start` others."""
    try:
        tasks.check()  # has a test of its own
    except ValueError:
        return False
    return tasks.start == start


def _well_formed(ranges: list[int], limit: int) -> bool:
    if len(ranges) % 2 or any(start >= stop for start, stop in _runs(ranges)):
        return False
    ascending = all(stop <= start for stop, start in zip(ranges[1::2], ranges[2::2], strict=False))
    return ascending and (not ranges or (ranges[0] >= 0 and ranges[-1] <= limit))


def _allowed(machine: Any) -> set[str]:
    return {event.id for event in machine.allowed_events}
