"""What is to be reported, and what becomes of it once the engine has answered."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable

from jobledger.core.events import Error

from ..protocol import RefusedReport
from .assignment import Assignment, Assignments
from .execution import fail

log = logging.getLogger(__name__)

#: bytes of reports in one exchange; a single larger report goes alone
MOST_BYTES = 512 * 1024


class Outbox:
    """Assignments whose next report waits to be sent. A long list of subtasks takes several, one after another."""

    def __init__(self, assignments: Assignments) -> None:
        self._assignments = assignments
        self._waiting: deque[Assignment] = deque()
        self._one_by_one = 0  #: so many go alone, because the engine refused an exchange that held them all

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, assignment: Assignment) -> None:
        self._waiting.append(assignment)

    def take(self) -> list[Assignment]:
        """Return those whose next reports one exchange can carry, in order."""
        taken: list[Assignment] = []
        size = 0
        while self._waiting:
            size += len(self._waiting[0].reports[0])
            if taken and (size > MOST_BYTES or self._one_by_one):
                break
            taken.append(self._waiting.popleft())
        self._one_by_one = max(0, self._one_by_one - len(taken))
        return taken

    def answered(self, sent: list[Assignment], refused: Iterable[RefusedReport] = ()) -> None:
        """The engine took the first report of each, except for those it refused."""
        refusals = {refusal.report: refusal for refusal in refused}
        for index, assignment in enumerate(sent):
            if index in refusals:
                self._refused(assignment, refusals[index])
                continue
            reports = assignment.reports
            if len(reports) == 1:
                self._assignments.settle(assignment)
            else:
                del reports[0]
                self._waiting.append(assignment)

    def refused_together(self, sent: list[Assignment], code: str, message: str) -> None:
        """The engine took nothing of an exchange. Find out which report it was by sending each on its own."""
        if len(sent) == 1:
            self._refused(sent[0], RefusedReport(0, "invalid", message))
        else:
            log.error("the engine refused %d reports together (%s): %s", len(sent), code, message)
            self._waiting.extendleft(reversed(sent))
            self._one_by_one += len(sent)

    def _refused(self, assignment: Assignment, refusal: RefusedReport) -> None:
        if refusal.code == "invalid" and assignment.submits:
            fail(
                assignment, Error("SubmissionRefused", f"the engine refused the subtasks: {refusal.message}")
            )
            self._waiting.append(assignment)
            return
        # What never began has no result: it was given back, and somebody else may have it by now.
        level = logging.WARNING if assignment.started else logging.DEBUG
        log.log(level, "the result of %r is dropped (%s): %s", assignment, refusal.code, refusal.message)
        self._assignments.settle(assignment)
