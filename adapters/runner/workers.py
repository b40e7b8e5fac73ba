"""The threads that run tasks: they take what is to do, leave what is done, and wake the event loop no more than needed.

A hop to the event loop for every task would cost more than a short task does. So finished work lies in a deque, and
the loop is told twice at most before it fetches it: when the first one is there, and when it should hurry.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable

from jobledger.core.context import TaskCanceled

from .assignment import Assignment
from .todo import Todo
from .user_code import UserCode

#: so many finished tasks are worth a message of their own
FULL = 256
#: threads that may be left behind, each with the task it cannot be stopped in
MOST_LEFT_BEHIND = 64


class Worker:
    """One thread, and what it runs."""

    def __init__(self, name: str, run: Callable[[Worker], None]) -> None:
        self.assignment: Assignment | None = None  #: what it is busy with
        self.user_code = UserCode()
        self.thread = threading.Thread(target=run, args=(self,), name=name, daemon=True)


class Workers:
    """A fixed number of threads, and the queues between them and the event loop."""

    def __init__(self, size: int, todo: Todo, work: Callable[[Assignment, UserCode], None]) -> None:
        """`work` runs one assignment and raises nothing."""
        self.low = 0  #: with no more than this left to do, finished work is reported at once
        self._todo = todo
        self._work = work
        self._done: deque[Assignment] = deque()
        self._told_first = self._told_urgent = False
        self._started = 0
        self._workers = [self._new() for _ in range(size)]
        self._left_behind: list[Worker] = []

    # -- for the event loop ---------------------------------------------------------------------------------------

    def start(
        self, loop: asyncio.AbstractEventLoop, on_first: Callable[[], None], on_urgent: Callable[[], None]
    ) -> None:
        """Start the threads. The callbacks run on `loop`, each once at most between two calls of `take_done`."""
        self._loop, self._on_first, self._on_urgent = loop, on_first, on_urgent
        for worker in self._workers:
            worker.thread.start()

    def take_done(self) -> list[Assignment]:
        """Return what was finished since the last call, in the order of finishing."""
        self._told_first = self._told_urgent = False  # before looking: what comes later tells again
        done = self._done
        return [done.popleft() for _ in range(len(done))]

    @property
    def size(self) -> int:
        return len(self._workers)

    @property
    def finished(self) -> int:
        """How many finished ones nobody has taken yet."""
        return len(self._done)

    @property
    def busy(self) -> list[tuple[Worker, Assignment]]:
        """The workers that run something, with what they run."""
        return [(worker, running) for worker in self._workers if (running := worker.assignment) is not None]

    @property
    def running(self) -> list[Assignment]:
        """What is being run at this moment."""
        return [running for _, running in self.busy]

    def slow(self, seconds: float) -> int:
        """Return how many workers have been busy with their task for longer than that."""
        since = time.time_ns() // 1000 - int(seconds * 1e6)
        return sum(0 < assignment.started < since for assignment in self.running)

    def leave_behind(self, worker: Worker, assignment: Assignment, report: Callable[[], None]) -> bool:
        """Have another thread take the place of one that cannot be stopped, after `report` has said what became of its
        task. Return False if it has left that task after all.
        """
        if not worker.user_code.leave_behind(assignment):
            return False
        report()
        self._left_behind = [other for other in self._left_behind if other.thread.is_alive()]
        self._left_behind.append(worker)
        new = self._new()
        self._workers[self._workers.index(worker)] = new
        self._ended(assignment)
        new.thread.start()
        return True

    @property
    def left_behind(self) -> int:
        """How many threads were left behind, and still do what they could not be stopped in."""
        return sum(worker.thread.is_alive() for worker in self._left_behind)

    def join(self, timeout: float) -> bool:
        """Return whether all threads have ended, waiting `timeout` seconds at most for it. Close the queue before.

        One that is busy ends after its task; those left behind are not waited for.
        """
        until = time.monotonic() + timeout
        for worker in self._workers:
            if worker.thread.ident is not None:
                worker.thread.join(max(0.0, until - time.monotonic()))
        return not any(worker.thread.is_alive() for worker in self._workers)

    def _new(self) -> Worker:
        self._started += 1
        return Worker(f"jobledger-worker-{self._started}", self._run)

    # -- the threads ----------------------------------------------------------------------------------------------

    def _run(self, worker: Worker) -> None:
        todo, user_code = self._todo, worker.user_code
        try:
            while (assignment := todo.take()) is not None:
                worker.assignment = assignment
                assignment.began = time.monotonic()
                self._work(assignment, user_code)
                if user_code.left_behind:
                    return
                worker.assignment = None
                self._ended(assignment)
        except TaskCanceled:
            if not user_code.left_behind:  # what is raised from outside came late
                raise
        finally:
            user_code.close()

    def _ended(self, assignment: Assignment) -> None:
        barrier = self._todo.ended(assignment)
        self._done.append(assignment)
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
