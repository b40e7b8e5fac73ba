"""Attempts that have to end: at their time limit, or because they were canceled and the grace is over."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable

from jobledger.core.errors import JobLedgerError

from .assignment import Assignment, Cause, Notice
from .execution import give_up
from .workers import MOST_LEFT_BEHIND, Worker, Workers

log = logging.getLogger(__name__)

#: seconds an attempt has to end after it was stopped, before its thread is left behind
MERCY = 1.0
#: seconds between two looks, at least
_FINEST = 0.01


class Limits:
    """Looks after the running attempts, as seldom as their limits allow. Times are those of time.monotonic."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._next = math.inf
        self._shortest = math.inf  #: seconds of the shortest time limit among what is held

    def admit(self, assignments: Iterable[Assignment]) -> None:
        """These were handed out."""
        for assignment in assignments:
            policy = assignment.spec.policy
            if policy is not None and policy.timeout:
                self._shortest = min(self._shortest, policy.timeout / 1e6)
                self._next = min(self._next, time.monotonic() + self._shortest)

    def told(self) -> None:
        """Some were asked to stop, and may have to."""
        self._next = -math.inf

    @property
    def complaint(self) -> JobLedgerError | None:
        """What is to end this run, once it holds nothing any more: too much was left behind."""
        if self._workers.left_behind < MOST_LEFT_BEHIND:
            return None
        return JobLedgerError(
            f"{MOST_LEFT_BEHIND} tasks could not be stopped, and their threads were left behind with them. This runner "
            "takes no more tasks: start it again, and see what the tasks named in its log wait for"
        )

    def look(self, *, held: int) -> float:
        """Stop what has to end, and return when to look again. `held` is how many attempts the runner has at all."""
        now = time.monotonic()
        if not held:
            self._shortest = self._next = math.inf
        elif now >= self._next:
            # What is not running yet may begin right after this, and is not to be missed.
            self._next = max(now + _FINEST, min([now + self._shortest, *self._ends(now)]))
        return self._next

    def _ends(self, now: float) -> Iterable[float]:
        for worker, assignment in self._workers.busy:
            if now >= _end(assignment):
                self._stop(worker, assignment, now)
            if now >= assignment.mercy:
                self._leave_behind(worker, assignment)
            else:
                yield min(_end(assignment), assignment.mercy)

    def _stop(self, worker: Worker, assignment: Assignment, now: float) -> None:
        limit = assignment.spec.asked.timeout / 1e6
        if limit and now >= assignment.began + limit:
            assignment.notify(Notice(Cause.TIME_LIMIT, f"its time limit of {limit:g} s has passed", now))
        if worker.user_code.stop(assignment):
            assignment.mercy = now + MERCY

    def _leave_behind(self, worker: Worker, assignment: Assignment) -> None:
        thread = worker.thread.ident or 0
        if self._workers.leave_behind(worker, assignment, lambda: give_up(assignment, thread, MERCY)):
            log.warning(
                "%r was stopped and did not end within %g s. Its thread is left behind with it, as native code cannot "
                "be interrupted; a new one takes its place. %d of at most %d are left behind now",
                assignment,
                MERCY,
                self._workers.left_behind,
                MOST_LEFT_BEHIND,
            )


def _end(assignment: Assignment) -> float:
    """Return when it has to be stopped; never, if it was already."""
    if assignment.mercy < math.inf:
        return math.inf
    limit, notice = assignment.spec.asked.timeout, assignment.notice
    end = assignment.began + limit / 1e6 if limit else math.inf
    return end if notice is None else min(end, notice.stop_at)
