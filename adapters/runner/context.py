"""What `execute` is handed: the running task's view of its job and its runner."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from jobledger.core import events
from jobledger.core.context import (
    CurrentTask,
    ExecutionContext,
    FutureTask,
    JobCache,
    Logger,
    Progress,
    Tracer,
)
from jobledger.core.errors import ArgumentError
from jobledger.core.task import Task

from .assignment import Assignment
from .registry import TaskRegistry
from .subtasks import Subtasks

MAX_DISPLAY = 1024  # characters
_MAX_LABEL = 100  # characters
_MAX_LABELS = 1000


@dataclass(frozen=True, slots=True)
class Equipment:
    """What all tasks of one runner share."""

    tasks: TaskRegistry
    cache: JobCache
    cluster: str
    runner_context: Any
    log_level: int
    max_report: int  #: bytes of one report that the server's message limit leaves room for


class RunningJob:
    """The job of the running task."""

    __slots__ = ("id", "name")

    def __init__(self, assignment: Assignment) -> None:
        self.id = UUID(assignment.job_id)
        self.name = assignment.job_name


class RunningTask:
    """The running task."""

    __slots__ = ("_assignment", "_class", "_display", "_job")

    def __init__(self, assignment: Assignment, cls: type[Task]) -> None:
        self._assignment = assignment
        self._class = cls
        self._display: str | None = None
        self._job: RunningJob | None = None

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
        return self._class.__name__ if self._display is None else self._display

    @display.setter
    def display(self, text: object) -> None:
        shown = text if isinstance(text, str) else str(text)
        self._display = str.encode(shown[:MAX_DISPLAY], "utf-8", "replace").decode()

    @property
    def chosen_display(self) -> str | None:
        """What was assigned to `display`; None if nothing was."""
        return self._display


class WorkCount:
    """One labelled count of work: how much there is, and how much is done."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.total = 0
        self.finished = 0
        self._counting = threading.Lock()

    def add(self, count: int) -> None:
        with self._counting:
            self.total += _checked_count(count)

    def done(self, count: int) -> None:
        with self._counting:
            self.finished += _checked_count(count)


class RunningContext(ExecutionContext):
    """The context of one attempt. What is rarely used is made when first asked for: most tasks need little of it."""

    def __init__(self, assignment: Assignment, cls: type[Task], equipment: Equipment) -> None:
        self._assignment = assignment
        self._equipment = equipment
        self._current_task = RunningTask(assignment, cls)
        self._subtasks: Subtasks | None = None
        self._progress: dict[str, WorkCount] = {}
        self._cache: JobCache | None = None
        self._logger: Logger | None = None
        self._tracer: Tracer | None = None
        self._over = False

    def submit_subtask(
        self,
        task: Task,
        depends_on: FutureTask | Sequence[FutureTask] | None = None,
        cluster: str | None = None,
        max_retries: int = 0,
        optional: bool = False,
    ) -> FutureTask:
        return self.subtasks.add((task,), depends_on, cluster, max_retries, optional)[0]

    def submit_subtasks(
        self,
        tasks: Sequence[Task],
        depends_on: FutureTask | Sequence[FutureTask] | None = None,
        cluster: str | None = None,
        max_retries: int = 0,
        optional: bool = False,
    ) -> list[FutureTask]:
        return self.subtasks.add(tasks, depends_on, cluster, max_retries, optional)

    def progress(self, label: str | None = None) -> Progress:
        label = label or ""
        if not isinstance(label, str) or len(label) > _MAX_LABEL:
            raise ArgumentError(
                f"a progress label is text of at most {_MAX_LABEL} characters, not {label!r:.150}"
            )
        count = self._progress.get(label)
        if count is None:
            if len(self._progress) >= _MAX_LABELS:
                raise ArgumentError(
                    f"a task has at most {_MAX_LABELS} progress labels, {label!r} would be one more"
                )
            count = self._progress.setdefault(label, WorkCount(label))
        return count

    @property
    def current_task(self) -> CurrentTask:
        return cast(CurrentTask, self._current_task)

    @property
    def job_cache(self) -> JobCache:
        if self._cache is None:
            self._cache = self._equipment.cache.group(str(self._current_task.job.id))
        return self._cache

    @property
    def logger(self) -> Logger:
        if self._logger is None:
            from .logs import task_logger  # structlog costs 30 ms to import, and most tasks log nothing

            self._logger = task_logger(
                self._equipment.log_level,
                job_id=self._assignment.job_id,
                task_id=self._current_task.id,
                attempt=self._assignment.attempt,
            )
        return self._logger

    @property
    def tracer(self) -> Tracer:
        if self._tracer is None:
            from .tracing import TaskTracer  # as for the logger

            self._tracer = TaskTracer(self._assignment)
        return self._tracer

    @property
    def runner_context(self) -> Any:
        return self._equipment.runner_context

    # -- for the runner -------------------------------------------------------------------------------------------

    @property
    def subtasks(self) -> Subtasks:
        if self._subtasks is None:
            equipment = self._equipment
            self._subtasks = Subtasks(equipment.cluster, equipment.max_report)
            if self._over:
                self._subtasks.seal()
        return self._subtasks

    @property
    def display(self) -> str | None:
        return self._current_task.chosen_display

    @property
    def counted(self) -> list[events.Progress] | None:
        """What was counted, by label; None if nothing was."""
        counts = [events.Progress(c.label, c.total, c.finished) for c in self._progress.values()]
        return counts or None

    def close(self) -> Subtasks | None:
        """The execution is over: a thread it left behind can submit nothing any more. Return its subtasks, if any."""
        self._over = True
        if self._subtasks is not None:
            self._subtasks.seal()
        return self._subtasks


def _checked_count(count: object) -> int:
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise ArgumentError(f"progress counts whole units of work, 0 or more, not {count!r:.100}")
    return count
