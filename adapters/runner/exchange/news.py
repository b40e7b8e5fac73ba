"""What running attempts have to tell before they end: that they began, what they counted, what they display."""

from __future__ import annotations

import time

from jobledger.core.commands import ReportProgress

from ...protocol import encode
from ..assignment import Assignment, Assignments
from ..running.crew import Crew

#: seconds an attempt runs before it is news at all, and between two times that news are told
PERIOD = 1.0
#: bytes of news told at once; the rest waits for the next time
_MOST_BYTES = 128 * 1024


class News:
    """Gathers what has changed since the engine was told of these assignments. Nothing is asked of the tasks: they are
    looked at.

    Times are those of time.monotonic.
    """

    def __init__(self, workers: Crew, assignments: Assignments) -> None:
        self._workers = workers
        self._assignments = assignments
        self.look_at = 0.0  #: when there may be news again

    def gather(self) -> list[tuple[Assignment, ReportProgress, bytes]]:
        """Return the attempts that have news, and the news, also as it travels."""
        now = time.monotonic()
        if now < self.look_at:
            return []
        news: list[tuple[Assignment, ReportProgress, bytes]] = []
        young = now + PERIOD
        size = 0
        for assignment in self._workers.running:
            context = assignment.context
            if assignment.key not in self._assignments.held:
                continue  # another engine's, or over for this one
            if now < (old := assignment.began + PERIOD):
                young = min(young, old)
            elif context is not None and size < _MOST_BYTES:
                a = assignment
                latest = ReportProgress(
                    a.job_id, a.task, a.attempt, a.started, context.counted, context.display
                )
                if latest != assignment.told:
                    news.append((assignment, latest, data := encode(latest)))
                    size += len(data)
        self.look_at = now + PERIOD if news else young
        return news
