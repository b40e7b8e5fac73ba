"""The graph of a job's tasks: who waits for whom, and which subtrees are complete.

Compact on purpose: parallel arrays indexed by task number, about 30 bytes a task, and nothing that scans the job.

- A task is *ready* when it is queued and every task it depends on is complete; `queue` then has it.
- A task is *complete* when it is finished and all of its children are complete. `open` counts what is left: the task
  itself and its incomplete children. When it falls to zero the task is complete, its parent's count falls, and so on.
- A dependency set counts its incomplete members. When it falls to zero, all tasks that wait for it become ready.
- A task *depends* on another one if that, or a task above it, is among those it was submitted to wait for.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence

from . import ranges
from .lifecycle import TaskState
from .queue import HELD, QUEUED, READY, WAITING, TaskQueue
from .submission import NO_DEPENDENCIES, Submission

__all__ = ["HELD", "READY", "ROOT", "WAITING", "TaskGraph"]

ROOT = -1  #: the parent of root tasks

_ABANDONED = TaskState.ABANDONED.value
_IN_NO_SET = -1
_IN_SEVERAL_SETS = -2
# columns of one task, to be multiplied: `array * n` is quicker than to make an array first
_ZERO, _ONE, _MINUS_ONE = array("I", (0,)), array("I", (1,)), array("i", (-1,))


class TaskGraph(TaskQueue):
    """Tasks, their parents and dependencies, and what is ready."""

    __slots__ = (
        "_incomplete_members",
        "_member_of",
        "_several",
        "_waiters",
        "child_count",
        "dependencies",
        "first_child",
        "members",
        "open",
        "parent",
    )

    def __init__(self) -> None:
        super().__init__()
        self.parent = array("i")  #: task number, or ROOT
        self.first_child = array("I")
        self.child_count = array("I")
        self.open = array("I")  #: 1 for the task itself until finished, and 1 for each incomplete child
        self.dependencies = array("i")  #: index into `members`, or NO_DEPENDENCIES
        self.members: list[list[int]] = []  #: each dependency set as ranges of task numbers
        self._incomplete_members = array("I")
        self._waiters: list[list[int]] = []  # per dependency set, the ranges of tasks that wait for it
        self._member_of = array("i")
        self._several: dict[int, list[int]] = {}  # the sets of a task that is in more than one

    # -- growing ------------------------------------------------------------------------------------------------

    def add(self, tasks: Submission, *, base: int, parent: int, specs: Sequence[int]) -> None:
        """Append queued tasks. Position 0 of the whole submission is task `base`; `specs` maps its kinds to ours."""
        depth = 0 if parent == ROOT else self.depth[parent] + 1
        first_set = len(self.members)
        count = len(tasks)
        self.status += bytes((QUEUED,)) * count
        self.ready += bytes(count)
        self.parent += array("i", (parent,)) * count
        self.depth += array("I", (depth,)) * count
        self.first_child += _ZERO * count
        self.child_count += _ZERO * count
        self.open += _ONE * count
        self._member_of += _MINUS_ONE * count
        for members in tasks.dependency_sets:
            self._add_set([base + position for position in members])
        for run in tasks.runs():
            start, stop = base + run.start, base + run.stop
            self.spec += array("I", (specs[run.spec],)) * (stop - start)
            waits = run.dependencies != NO_DEPENDENCIES
            index = first_set + run.dependencies if waits else NO_DEPENDENCIES
            self.dependencies += array("i", (index,)) * (stop - start)
            if waits:
                self._waiters[index] += (start, stop)
            else:
                self._make_ready(start, stop)

    def _add_set(self, members: list[int]) -> None:
        index = len(self.members)
        self.members.append(members)
        self._waiters.append([])
        self._incomplete_members.append(ranges.count(members))
        member_of = self._member_of
        for start, stop in ranges.pairs(members):
            if member_of[start:stop].count(_IN_NO_SET) == stop - start:
                member_of[start:stop] = array("i", (index,)) * (stop - start)
                continue
            for task in range(start, stop):
                if member_of[task] == _IN_NO_SET:
                    member_of[task] = index
                else:
                    if member_of[task] != _IN_SEVERAL_SETS:
                        self._several[task] = [member_of[task]]
                        member_of[task] = _IN_SEVERAL_SETS
                    self._several[task].append(index)

    # -- finishing, and not -------------------------------------------------------------------------------------

    def finish(self, task: int, *, first_child: int = 0, children: int = 0) -> None:
        """`task` will not run again, and has these children. Completes it, and what waited for it, if it may."""
        if children:
            self.first_child[task] = first_child
            self.child_count[task] = children
        left = self.open[task] + children - 1
        self.open[task] = left
        while not left:
            index = self._member_of[task]
            if index != _IN_NO_SET:
                for one in self._several[task] if index == _IN_SEVERAL_SETS else (index,):
                    self._incomplete_members[one] -= 1
                    if not self._incomplete_members[one]:
                        for start, stop in ranges.pairs(self._waiters[one]):
                            self._make_ready(start, stop)
            task = self.parent[task]
            if task == ROOT:
                return
            left = self.open[task] - 1
            self.open[task] = left

    def is_complete(self, task: int) -> bool:
        """Whether the task and its whole subtree are finished."""
        return not self.open[task]

    def requeue(self, task: int, retry_at: int = 0) -> None:
        """`task` is queued again, not to be claimed before `retry_at` (µs); ready if it waits for nothing."""
        self.status[task] = QUEUED
        self._hold(task, retry_at)
        index = self.dependencies[task]
        if index == NO_DEPENDENCIES or not self._incomplete_members[index]:
            self._make_ready(task, task + 1)

    def stranded(self, lost: Iterable[int], states: Sequence[int]) -> dict[int, int]:
        """Return the tasks in one of these states that never begin if these are lost, each with the first it is due to.

        That is what depends on one of them, and what depends on that in turn. Whoever waits for nothing any more may
        begin, unless it was abandoned.
        """
        found: dict[int, int] = {}
        doomed: set[int] = set()  # tasks that will not be complete, or count as such
        seen: set[int] = set()  # dependency sets
        for cause in lost:
            stack = [cause]
            while stack:
                task = stack.pop()
                while task != ROOT and task not in doomed:
                    doomed.add(task)
                    for index in self._sets_of(task):
                        if index not in seen:
                            seen.add(index)
                            waiters = [one for one in self._not_begun(index, states) if one not in found]
                            found.update(dict.fromkeys(waiters, cause))
                            stack += waiters
                    task = self.parent[task]
        return found

    def _not_begun(self, index: int, states: Sequence[int]) -> Iterator[int]:
        """Yield the tasks in one of these states that wait for this dependency set, or were abandoned."""
        if not self._incomplete_members[index]:
            states = [state for state in states if state == _ABANDONED]
        status = self.status
        for start, stop in ranges.pairs(self._waiters[index]):
            for state in states:
                task = status.find(state, start, stop)
                while task >= 0:
                    yield task
                    task = status.find(state, task + 1, stop)

    def waiters(self, index: int) -> Sequence[int]:
        """Return the tasks that wait for a dependency set, as ranges of one kind each."""
        return self._waiters[index]

    def is_met(self, index: int) -> bool:
        """Whether every member of a dependency set is complete."""
        return not self._incomplete_members[index]

    def _sets_of(self, task: int) -> Sequence[int]:
        """Return the dependency sets the task is a member of."""
        index = self._member_of[task]
        if index == _IN_NO_SET:
            return ()
        return self._several[task] if index == _IN_SEVERAL_SETS else (index,)

    def dependants(self, tasks: Iterable[int]) -> set[int]:
        """Return the tasks that wait for one of these, and what waits for those in turn, whatever state they are in."""
        found: set[int] = set()
        incomplete: set[int] = set()
        stack = list(tasks)
        while stack:
            task = stack.pop()
            while task != ROOT and task not in incomplete:
                incomplete.add(task)
                for index in self._sets_of(task):
                    waiters = [one for one in ranges.numbers(self._waiters[index]) if one not in found]
                    found.update(waiters)
                    stack += waiters
                task = self.parent[task]
        return found

    # -- walking ------------------------------------------------------------------------------------------------

    def children(self, task: int) -> range:
        """Return the numbers of the task's children, in order of submission."""
        first = self.first_child[task]
        return range(first, first + self.child_count[task])

    def place(self, task: int) -> tuple[int, int]:
        """Return the parent of the task, and its position among the tasks that were submitted together."""
        parent = self.parent[task]
        return parent, task if parent == ROOT else task - self.first_child[parent]

    def subtree(self, task: int) -> Iterator[int]:
        """Yield this task and every task below it."""
        yield task
        yield from self.descendants(task)

    def descendants(self, task: int) -> Iterator[int]:
        """Yield every task below this one."""
        stack = [self.children(task)]
        while stack:
            for child in stack.pop():
                yield child
                if self.child_count[child]:
                    stack.append(self.children(child))
