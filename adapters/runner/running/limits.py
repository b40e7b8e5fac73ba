"""Attempts that have to end: at their time limit, or because they were canceled and the grace is over."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

from ..assignment import Assignment, Cause, Notice
from .crew import Crew, Member

#: seconds an attempt has to end after it was stopped, before its thread is left behind
MERCY = 1.0
#: seconds between two looks, at least
_FINEST = 0.01


class Limits:
    """Looks after the running attempts, as seldom as their limits allow. Times are those of time.monotonic."""

    def __init__(self, workers: Crew) -> None:
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

    def look(self, *, held: bool) -> float:
        """Stop what has to end, and return when to look again. `held`: the runner has attempts at all."""
        if not held:
            self._shortest = self._next = math.inf
        if self._next == math.inf:
            return math.inf
        now = time.monotonic()
        if now >= self._next:
            # What is not running yet may begin right after this, and is not to be missed.
            self._next = max(now + _FINEST, min([now + self._shortest, *self._ends(now)]))
        return self._next

    def _ends(self, now: float) -> Iterable[float]:
        for worker, assignment in self._workers.busy:
            if now >= _end(assignment):
                self._stop(worker, assignment, now)
            if now >= assignment.mercy:
                self._workers.leave_behind(worker, assignment, MERCY)
            else:
                yield min(_end(assignment), assignment.mercy)

    def _stop(self, worker: Member, assignment: Assignment, now: float) -> None:
        limit = assignment.spec.asked.timeout / 1e6
        if limit and now >= assignment.began + limit:
            assignment.notify(Notice(Cause.TIME_LIMIT, f"its time limit of {limit:g} s has passed", now))
        if worker.stop(assignment):
            assignment.mercy = now + MERCY


def _end(assignment: Assignment) -> float:
    """Return when it has to be stopped; never, if it was already."""
    if assignment.mercy < math.inf:
        return math.inf
    limit, notice = assignment.spec.asked.timeout, assignment.notice
    end = assignment.began + limit / 1e6 if limit else math.inf
    return end if notice is None else min(end, notice.stop_at)
