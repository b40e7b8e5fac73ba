"""The graph of a job's tasks: who may run now, and which subtrees are complete.

Compact on purpose: parallel arrays indexed by task number, about 30 bytes a task, and nothing that scans the job.

- A task is *ready* when it is queued and every task it depends on is complete.
- A task is *complete* when it is finished and all of its children are complete. `open` counts what is left: the task
  itself and its incomplete children. When it falls to zero the task is complete, its parent's count falls, and so on.
- A dependency set counts its incomplete members. When it falls to zero, all tasks that wait for it become ready.
- Ready tasks lie in one heap per kind, as ranges ordered depth first, then by number. Heap entries are hints: the
  `ready` byte of a task decides, so that taking tasks out of the middle never has to search a heap.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush, heapreplace

from . import ranges
from .lifecycle import TaskState
from .submission import NO_DEPENDENCIES, Submission

QUEUED = TaskState.QUEUED.value
ROOT = -1  #: the parent of root tasks

_IN_NO_SET = -1
_IN_SEVERAL_SETS = -2


class TaskGraph:
    """Tasks, their parents and dependencies, and what is ready."""

    __slots__ = (
        "_heaps",
        "_incomplete_members",
        "_member_of",
        "_several",
        "_waiters",
        "child_count",
        "dependencies",
        "depth",
        "first_child",
        "members",
        "open",
        "parent",
        "ready",
        "spec",
        "status",
    )

    def __init__(self) -> None:
        self.status = bytearray()  #: TaskState values
        self.ready = bytearray()  #: 1 where queued with every dependency complete
        self.spec = array("I")  #: index of the task's kind
        self.parent = array("i")  #: task number, or ROOT
        self.depth = array("I")  #: 0 for root tasks
        self.first_child = array("I")
        self.child_count = array("I")
        self.open = array("I")  #: 1 for the task itself until finished, and 1 for each incomplete child
        self.dependencies = array("i")  #: index into `members`, or NO_DEPENDENCIES
        self.members: list[list[int]] = []  #: each dependency set as ranges of task numbers
        self._incomplete_members = array("I")
        self._waiters: list[list[int]] = []  #: per dependency set, the ranges of tasks that wait for it
        self._member_of = array("i")
        self._several: dict[int, list[int]] = {}  #: the sets of a task that is in more than one
        self._heaps: dict[int, list[tuple[int, int, int]]] = {}

    def __len__(self) -> int:
        return len(self.status)

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
        self.first_child += array("I", (0,)) * count
        self.child_count += array("I", (0,)) * count
        self.open += array("I", (1,)) * count
        self._member_of += array("i", (_IN_NO_SET,)) * count
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

    # -- finishing ----------------------------------------------------------------------------------------------

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

    # -- readiness ----------------------------------------------------------------------------------------------

    def requeue(self, task: int) -> None:
        """`task`, whose dependencies were complete when it was claimed, waits for a runner again."""
        self.status[task] = QUEUED
        self._make_ready(task, task + 1)

    def _make_ready(self, start: int, stop: int) -> None:
        """Neighbours of one kind and one parent became ready, except those that were skipped meanwhile."""
        status = self.status
        if status.count(QUEUED, start, stop) != stop - start:
            for task in range(start, stop):
                if status[task] == QUEUED:
                    self._make_ready(task, task + 1)
            return
        self.ready[start:stop] = b"\x01" * (stop - start)
        heappush(self._heaps.setdefault(self.spec[start], []), (-self.depth[start], start, stop))

    def ready_specs(self) -> Iterator[int]:
        """Yield the kinds of which at least one task is ready."""
        for spec, heap in self._heaps.items():
            if self._prune(heap):
                yield spec

    def next_ready(self, specs: Iterable[int], limit: int) -> list[int]:
        """Return up to `limit` ready tasks of these kinds, in the order in which they should run.

        Depth first, so that what was begun is ended before more is begun; siblings in order of submission.
        """
        chosen: dict[int, None] = {}  # ordered; a task may be hinted at twice
        visited: list[tuple[list[tuple[int, int, int]], tuple[int, int, int]]] = []
        heaps = [heap for spec in specs if self._prune(heap := self._heaps.get(spec, []))]
        while heaps and len(chosen) < limit:
            heap = min(heaps)
            entry = heappop(heap)
            visited.append((heap, entry))
            _, task, stop = entry
            while task >= 0 and len(chosen) < limit:
                chosen[task] = None
                task = self.ready.find(1, task + 1, stop)
            heaps = [heap for heap in heaps if self._prune(heap)]
        for heap, entry in visited:
            heappush(heap, entry)
        return list(chosen)

    def _prune(self, heap: list[tuple[int, int, int]]) -> bool:
        """Drop hints at the top that are no longer true. Return whether one is left."""
        while heap:
            depth, start, stop = heap[0]
            task = self.ready.find(1, start, stop)
            if task == start:
                return True
            if task < 0:
                heappop(heap)
            else:
                # another hint may be at the top now: look at that one too
                heapreplace(heap, (depth, task, stop))
        return False

    # -- walking ------------------------------------------------------------------------------------------------

    def children(self, task: int) -> range:
        """Return the numbers of the task's children, in order of submission."""
        first = self.first_child[task]
        return range(first, first + self.child_count[task])

    def descendants(self, task: int) -> Iterator[int]:
        """Yield every task below this one."""
        stack = [self.children(task)]
        while stack:
            for child in stack.pop():
                yield child
                if self.child_count[child]:
                    stack.append(self.children(child))
