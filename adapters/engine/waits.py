"""Which task of a job is the first in order among those that wait for others.

A runner that does one task at a time is given many ahead and keeps to the order by itself. What it cannot know is what
becomes ready by the tasks it has just done: up to this one nothing does, and it need not ask.
"""

from __future__ import annotations

from heapq import heappop, heappush

from jobledger.core.graph import WAITING
from jobledger.core.job import Job
from jobledger.core.lifecycle import TaskState
from jobledger.core.submission import NO_DEPENDENCIES

from ..protocol import Order

_QUEUED = TaskState.QUEUED.value


class Waits:
    """The tasks of one job that may wait, first ones first. Each is looked at once, and again after a retry."""

    def __init__(self) -> None:
        self._heap: list[Order] = []
        self._seen = 0
        self._commands = 0

    def first(self, job: Job) -> Order | None:
        """Return the place of the first waiting task, by priority, depth and number; None if none waits."""
        graph = job.graph
        listed = len(graph) - graph.ready.count(WAITING)
        if graph.status.count(_QUEUED) == listed:  # at memory speed, and true of most jobs
            return None
        if len(job.commands) != self._commands:  # a retry may have made finished tasks wait again
            self._heap, self._seen, self._commands = [], 0, len(job.commands)
        for task in range(self._seen, len(graph)):
            if graph.dependencies[task] != NO_DEPENDENCIES:
                heappush(self._heap, (-job.spec_of(task).asked.priority, -graph.depth[task], task))
        self._seen = len(graph)
        while self._heap:
            task = self._heap[0][2]
            if graph.status[task] == _QUEUED and graph.ready[task] == WAITING:
                return self._heap[0]
            heappop(self._heap)
        return None
