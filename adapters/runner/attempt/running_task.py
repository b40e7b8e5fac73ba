"""The running task as it sees itself: `context.current_task`, and what it counts with `context.progress`."""

from __future__ import annotations

import threading
from uuid import UUID

from jobledger.core.errors import ArgumentError
from jobledger.core.limits import MOST_COUNT
from jobledger.core.task import Task

from ..assignment import Assignment

MAX_DISPLAY = 1024  # characters


class RunningJob:
    """The job of the running task."""

    __slots__ = ("id", "name")

    def __init__(self, assignment: Assignment) -> None:
        self.id = UUID(assignment.job_id)
        self.name = assignment.job_name


class RunningTask:
    """The running task."""

    __slots__ = ("_assignment", "_class", "_job", "chosen_display")

    def __init__(self, assignment: Assignment, cls: type[Task]) -> None:
        self._assignment = assignment
        self._class = cls
        self._job: RunningJob | None = None
        self.chosen_display: str | None = None  #: what was assigned to `display`

    @property
    def id(self) -> str:
        """The job's id and the task's number in it."""
        return f"{self._assignment.job_id}/{self._assignment.task}"

    @property
    def number(self) -> int:
        """The task's number in its job, from 0 in order of submission."""
        return self._assignment.task

    @property
    def attempt(self) -> int:
        """Which run of this task this is, from 1."""
        return self._assignment.attempt

    @property
    def job(self) -> RunningJob:
        if self._job is None:
            self._job = RunningJob(self._assignment)
        return self._job

    @property
    def display(self) -> str:
        """Text that stands for the task in diagrams; cut to 1024 characters. Anything but a str is made one."""
        return self._class.__name__ if self.chosen_display is None else self.chosen_display

    @display.setter
    def display(self, text: object) -> None:
        shown = text if isinstance(text, str) else str(text)
        self.chosen_display = str.encode(shown[:MAX_DISPLAY], "utf-8", "replace").decode()


class WorkCount:
    """One labelled count of work: how much there is, and how much is done."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.total = 0
        self.finished = 0
        self._counting = threading.Lock()

    def add(self, count: int) -> None:
        with self._counting:
            self.total = _sum(self.total, count)

    def done(self, count: int) -> None:
        with self._counting:
            self.finished = _sum(self.finished, count)


def _sum(so_far: int, count: object) -> int:
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise ArgumentError(f"progress counts whole units of work, 0 or more, not {count!r:.100}")
    if so_far + count > MOST_COUNT:
        raise ArgumentError(f"progress counts {MOST_COUNT:,} units of work at most: count in larger units")
    return so_far + count
