"""Those who run the tasks of a session, threads or processes: what they have in common for whoever feeds them.

A hop to the event loop for every task would cost more than a short task does. So finished work lies in a deque, and
the loop is told twice at most before it fetches it: when the first one is there, and when it should hurry.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from jobledger.core.errors import JobLedgerError

from ..assignment import Assignment
from .todo import Todo

#: so many finished tasks are worth a message of their own
FULL = 1024


class Member(Protocol):
    """One of them, who runs one task at a time."""

    def stop(self, assignment: Assignment) -> bool:
        """Have the code of an attempt end by an exception. Return False if it has ended already."""


class Crew(ABC):
    """A fixed number of members, and the queues between them and the event loop, which calls what is public here."""

    def __init__(self, todo: Todo) -> None:
        self.low = 0  #: with no more than this left to do, finished work is reported at once
        self._todo = todo
        self._done: deque[Assignment] = deque()
        self._told_first = self._told_urgent = False

    def start(
        self, loop: asyncio.AbstractEventLoop, on_first: Callable[[], None], on_urgent: Callable[[], None]
    ) -> None:
        """Begin. The callbacks run on `loop`, each once at most between two calls of `take_done`."""
        self._loop, self._on_first, self._on_urgent = loop, on_first, on_urgent
        self._start()

    def take_done(self) -> list[Assignment]:
        """Return what was finished since the last call, in the order of finishing."""
        self._told_first = self._told_urgent = False  # before looking: what comes later tells again
        done = self._done
        return [done.popleft() for _ in range(len(done))]

    @property
    def finished(self) -> int:
        """How many finished ones nobody has taken yet."""
        return len(self._done)

    @property
    @abstractmethod
    def size(self) -> int:
        """How many members there are."""

    @property
    @abstractmethod
    def busy(self) -> Sequence[tuple[Member, Assignment]]:
        """The members that run something, with what they run."""

    @property
    @abstractmethod
    def running(self) -> list[Assignment]:
        """What is being run at this moment."""

    @abstractmethod
    def load(self, seconds: float) -> tuple[int, int]:
        """Return how many assignments they have, and how many members are busy with one for longer than that."""

    @property
    @abstractmethod
    def problem(self) -> JobLedgerError | None:
        """What is to end this run, once it holds nothing any more."""

    @abstractmethod
    def leave_behind(self, member: Member, assignment: Assignment, waited: float) -> None:
        """Report an attempt that was stopped and has not ended for the seconds `waited`, and run others instead."""

    @abstractmethod
    def abandon(self) -> None:
        """The run is over, whatever is running: have no more of that go on than cannot be helped."""

    @abstractmethod
    def join(self, timeout: float) -> bool:
        """Return whether all members have ended, waiting `timeout` seconds at most for it. Close the queue before."""

    # -- for the members --------------------------------------------------------------------------------------------

    @abstractmethod
    def _start(self) -> None: ...

    def _ended(self, assignment: Assignment) -> None:
        barrier = self._todo.ended(assignment)
        self._done.append(assignment)
        if self._told_urgent:  # and the event loop has not looked yet
            return
        if barrier or self._todo.open <= self.low or len(self._done) >= FULL:
            self.hurry()
        elif not self._told_first:
            self._told_first = True
            self._tell(self._on_first)

    def hurry(self) -> None:
        """Have the event loop look at once."""
        if not self._told_urgent:
            self._told_urgent = True
            self._tell(self._on_urgent)

    def _tell(self, callback: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:  # the loop was closed while this thread was busy: nobody waits for the result
            self._todo.close()
