"""Threads and coroutines that run tasks side by side, no more of them at a time than there are seats.

Whoever takes a task has a seat. A thread keeps its own for one task after another; that of a coroutine is free again
once it is over. Threads begin as they are needed: coroutines, however many, need one to take them and one to run on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from jobledger.core.context import TaskCanceled

from ..assignment import Assignment
from ..attempt.execution import give_up
from ..attempt.user_code import UserCode
from .coroutines import Loop, LoopTask, Work
from .crew import Member
from .todo import Todo
from .workers import Worker, Workers

log = logging.getLogger(__name__)


class Seats(Workers):
    """Workers of a runner of which some classes are coroutines."""

    def __init__(
        self,
        size: int,
        todo: Todo,
        work: Callable[[Assignment, UserCode], None],
        is_coroutine: Callable[[Assignment], bool],
        work_on_loop: Work,
    ) -> None:
        """`work` runs an assignment on a thread, `work_on_loop` one that `is_coroutine`. They raise nothing."""
        super().__init__(0, todo, work)
        self._size = self._free = size
        self._is_coroutine = is_coroutine
        self._work_on_loop = work_on_loop
        self._sitting = threading.Lock()
        #: of threads that wait for a seat: releasing it gives them one
        self._standing: list[threading.Lock] = []
        self._on_loop: dict[Assignment, LoopTask] = {}
        self._loops: list[Loop] = []  #: the last one takes what is new
        self._left_on_loop: list[LoopTask] = []

    @property
    def size(self) -> int:
        return self._size

    @property
    def busy(self) -> Sequence[tuple[Member, Assignment]]:
        """Who runs something, with what it runs."""
        return [*super().busy, *((task, assignment) for assignment, task in list(self._on_loop.items()))]

    @property
    def running(self) -> list[Assignment]:
        """What is being run at this moment."""
        return [*super().running, *list(self._on_loop)]

    def leave_behind(self, member: Member, assignment: Assignment, waited: float) -> None:
        """Have another take the place of one that was stopped and has not ended for the seconds `waited`."""
        if not isinstance(member, LoopTask):
            super().leave_behind(member, assignment, waited)
            return
        stack = member.leave()
        if stack is None:
            return  # it has ended after all
        give_up(assignment, stack, f"did not end for {waited:g} s, and is left behind")
        self._left_on_loop = [*(task for task in self._left_on_loop if task.goes_on), member]
        self._over(member)
        log.warning(
            "%r was stopped and did not end within %g s. It is left behind on its event loop",
            assignment,
            waited,
        )

    @property
    def left_behind(self) -> int:
        """How many were left behind, and still do what they could not be stopped in."""
        return super().left_behind + sum(task.goes_on for task in self._left_on_loop)

    def abandon(self) -> None:
        """The run ends: coroutines are canceled. A thread goes on until its task ends, or the process does."""
        for assignment, task in list(self._on_loop.items()):
            task.stop(assignment)

    def join(self, timeout: float) -> bool:
        """Return whether all threads have ended, waiting `timeout` seconds at most for it. Close the queue before.

        What was left behind is not waited for.
        """
        until = time.monotonic() + timeout
        with self._sitting:
            loops = list(self._loops)
            while self._standing:
                self._standing.pop().release()
        for loop in loops:
            loop.close()
        ended = super().join(timeout)
        waited_for = [loop for loop in loops if not loop.held_up]
        for loop in waited_for:
            loop.thread.join(max(0.0, until - time.monotonic()))
        return ended and not any(loop.thread.is_alive() for loop in waited_for)

    def _start(self) -> None:
        with self._sitting:
            self._sit_down()

    # -- the threads ----------------------------------------------------------------------------------------------

    def _run(self, worker: Worker) -> None:
        todo, user_code = self._todo, worker.user_code
        try:
            while (assignment := todo.take()) is not None:
                if self._is_coroutine(assignment):
                    self._begin(assignment)
                    self._find_seat()
                    continue
                worker.assignment = assignment
                if self._free:
                    self._have_a_taker()
                if not self._attempt(worker, assignment):
                    return
        except TaskCanceled:
            if not user_code.left_behind:  # what is raised from outside came late
                raise
        finally:
            user_code.close()

    def _begin(self, assignment: Assignment) -> None:
        """Begin a coroutine. It takes the seat of this thread."""
        assignment.began = time.monotonic()
        with self._sitting:
            task = self._loops[-1].begin(assignment) if self._loops else None
            if task is None:
                self._loops.append(Loop(self._work_on_loop, self._over))
                task = self._loops[-1].begin(assignment)
            assert task is not None
            self._on_loop[assignment] = task

    def _find_seat(self) -> None:
        """Wait for a free seat, or for the end."""
        with self._sitting:
            if self._free:
                self._free -= 1
                return
            standing = threading.Lock()
            standing.acquire()
            self._standing.append(standing)
        standing.acquire()

    def _over(self, task: LoopTask) -> None:
        """A coroutine is over, or was left behind: its seat is free."""
        with self._sitting:
            del self._on_loop[task.assignment]
        self._ended(task.assignment)
        with self._sitting:
            if self._standing:
                self._standing.pop().release()
                return
            self._free += 1
        self._have_a_taker()

    def _have_a_taker(self) -> None:
        """See to it that somebody takes what is to do, if there is a free seat: threads that run a task do not.

        A thread says that it runs one before it looks for free seats, and who frees a seat looks at the threads after
        that: one of them notices.
        """
        with self._sitting:
            if self._free and all(worker.assignment is not None for worker in self._workers):
                self._sit_down()

    def _sit_down(self) -> None:
        """Have a new thread take a free seat."""
        self._free -= 1
        self._workers.append(worker := self._new())
        worker.thread.start()
