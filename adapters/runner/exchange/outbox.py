"""What is to be reported, and what becomes of it once the engine has answered."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable

from jobledger.core.events import Error

from ...protocol import RefusedReport
from ..assignment import Assignment, Assignments
from ..attempt.execution import fail, release

log = logging.getLogger(__name__)

#: bytes of reports in one exchange; a single larger report goes alone
MOST_BYTES = 512 * 1024
#: tries after which a report that the engine fails on is given up, the last of them as a failure of the task
_TRIES = 3


def staged(sent: Iterable[Assignment]) -> list[Assignment]:
    """Return those of which more is to be reported after what was sent."""
    return [one for one in sent if len(one.reports) > 1]


class Outbox:
    """Assignments whose next report waits to be sent. A long list of subtasks takes several, one after another."""

    def __init__(self, assignments: Assignments) -> None:
        self._assignments = assignments
        self._waiting: deque[Assignment] = deque()
        self._one_by_one = 0  #: so many go alone, because the engine refused an exchange that held them all

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, *assignments: Assignment) -> None:
        self._waiting += assignments

    def give_back(self, assignments: Iterable[Assignment], reason: str) -> None:
        """Have these, which have not begun, reported as given back."""
        for assignment in assignments:
            if not assignment.lost:
                release(assignment, reason)
                self.add(assignment)

    def take(self) -> list[Assignment]:
        """Return those whose next reports one exchange can carry, in order."""
        taken: list[Assignment] = []
        size, waiting = 0, self._waiting
        while waiting:
            size += len(waiting[0].reports[0])
            if taken and (size > MOST_BYTES or self._one_by_one):
                break
            taken.append(waiting.popleft())
        if self._one_by_one:
            self._one_by_one = max(0, self._one_by_one - len(taken))
        return taken

    def answered(self, sent: list[Assignment], refused: Iterable[RefusedReport] = ()) -> list[Assignment]:
        """The engine took the first report of each, except for those it refused. Return those that are over by that."""
        refusals = {refusal.report: refusal for refusal in refused}
        if not refusals and not staged(sent):
            self._assignments.settle(*sent)
            return sent
        return [
            assignment
            for index, assignment in enumerate(sent)
            if (self._refused(assignment, refusals[index]) if index in refusals else self._taken(assignment))
        ]

    def refused_together(self, sent: list[Assignment], code: str, message: str) -> list[Assignment]:
        """The engine took nothing of an exchange. Find out which report it was by sending each on its own.

        Return those that are over by that: of which nothing more can be said.
        """
        if len(sent) > 1:
            log.error("the engine refused %d reports together (%s): %s", len(sent), code, message)
            self._waiting.extendleft(reversed(sent))
            self._one_by_one += len(sent)
            return []
        return [assignment for assignment in sent if self._refused_alone(assignment, code, message)]

    # -- each of these returns whether the assignment is over -------------------------------------------------------

    def _taken(self, assignment: Assignment) -> bool:
        if len(assignment.reports) == 1:
            self._assignments.settle(assignment)
            return True
        assignment.reports = assignment.reports[1:]
        self._waiting.append(assignment)
        return False

    def _refused(self, assignment: Assignment, refusal: RefusedReport) -> bool:
        if refusal.code == "invalid" and assignment.submits:
            fail(
                assignment,
                Error("SubmissionRefused", f"the engine refused the subtasks: {refusal.message}"),
            )
            self._waiting.append(assignment)
            return False
        # What never began has no result: it was given back, and somebody else may have it by now.
        level = logging.WARNING if assignment.started else logging.DEBUG
        log.log(level, "the result of %r is dropped (%s): %s", assignment, refusal.code, refusal.message)
        self._assignments.settle(assignment)
        return True

    def _refused_alone(self, assignment: Assignment, code: str, message: str) -> bool:
        """The engine failed on this report: it is tried again, then the task fails, then there is nothing to say."""
        assignment.refusals += 1
        if assignment.refusals > _TRIES:
            return self._refused(assignment, RefusedReport(0, code, message))
        log.error("the engine refused what %r reports (%s): %s", assignment, code, message)
        if assignment.refusals == _TRIES:
            fail(
                assignment, Error("ReportRefused", f"the engine failed on what this task reports: {message}")
            )
        self._waiting.appendleft(assignment)
        self._one_by_one += 1
        return False
