"""One worker of a session that runs its tasks in a process: the process it has, and what that one has."""

from __future__ import annotations

import threading
from collections.abc import Callable

from jobledger.core.events import Progress

from ..assignment import Assignment, Notice
from .process import WorkerProcess


class RemoteContext:
    """What a running attempt has counted and displays, by the last news of it."""

    def __init__(self, counted: list[Progress] | None, display: str | None) -> None:
        self.counted = counted
        self.display = display

    def close(self) -> None:
        """Nothing more can come: its process is dead."""


class Worker:
    """One process after the other, and what the one has that there is."""

    def __init__(
        self, name: str, run: Callable[[Worker], None], put_back: Callable[[list[Assignment]], None]
    ) -> None:
        """`run` is what its thread does; `put_back` lets others have what the process has not begun."""
        self.process: WorkerProcess | None = None
        self.given: dict[int, Assignment] = {}  #: by number; what it runs, and what it has not begun
        self.ready = False  #: the process can be given something
        self.failures = 0  #: of this process
        self.classes = 0  #: how many it knows
        self.killed: tuple[Assignment, float] | None = None  #: because of this attempt, after so many seconds
        self._put_back = put_back
        self.thread = threading.Thread(target=run, args=(self,), name=name, daemon=True)

    @property
    def running(self) -> Assignment | None:
        """The attempt that the process runs at this moment."""
        if self.process is None:
            return None
        running = self.process.running
        assignment = self.given.get(running.number)
        if assignment is not None:
            assignment.began, assignment.started = running.began, running.started
        return assignment

    def told(self, assignment: Assignment, notice: Notice) -> None:
        """An attempt it was given is to stop by itself, or not to begin."""
        if self.running is not assignment:
            self._put_back(self.recall())
        self._tell(assignment, notice, force=False)

    def stop(self, assignment: Assignment) -> bool:
        """Have the code of an attempt end by an exception. Return False if it has ended already."""
        if self.running is not assignment or assignment.notice is None:
            return False
        self._tell(assignment, assignment.notice, force=True)
        return True

    def _tell(self, assignment: Assignment, notice: Notice, *, force: bool) -> None:
        process = self.process
        for number, given in [*self.given.items()]:
            if given is assignment and process is not None:
                process.tell(number, notice, force=force)

    def end_now(self) -> None:
        """Kill the process, unless there is nothing it would have to be killed for."""
        process = self.process
        if process is not None and (not self.ready or process.running.number):
            process.kill_at_once()

    def recall(self) -> list[Assignment]:
        """Take back what the process has not begun."""
        numbers = [] if self.process is None else self.process.recall()
        taken = [given for number in numbers if (given := self.given.pop(number, None)) is not None]
        for assignment in taken:
            assignment.worker = None
        return taken
