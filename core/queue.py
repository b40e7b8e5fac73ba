"""The queue of a job: which tasks may be claimed now, and in which order.

A queued task is *waiting* for others, *ready*, or *held*: nothing it depends on is missing, but its time has not come.
Who waits for whom is not known here; the graph says when something becomes ready.

- Ready tasks lie in one heap per kind, as ranges in the order in which they should run. Entries are hints: the `ready`
  byte of a task decides, so that taking tasks out of the middle never has to search a heap.
- Held ones lie in a heap by time, as hints too. `wake` moves what is due. Only whoever hands out tasks needs to look at
  the clock: folding a history does not, and a held task that was claimed was due by the clock of who wrote that.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from heapq import heappop, heappush, heapreplace
from typing import TypeAlias

from .lifecycle import TaskState

QUEUED = TaskState.QUEUED.value

# what a byte of `ready` says; WAITING also of a task that is not queued
WAITING, READY, HELD = 0, 1, 2

#: minus priority, minus depth, and the range: the smallest one is next
_Entry: TypeAlias = tuple[int, int, int, int]

_UNLIMITED: Mapping[str, int] = {}


class TaskQueue:
    """Columns by task number, and the order of what is ready."""

    __slots__ = (
        "_heaps",
        "_holds",
        "_key",
        "_not_before",
        "_priority",
        "_retry_at",
        "depth",
        "ready",
        "spec",
        "status",
    )

    def __init__(self) -> None:
        self.status = bytearray()  #: TaskState values
        self.ready = bytearray()  #: WAITING, READY or HELD
        self.spec = array("I")  #: index of the task's kind
        self.depth = array("I")  #: 0 for root tasks
        self._heaps: dict[int, list[_Entry]] = {}  # by kind
        self._holds: list[tuple[int, int, int]] = []  # heap of (µs at which it is due, start, stop)
        self._retry_at: dict[int, int] = {}  # µs before which a task is not tried again, where that was said
        # by kind: larger ones first; µs before which none is due; the concurrency limit it counts under
        self._priority: list[int] = []
        self._not_before: list[int] = []
        self._key: list[str] = []

    def __len__(self) -> int:
        return len(self.status)

    def add_kind(self, *, priority: int = 0, not_before: int = 0, key: str = "") -> None:
        """Tell about the next kind of task, before any task of it is added."""
        self._priority.append(priority)
        self._not_before.append(not_before)
        self._key.append(key)

    # -- coming in ------------------------------------------------------------------------------------------------

    def _make_ready(self, start: int, stop: int) -> None:
        """Neighbours of one kind and one parent wait for nothing any more, except those that are not queued by now."""
        status = self.status
        if status.count(QUEUED, start, stop) != stop - start:
            for task in range(start, stop):
                if status[task] == QUEUED:
                    self._make_ready(task, task + 1)
            return
        # a single task, or several of which none was ever tried
        if self._not_before[self.spec[start]] or (self._retry_at and start in self._retry_at):
            self.ready[start:stop] = bytes((HELD,)) * (stop - start)
            heappush(self._holds, (self.held_until(start), start, stop))
        else:
            self._list(start, stop)

    def _list(self, start: int, stop: int) -> None:
        self.ready[start:stop] = b"\x01" * (stop - start)
        kind = self.spec[start]
        entry = (-self._priority[kind], -self.depth[start], start, stop)
        heappush(self._heaps.setdefault(kind, []), entry)

    def _hold(self, task: int, until: int) -> None:
        """`task` is not due before `until` (µs), whenever it becomes ready next; 0 for no such limit."""
        if until:
            self._retry_at[task] = until
        elif self._retry_at:
            self._retry_at.pop(task, None)

    # -- time -----------------------------------------------------------------------------------------------------

    def held_until(self, task: int) -> int:
        """Return the time (µs) before which the task is not due, whatever it waits for beside; 0 if it always is."""
        return max(self._not_before[self.spec[task]], self._retry_at.get(task, 0))

    @property
    def next_wake(self) -> int | None:
        """When `wake` may have something to do next, in µs; None: not before something else happens."""
        return self._holds[0][0] if self._holds else None

    def wake(self, now: int) -> None:
        """Make ready what is held and due at `now` (µs)."""
        holds = self._holds
        while holds and holds[0][0] <= now:
            _, start, stop = heappop(holds)
            while (start := self.ready.find(HELD, start, stop)) >= 0:
                end = start
                while end < stop and self.ready[end] == HELD and self.held_until(end) <= now:
                    end += 1
                if end > start:
                    self._list(start, end)
                start = end + 1  # the task at `end` is not held, or has another hint

    # -- going out ------------------------------------------------------------------------------------------------

    def ready_specs(self) -> Iterator[int]:
        """Yield the kinds of which at least one task is ready."""
        for spec, heap in list(self._heaps.items()):
            if self._prune(heap):
                yield spec
            else:
                del self._heaps[spec]  # kinds that were ready once must not cost anything for ever

    def next_ready(
        self, specs: Iterable[int], limit: int, slots: Mapping[str, int] = _UNLIMITED
    ) -> list[int]:
        """Return up to `limit` ready tasks of these kinds, in the order in which they should run.

        By priority; then depth first, so that what was begun is ended before more is begun; siblings in order of
        submission. `slots` says how many more tasks may run, by concurrency key; a key that is not in it is unlimited.
        """
        chosen: dict[int, None] = {}  # ordered; a task may be hinted at twice
        visited: list[tuple[list[_Entry], _Entry]] = []
        left = dict(slots) if slots else {}
        heaps = [heap for spec in specs if self._prune(heap := self._heaps.get(spec, []))]
        while heaps and len(chosen) < limit:
            heap = min(heaps)
            entry = heappop(heap)
            visited.append((heap, entry))
            _, _, task, stop = entry
            most, before = limit, len(chosen)
            key = self._key[self.spec[task]] if left else ""
            if key in left:
                most = min(limit, before + left[key])
            while task >= 0 and len(chosen) < most:
                chosen[task] = None
                task = self.ready.find(READY, task + 1, stop)
            if key in left:
                left[key] -= len(chosen) - before
            if left.get(key, 1) <= 0 or not self._prune(heap):
                heaps = [other for other in heaps if other is not heap]
        for heap, entry in visited:
            heappush(heap, entry)
        return list(chosen)

    def _prune(self, heap: list[_Entry]) -> bool:
        """Drop hints at the top that are no longer true. Return whether one is left."""
        while heap:
            priority, depth, start, stop = heap[0]
            task = self.ready.find(READY, start, stop)
            if task == start:
                return True
            if task < 0:
                heappop(heap)
            else:
                # another hint may be at the top now: look at that one too
                heapreplace(heap, (priority, depth, task, stop))
        return False
