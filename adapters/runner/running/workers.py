"""The threads that run tasks: they take what is to do, and leave what is done."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from jobledger.core.context import TaskCanceled
from jobledger.core.errors import JobLedgerError

from ..assignment import Assignment
from ..attempt.execution import give_up
from ..attempt.user_code import UserCode
from ..failure import stack_of
from .crew import Crew, Member
from .todo import Todo

log = logging.getLogger(__name__)

#: threads that may be left behind, each with the task it cannot be stopped in
MOST_LEFT_BEHIND = 64


class Worker:
    """One thread, and what it runs."""

    def __init__(self, name: str, run: Callable[[Worker], None]) -> None:
        self.assignment: Assignment | None = None  #: what it is busy with
        self.user_code = UserCode()
        self.thread = threading.Thread(target=run, args=(self,), name=name, daemon=True)

    def stop(self, assignment: Assignment) -> bool:
        """Have the code of an attempt end by an exception. Return False if it has ended already."""
        return self.user_code.stop(assignment)


class Workers(Crew):
    """A fixed number of threads."""

    def __init__(self, size: int, todo: Todo, work: Callable[[Assignment, UserCode], None]) -> None:
        """`work` runs one assignment and raises nothing."""
        super().__init__(todo)
        self._work = work
        self._started = 0
        self._workers = [self._new() for _ in range(size)]
        self._left_behind: list[Worker] = []

    @property
    def size(self) -> int:
        return len(self._workers)

    @property
    def busy(self) -> Sequence[tuple[Member, Assignment]]:
        """The workers that run something, with what they run."""
        return [(worker, running) for worker in self._workers if (running := worker.assignment) is not None]

    @property
    def running(self) -> list[Assignment]:
        """What is being run at this moment."""
        return [running for worker in self._workers if (running := worker.assignment) is not None]

    def load(self, seconds: float) -> tuple[int, int]:
        """Return how many workers are busy, and how many of them with one task for longer than that."""
        running = self.running
        if not running:
            return 0, 0
        since = time.time_ns() // 1000 - int(seconds * 1e6)
        return len(running), sum(0 < assignment.started < since for assignment in running)

    def leave_behind(self, worker: Member, assignment: Assignment, waited: float) -> None:
        """Have another thread take the place of one that was stopped and has not left its task for the seconds `waited`."""
        assert isinstance(worker, Worker)
        stack = stack_of(worker.thread.ident or 0)
        if not worker.user_code.leave_behind(assignment):
            return  # it has left it after all
        give_up(assignment, stack, f"did not end for {waited:g} s, and is left behind")
        self._left_behind = [other for other in self._left_behind if other.thread.is_alive()]
        self._left_behind.append(worker)
        new = self._new()
        self._workers[self._workers.index(worker)] = new
        self._ended(assignment)
        new.thread.start()
        log.warning(
            "%r was stopped and did not end within %g s. Its thread is left behind with it, as native code cannot "
            "be interrupted; a new one takes its place. %d of at most %d are left behind now",
            assignment,
            waited,
            self.left_behind,
            MOST_LEFT_BEHIND,
        )

    @property
    def problem(self) -> JobLedgerError | None:
        """What is to end this run, once it holds nothing any more: too much was left behind."""
        if self.left_behind < MOST_LEFT_BEHIND:
            return None
        return JobLedgerError(
            f"{MOST_LEFT_BEHIND} tasks could not be stopped, and their threads were left behind with them. This runner "
            "takes no more tasks: start it again, and see what the tasks named in its log wait for"
        )

    @property
    def left_behind(self) -> int:
        """How many threads were left behind, and still do what they could not be stopped in."""
        return sum(worker.thread.is_alive() for worker in self._left_behind) if self._left_behind else 0

    def abandon(self) -> None:
        """A thread goes on until its task ends, or the process does."""

    def join(self, timeout: float) -> bool:
        """Return whether all threads have ended, waiting `timeout` seconds at most for it. Close the queue before.

        One that is busy ends after its task; those left behind are not waited for.
        """
        until = time.monotonic() + timeout
        for worker in self._workers:
            if worker.thread.ident is not None:
                worker.thread.join(max(0.0, until - time.monotonic()))
        return not any(worker.thread.is_alive() for worker in self._workers)

    def _start(self) -> None:
        for worker in self._workers:
            worker.thread.start()

    def _new(self) -> Worker:
        self._started += 1
        return Worker(f"jobledger-worker-{self._started}", self._run)

    # -- the threads ----------------------------------------------------------------------------------------------

    def _run(self, worker: Worker) -> None:
        todo, user_code = self._todo, worker.user_code
        try:
            while (assignment := todo.take()) is not None:
                worker.assignment = assignment
                if not self._attempt(worker, assignment):
                    return
        except TaskCanceled:
            if not user_code.left_behind:  # what is raised from outside came late
                raise
        finally:
            user_code.close()

    def _attempt(self, worker: Worker, assignment: Assignment) -> bool:
        """Run it; return whether this thread is still wanted, and was not left behind in it."""
        assignment.began = time.monotonic()
        self._work(assignment, worker.user_code)
        if worker.user_code.left_behind:
            return False
        worker.assignment = None
        self._ended(assignment)
        return True
