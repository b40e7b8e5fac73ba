"""The crew of a simulated runner: the product's own, but for its threads. The code of tasks runs on the virtual loop.

A worker thread waits for something to do on a lock of its own, which whoever has something releases. Here that lock is a
`_Turnstile`: it breaks the waiting off, and has the crew called again once it is released. So every line of `Todo` runs as
it does on threads.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

from jobledger.adapters.runner.assignment import Assignment
from jobledger.adapters.runner.running import todo as todo_module
from jobledger.adapters.runner.running.coroutines import Loop, LoopTask, Work
from jobledger.adapters.runner.running.seats import Seats
from jobledger.adapters.runner.running.todo import Todo

#: what is called when the turnstile that is taken next is released
_on_release: list[Callable[[], None]] = []


class _Parked(BaseException):
    """There is nothing to take."""


class _Turnstile:
    """The lock on which a worker waits."""

    def __init__(self) -> None:
        self._wake = _on_release[-1]
        self._taken = False

    def acquire(self) -> None:
        if self._taken:
            raise _Parked
        self._taken = True

    def release(self) -> None:
        self._wake()


@contextmanager
def without_threads() -> Iterator[None]:
    """While inside, whoever waits for work is called back."""
    seen = vars(todo_module)
    original = seen["threading"]
    seen["threading"] = SimpleNamespace(Lock=_Turnstile, RLock=threading.RLock)
    try:
        yield
    finally:
        seen["threading"] = original


class SimLoop(Loop):
    """The loop on which tasks run: the virtual one, with everything else."""

    def __init__(self, work: Work, ended: Callable[[LoopTask], None]) -> None:
        self._work = work
        self._ended = ended
        self._virtual = asyncio.get_running_loop()

    def begin(self, assignment: Assignment) -> LoopTask:
        member = LoopTask(assignment, self)
        # As `LoopTask.begin` does, but by way of the loop, which knows whose tasks to end with a process.
        member._task = self._virtual.create_task(member._begin(self._work))
        return member

    def close(self) -> None:
        """It goes on for others."""

    def call(self, callback: Callable[[], object]) -> None:
        self._virtual.call_soon(callback)

    @property
    def current(self) -> asyncio.Task[None] | None:
        return None  # no task keeps the loop to itself

    def over(self, member: LoopTask) -> None:
        if not member.left_behind:
            self._ended(member)


class SimCrew(Seats):
    """Seats for coroutines, which nobody but the virtual loop takes work to. `begins` is called with each attempt."""

    def __init__(
        self,
        size: int,
        todo: Todo,
        work_on_loop: Work,
        begins: Callable[[Assignment], None],
    ) -> None:
        super().__init__(
            size, todo, lambda assignment, user_code: None, lambda assignment: True, work_on_loop
        )
        self._begins = begins
        self._waiting = False  #: for the turnstile
        self._loops = [SimLoop(work_on_loop, self._over)]

    def _start(self) -> None:
        self._sit_down()

    def _sit_down(self) -> None:
        self._loop.call_soon(self._take)

    def _released(self) -> None:
        self._waiting = False
        self._loop.call_soon(self._take)

    def _take(self) -> None:
        while self._free and not self._waiting:
            _on_release.append(self._released)
            try:
                assignment = self._todo.take()
            except _Parked:
                self._waiting = True
                return
            finally:
                _on_release.pop()
            if assignment is None:
                return
            self._free -= 1
            self._begins(assignment)
            self._begin(assignment)
