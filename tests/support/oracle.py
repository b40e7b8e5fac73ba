"""What the core ought to do, told naively: live machines, walks over all tasks, nothing incremental.

One `TaskLifecycle` per task and one `JobLifecycle` say what is allowed and where it leads. Everything else is written
down as the definition has it. Slow, and as plain as can be: this is what the core is held against.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from jobledger.core import events as e
from jobledger.core.lifecycle import JobLifecycle, JobState, TaskLifecycle, TaskState
from jobledger.core.submission import NewTask
from support.columns import packed, rows, sound, unpacked, well_formed

TASK_STATES = {state.value: state.name.lower() for state in TaskState}
JOB_STATES = {state.value: state.name.lower() for state in JobState}
HALTED = {"completed", "failed", "canceled", "deleted"}
FINISHED = {"computed", "skipped", "failed_optional"}
LOST = {"failed", "canceled", "abandoned"}

#: events of the log -> events of the task's machine
OF_TASK: dict[type[Any], str] = {
    e.TasksClaimed: "claim",
    e.TaskComputed: "compute",
    e.TaskReused: "compute",
    e.AttemptFailed: "fail_attempt",
    e.TaskFailed: "fail",
    e.OptionalTaskFailed: "fail_optional",
    e.TaskCanceled: "cancel",
    e.TaskReleased: "release",
    e.LeaseExpired: "expire",
    e.TasksSkipped: "skip",
    e.TasksCanceled: "cancel",
    e.TasksAbandoned: "abandon",
    e.JobRetried: "retry",
}
#: events of the log -> events of the job's machine
OF_JOB: dict[type[Any], str] = {
    e.JobCompleted: "complete",
    e.JobFailed: "fail",
    e.JobCanceled: "cancel",
    e.JobRetried: "retry",
    e.DeadlineExceeded: "expire",
    e.JobDeleted: "delete",
}
#: events about any number of tasks
OF_SEVERAL = (
    e.TasksClaimed,
    e.TasksSkipped,
    e.TasksCanceled,
    e.TasksAbandoned,
    e.JobRetried,
    e.CancelRequested,
)


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
        self.expiries = self.lost_alone = 0
        self.runner = ""
        self.let_go = False  #: the last attempt ended without a word of its runner on how
        self.retry_at = 0
        self.staged: list[NewTask] = []
        self.result: e.Value | None = None
        self.request: e.CancelRequested | None = None  #: by which it is asked to stop
        self.unwanted = False  #: it was canceled, and what depends on it with it

    @property
    def complete(self) -> bool:
        return self.state in FINISHED and all(child.complete for child in self.children)

    @property
    def ready(self) -> bool:
        """Whether it waits for nothing but its time."""
        return self.state == "queued" and all(other.complete for other in self.waits_for)

    @property
    def due_at(self) -> int:
        return max(self.spec.asked.not_before, self.retry_at)

    @property
    def not_begun(self) -> bool:
        """Whether it could be abandoned, or was."""
        waits = not all(other.complete for other in self.waits_for)
        return self.state == "abandoned" or (self.state in ("queued", "canceled") and waits)

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

    def subtree(self) -> list[Node]:
        return [self, *self.below()]


class Oracle:
    """One job."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.machine: Any = None  # until the job is submitted
        self.options = e.JobOptions()
        self.erased = False
        self.deadline = 0
        self.name = ""
        self.roots: list[NewTask] = []
        self.commands: dict[str, int] = {}
        self.failed_task: int | None = None
        self.cancel: Any = None  #: the last one
        self.halt: e.JobCanceled | None = None  #: the last one of the whole job, until it is retried
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

    def slots(self) -> dict[str, int]:
        """How many tasks run, by each concurrency key there is."""
        keys = {node.spec.asked.key for node in self.nodes} - {""}
        return {key: sum(node.spec.asked.key == key for node in self.running()) for key in keys}

    def running(self) -> list[Node]:
        """The tasks somebody waits for."""
        return [node for node in self.nodes if node.state == "running" and self.state != "deleted"]

    def claimable(self, kinds: Iterable[int], limit: int, slots: Mapping[str, int], now: int) -> list[Node]:
        if self.halted:
            return []
        known = self.kinds()
        wanted = {known[kind] for kind in kinds if 0 <= kind < len(known)}
        ready = [node for node in self.nodes if node.ready and node.due_at <= now and node.spec in wanted]
        left, chosen = dict(slots), list[Node]()
        for node in sorted(ready, key=lambda node: (-node.spec.asked.priority, -node.depth, node.number)):
            key = node.spec.asked.key
            if len(chosen) < limit and left.get(key, 1) > 0:
                chosen.append(node)
                left[key] = left.get(key, 2**40) - 1
        return chosen

    def stranded(self, lost: Collection[Node]) -> set[Node]:
        """The tasks that never begin if these are lost: they depend on one of them, or on one that never begins."""
        found: set[Node] = set()
        while (
            more := {node for node in self.nodes if node.not_begun and _depends(node, {*lost, *found})}
            - found
        ):
            found |= more
        return found

    # -- what happens ---------------------------------------------------------------------------------------------

    @property
    def erasing(self) -> bool:
        return self.state == "deleted" and bool(self.options.sealed) and not self.erased

    def allows(self, event: e.Event) -> bool:
        """Whether `event` may follow what came before."""
        if isinstance(event, e.JobSubmitted):
            return self.machine is None and sound(event.tasks, 0)
        if isinstance(event, e.JobErased):
            return self.erasing and event.key == self.options.sealed
        if self.machine is None or self.state == "deleted":
            return False
        if type(event) in OF_JOB and self._of_job(event) not in _allowed(self.machine):
            return False
        if isinstance(event, e.JobCompleted):
            return not self.unfinished
        if isinstance(event, e.JobFailed):
            return self._exists(event.task) and self.nodes[event.task].state == "failed"
        if isinstance(event, e.DeadlineExceeded):
            return event.deadline == self.deadline
        if isinstance(event, e.JobCanceled | e.JobDeleted):
            return True
        if isinstance(event, OF_SEVERAL):
            return self._allows_to_several(event)
        return self._allows_to_an_attempt(event)

    def _allows_to_several(self, event: Any) -> bool:
        if not well_formed(about(event), len(self.nodes)):
            return False
        nodes = [self.nodes[number] for number in unpacked(about(event))]
        if isinstance(event, e.TasksClaimed):
            next_ones = all(node.ready and node.attempt + 1 == event.attempt for node in nodes)
            return next_ones and not self.halted
        if isinstance(event, e.JobRetried):
            return event.task < len(self.nodes) and all(node.state in LOST for node in nodes)
        wanted = "running" if isinstance(event, e.CancelRequested) else "queued"
        cause = event.task if isinstance(event, e.CancelRequested) else event.cause
        return self._exists(cause) and all(node.state == wanted for node in nodes)

    def _allows_to_an_attempt(self, event: Any) -> bool:
        if not self._exists(event.task):
            return False
        node = self.nodes[event.task]
        if node.state != "running" or node.attempt != event.attempt:
            return False
        if isinstance(event, e.SubtasksStaged):
            return sound(event.tasks, len(node.staged))
        if isinstance(event, e.TaskComputed) and event.subtasks is not None:
            return sound(event.subtasks, len(node.staged))
        return node.request is not None or not isinstance(event, e.TaskCanceled)

    def _exists(self, number: int) -> bool:
        return 0 <= number < len(self.nodes)

    def _of_job(self, event: Any) -> str:
        if isinstance(event, e.JobRetried) and not self.halted:
            return "retry_tasks"
        if isinstance(event, e.JobCanceled) and self.halted:
            return "stop"
        return OF_JOB[type(event)]

    def follow(self, event: Any) -> None:
        """Apply an event. The machines raise where it is not allowed."""
        if isinstance(event, e.JobSubmitted):
            self.machine = JobLifecycle()
            self.name, self.roots = event.name, rows(event.tasks)
            self.options = event.options or e.JobOptions()
            self.deadline = self.options.deadline
            self._add(None, self.roots)
        elif isinstance(event, e.SubtasksStaged):
            self.nodes[event.task].staged += rows(event.tasks)
        if type(event) in OF_JOB:
            self._send(self.machine, self._of_job(event))
        if type(event) in OF_TASK:
            for number in moved(event):
                self._follow_one(self.nodes[number], event)
        self._note(event)
        wanted = self.following_state()
        if not self.halted and self.state != wanted:
            self._send(self.machine, "run" if wanted == "running" else "rest")

    def _follow_one(self, node: Node, event: Any) -> None:
        self._send(node.machine, OF_TASK[type(event)])
        node.state = TASK_STATES[node.machine.current_state_value]
        if isinstance(event, e.TasksClaimed):
            node.attempt, node.runner, node.let_go = event.attempt, event.runner, False
            return
        if isinstance(event, e.TaskComputed):
            self._add(node, node.staged + ([] if event.subtasks is None else rows(event.subtasks)))
        if isinstance(event, e.TaskComputed | e.TaskReused):
            node.result = event.result
        node.staged, node.request = [], None
        node.let_go |= isinstance(event, e.TaskReleased | e.LeaseExpired)
        node.failures += isinstance(event, e.AttemptFailed)
        node.expiries += isinstance(event, e.LeaseExpired)
        node.lost_alone += isinstance(event, e.LeaseExpired) and event.alone
        node.retry_at = event.retry_at if isinstance(event, e.AttemptFailed) else 0

    def _note(self, event: Any) -> None:
        if isinstance(event, e.JobFailed):
            self.failed_task = event.task
        elif isinstance(event, e.JobCanceled):
            self.cancel = self.halt = event
            if event.command_id:
                self.commands[event.command_id] = 1
        elif isinstance(event, e.CancelRequested):
            self.cancel = event
            self.commands[event.command_id] = event.affected
            concerns_others = self.nodes[event.task].boundary is None
            self.nodes[event.task].unwanted |= concerns_others
            for number in unpacked(event.running):
                self.nodes[number].request = event
                self.nodes[number].unwanted |= concerns_others
        elif isinstance(event, e.JobRetried):
            self._note_retry(event)
        elif isinstance(event, e.JobDeleted):
            self.commands[event.command_id] = 1
        elif isinstance(event, e.JobErased):
            self.erased = True

    def _note_retry(self, event: e.JobRetried) -> None:
        self.commands[event.command_id] = event.rescheduled
        self.failed_task = self.halt = None
        self.deadline = event.deadline
        part = self.nodes if event.task < 0 else self.nodes[event.task].subtree()
        for node in [*part, *(self.nodes[number] for number in unpacked(event.tasks))]:
            node.failures = node.expiries = node.lost_alone = 0
            node.request, node.unwanted = None, False

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
    """Return the ranges of the tasks that `event` is about."""
    if isinstance(event, e.CancelRequested):
        return event.running
    return event.tasks if hasattr(event, "tasks") else packed([event.task])


def moved(event: Any) -> list[int]:
    """Return the numbers of the tasks that `event` brings into another state."""
    return unpacked(about(event)) if type(event) in OF_TASK else []


def _depends(node: Node, lost: set[Node]) -> bool:
    return any(not lost.isdisjoint(other.subtree()) for other in node.waits_for)


def _allowed(machine: Any) -> set[str]:
    return {event.id for event in machine.allowed_events}
