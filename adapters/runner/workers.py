"""The threads that run tasks: they take what is to do, leave what is done, and wake the event loop no more than needed.

A hop to the event loop for every task would cost more than a short task does. So finished work lies in a deque, and
the loop is told twice at most before it fetches it: when the first one is there, and when it should hurry.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from .assignment import Assignment
from .execution import Coroutines

#: so many finished tasks are worth a message of their own
FULL = 256


class Workers:
    """A fixed number of threads, and the two queues between them and the event loop."""

    def __init__(self, size: int, work: Callable[[Assignment, Coroutines], None]) -> None:
        """`work` runs one assignment and raises nothing."""
        self.size = size
        self.low = 0  #: with no more than this left to do, finished work is reported at once
        self._work = work
        self._todo: deque[Assignment] = deque()
        self._done: deque[Assignment] = deque()
        self._current: list[Assignment | None] = [None] * size
        #: jobs of which nothing is begun, and the failures that are not answered yet
        self._held: dict[str, set[Assignment]] = {}
        self._parked: list[Assignment] = []  #: of held jobs
        self._available = threading.Condition()
        self._stopping = False
        self._told_first = self._told_urgent = False
        self._threads = [
            threading.Thread(target=self._run, args=(index,), name=f"jobledger-worker-{index}", daemon=True)
            for index in range(size)
        ]

    # -- for the event loop ---------------------------------------------------------------------------------------

    def start(
        self, loop: asyncio.AbstractEventLoop, on_first: Callable[[], None], on_urgent: Callable[[], None]
    ) -> None:
        """Start the threads. The callbacks run on `loop`, each once at most between two calls of `take_done`."""
        self._loop, self._on_first, self._on_urgent = loop, on_first, on_urgent
        for thread in self._threads:
            thread.start()

    def add(self, assignments: Iterable[Assignment]) -> None:
        """Have these run, in order, after what is to do already."""
        self._todo.extend(assignments)
        with self._available:
            self._available.notify(len(self._todo))

    def take_done(self) -> list[Assignment]:
        """Return what was finished since the last call, in the order of finishing."""
        self._told_first = self._told_urgent = False  # before looking: what comes later tells again
        done = self._done
        return [done.popleft() for _ in range(len(done))]

    def take_back(self, count: int) -> list[Assignment]:
        """Return up to `count` assignments no worker has begun, the last ones first; they will not be run."""
        taken: list[Assignment] = []
        with self._available:
            while len(taken) < count:
                try:
                    taken.append(self._parked.pop() if self._parked else self._todo.pop())
                except IndexError:
                    break
        return taken

    def resume(self, ended: Assignment) -> None:
        """The engine knows how this one ended. If its failure held up its job, what waits of it may begin now."""
        job_id = ended.job_id
        with self._available:
            failures = self._held.get(job_id, set())
            failures.discard(ended)
            if failures or self._held.pop(job_id, None) is None:
                return
            ours = [assignment for assignment in self._parked if assignment.job_id == job_id]
            self._parked = [assignment for assignment in self._parked if assignment.job_id != job_id]
            self._todo.extendleft(reversed(ours))
            self._available.notify(len(ours))

    def take_back_job(self, job_id: str) -> list[Assignment]:
        """Return the assignments of this job that no worker has begun; they will not be run."""
        with self._available:
            waiting = self.take_back(self.waiting)[::-1]
            taken = [assignment for assignment in waiting if assignment.job_id == job_id]
            self._todo.extend(assignment for assignment in waiting if assignment.job_id != job_id)
            self._available.notify(len(self._todo))
        return taken

    @property
    def waiting(self) -> int:
        """How many assignments no worker has begun."""
        return len(self._todo) + len(self._parked)

    @property
    def finished(self) -> int:
        """How many finished ones nobody has taken yet."""
        return len(self._done)

    @property
    def running(self) -> list[Assignment]:
        """What is being run at this moment."""
        return [assignment for assignment in self._current if assignment is not None]

    def slow(self, seconds: float) -> int:
        """Return how many workers have been busy with their task for longer than that."""
        since = time.time_ns() // 1000 - int(seconds * 1e6)
        return sum(0 < assignment.started < since for assignment in self.running)

    def stop(self) -> None:
        """Begin nothing more. A thread that is busy ends after its task."""
        self._stopping = True
        with self._available:
            self._available.notify_all()

    def join(self, timeout: float) -> bool:
        """Return whether all threads have ended, waiting `timeout` seconds at most for it."""
        until = time.monotonic() + timeout
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    # -- the threads ----------------------------------------------------------------------------------------------

    def _run(self, index: int) -> None:
        todo, current, coroutines = self._todo, self._current, Coroutines()
        try:
            while not self._stopping:
                try:
                    assignment = todo.popleft()
                except IndexError:
                    with self._available:
                        while not todo and not self._stopping:
                            self._available.wait()
                    continue
                if assignment.lost or (self._held and self._park(assignment)):
                    continue
                current[index] = assignment
                self._work(assignment, coroutines)
                if assignment.failed:
                    self._hold(assignment)
                current[index] = None
                self._finished(assignment)
        finally:
            coroutines.close()

    def _hold(self, failed: Assignment) -> None:
        """A failure may halt the job: begin no other task of it before the engine has said so."""
        with self._available:
            self._held.setdefault(failed.job_id, set()).add(failed)

    def _park(self, assignment: Assignment) -> bool:
        with self._available:
            held = assignment.job_id in self._held
            if held:
                self._parked.append(assignment)
        return held

    def _finished(self, assignment: Assignment) -> None:
        self._done.append(assignment)
        if assignment.failed or len(self._todo) <= self.low or len(self._done) >= FULL:
            if not self._told_urgent:
                self._told_urgent = True
                self._tell(self._on_urgent)
        elif not self._told_first:
            self._told_first = True
            self._tell(self._on_first)

    def _tell(self, callback: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:  # the loop was closed while this thread was busy: nobody waits for the result
            self._stopping = True
