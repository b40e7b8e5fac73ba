"""Which task of a job is the first in order among those that wait for others.

A runner that does one task at a time is given many ahead and keeps to the order by itself. What it cannot know is what
becomes ready by the tasks it has just done: up to this one nothing does, and it need not ask.
"""

from __future__ import annotations

from heapq import heappop, heappush, heapreplace

from jobledger.core import ranges
from jobledger.core.job import Job
from jobledger.core.lifecycle import TaskState

from ...protocol import Order

_QUEUED = TaskState.QUEUED.value


class Waits:
    """The tasks of one job that may wait, first ones first, as the ranges in which they were submitted.

    Each range is looked at once, and again after a retry: asked for every exchange, the answer must not cost more in a
    job of a million tasks than in one of ten.
    """

    def __init__(self) -> None:
        #: order of the first task, which ends the range, and the dependency set that they wait for
        self._heap: list[tuple[Order, int, int]] = []
        self._seen = 0  # dependency sets
        self._commands = 0

    def first(self, job: Job) -> Order | None:
        """Return the place of the first waiting task, by priority, depth and number; None if none waits."""
        graph = job.graph
        if len(job.commands) != self._commands:  # a retry may have made finished tasks wait again
            self._heap, self._seen, self._commands = [], 0, len(job.commands)
        for index in range(self._seen, len(graph.members)):
            for start, stop in ranges.pairs(graph.waiters(index)):
                place: Order = (-job.spec_of(start).asked.priority, -graph.depth[start], start)
                heappush(self._heap, (place, stop, index))
        self._seen = len(graph.members)
        while self._heap:
            place, stop, index = self._heap[0]
            priority, depth, start = place
            task = -1 if graph.is_met(index) else graph.status.find(_QUEUED, start, stop)
            if task == start:
                return place
            if task < 0:
                heappop(self._heap)
            else:
                heapreplace(self._heap, ((priority, depth, task), stop, index))
        return None
