"""One exchange on its way to the engine."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from ... import protocol as p
from ...clocks import clock
from ..assignment import Assignment, Assignments

#: bytes of an exchange kept free for the runner's identifiers and everything it holds
_ENVELOPE = 128 * 1024


class Flight:
    """What one exchange says, however often it has to be said."""

    @staticmethod
    def room(max_payload: int) -> int:
        """Return how many bytes one report may have, where messages may have `max_payload`."""
        return max(max_payload - _ENVELOPE, max_payload // 2)

    def __init__(self, reports: list[Assignment], limit: int, wait: float) -> None:
        self.reports = reports  #: each with the first of its reports
        self.limit = limit
        self.wait = wait
        self.alone = False  #: nothing else is held or on its way: an empty answer means that nothing is ready
        self.retried = False
        self.answer: p.Answer | Exception | None = None  #: has come, but has not been taken
        self.sent = 0.0  #: by the loop's clock
        self.asked = 0.0  #: the first time, by the clock of leases: it may be that one that is answered
        self.recounts = False  #: it says what is held, and is handed out again what is not

    def recount(self, assignments: Assignments) -> None:
        """Say what is held."""
        if not self.recounts:
            self.recounts = True
            assignments.begin_recount()

    def end_recount(self, assignments: Assignments) -> None:
        if self.recounts:
            assignments.end_recount()

    def retry(self, assignments: Assignments) -> None:
        """The answer may have been lost, and tasks with it. Ask for those, and for no more until that is clear."""
        self.retried = True
        self.limit, self.wait = 0, 0.0
        self.recount(assignments)

    def request(
        self,
        cluster: str,
        identifiers: list[tuple[str, int, int]],
        assignments: Assignments,
        *,
        in_order: bool,
    ) -> bytes:
        """Return the request as it stands now, to be sent at once."""
        self.asked = self.asked or clock()
        # The reports were encoded by the threads that made them.
        reports = cast(Any, [msgspec.Raw(assignment.reports[0]) for assignment in self.reports])
        holds = assignments.refs if self.recounts else None
        return p.encode(p.Exchange(cluster, identifiers, reports, self.limit, self.wait, holds, in_order))
