"""What `execute` is handed: the running task's view of its job and its runner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Unpack, cast

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
from jobledger.core.limits import MOST_LABELS
from jobledger.core.options import PolicyOptions
from jobledger.core.results import result_reader
from jobledger.core.task import Task
from jobledger.projections.sealed import of_input, of_result

from ...sealing.seal import UNSEALED, Seal
from ...telemetry.telemetry import Telemetry
from ..assignment import Assignment
from ..registry import TaskRegistry
from .running_task import RunningTask, WorkCount
from .subtasks import Subtasks, wall_clock
from .values import InlineValues, Values

_MAX_LABEL = 100  # characters
_NOTHING = (None, None)


@dataclass(frozen=True, slots=True)
class Equipment:
    """What all tasks of one runner share."""

    tasks: TaskRegistry
    cache: JobCache
    cluster: str
    runner_context: Any  #: for worker processes its class: each makes one
    log_level: int
    max_report: int  #: bytes of one report that the server's message limit leaves room for
    telemetry: Telemetry = field(default_factory=Telemetry)  #: takes what they log and trace
    values: Values = field(default_factory=InlineValues)  #: has what they returned, and what is large
    #: raises NotFoundError where there is no cluster of this slug
    check_cluster: Callable[[str], None] = lambda slug: None
    now: Callable[[], int] = wall_clock  #: µs since 1970 UTC
    #: what seals and opens of a job, by its id and the name of its key; blocks
    seal: Callable[[str, str], Seal] = lambda job_id, key: UNSEALED
    #: the bytes of that key, for a process of this runner
    key_of: Callable[[str, str], bytes] = lambda job_id, key: b""
    forget: Callable[[str], None] = lambda job_id: None  #: the key of a job that is over
    in_processes: bool = False  #: tasks run in worker processes


class RunningContext(ExecutionContext):
    """The context of one attempt. What is rarely used is made when first asked for: most tasks need little of it."""

    _task: RunningTask | None = None
    _progress: dict[str, WorkCount] | None = None
    _subtasks: Subtasks | None = None
    _cache: JobCache | None = None
    _logger: Logger | None = None
    _tracer: Tracer | None = None
    _results: list[tuple[int, bytes | None]] | None = None  #: of what the task depends on
    _over = False

    def __init__(self, assignment: Assignment, cls: type[Task], equipment: Equipment) -> None:
        self._assignment = assignment
        self._class = cls
        self._equipment = equipment

    def submit_subtask(
        self,
        task: Task,
        depends_on: FutureTask | Sequence[FutureTask] | None = None,
        cluster: str | None = None,
        max_retries: int = 0,
        optional: bool = False,
        **policy: Unpack[PolicyOptions],
    ) -> FutureTask:
        return self.subtasks.add((task,), depends_on, cluster, max_retries, optional, policy)[0]

    def submit_subtasks(
        self,
        tasks: Sequence[Task],
        depends_on: FutureTask | Sequence[FutureTask] | None = None,
        cluster: str | None = None,
        max_retries: int = 0,
        optional: bool = False,
        **policy: Unpack[PolicyOptions],
    ) -> list[FutureTask]:
        return self.subtasks.add(tasks, depends_on, cluster, max_retries, optional, policy)

    def progress(self, label: str | None = None) -> Progress:
        label = label or ""
        if not isinstance(label, str) or len(label) > _MAX_LABEL:
            raise ArgumentError(
                f"a progress label is text of at most {_MAX_LABEL} characters, not {label!r:.150}"
            )
        counts = self._progress
        if counts is None:  # one of several threads of the task makes it for all
            counts = self.__dict__.setdefault("_progress", {})
        count = counts.get(label)
        if count is None:
            if len(counts) >= MOST_LABELS:
                raise ArgumentError(
                    f"a task has at most {MOST_LABELS} progress labels, {label!r} would be one more"
                )
            count = counts.setdefault(label, WorkCount(label))
        return count

    def results(self, as_type: Any = Any) -> list[Any]:
        read = result_reader(as_type)
        if self._results is None:
            a = self._assignment
            found = self._equipment.values.returned(a.job_id, a.task)
            self._results = [
                (number, None if data is None else a.seal.opened(data, of_result(number)))
                for number, data in found
            ]
        return [read(data, f"task {number}") for number, data in self._results]

    @property
    def canceled(self) -> bool:
        return self._assignment.notice is not None

    @property
    def cancel_reason(self) -> str:
        notice = self._assignment.notice
        return "" if notice is None else notice.reason

    @property
    def current_task(self) -> CurrentTask:
        if self._task is None:
            self.__dict__.setdefault("_task", RunningTask(self._assignment, self._class))
        return cast(CurrentTask, self._task)

    @property
    def job_cache(self) -> JobCache:
        if self._cache is None:
            self._cache = self._assignment.seal.cache(
                self._equipment.cache.group(str(self.current_task.job.id))
            )
        return self._cache

    @property
    def logger(self) -> Logger:
        if self._logger is None:
            # structlog costs 30 ms to import, and most tasks log nothing
            from ..telemetry.kept_lines import LineKeeper
            from ..telemetry.logs import task_logger

            a, equipment = self._assignment, self._equipment
            ids = {"job_id": a.job_id, "task_id": self.current_task.id, "attempt": a.attempt}
            self._logger = task_logger(equipment.log_level, LineKeeper(a, equipment.telemetry, ids), **ids)
        return self._logger

    @property
    def tracer(self) -> Tracer:
        if self._tracer is None:
            from ..telemetry.tracing import TaskTracer  # as for the logger

            self._tracer = TaskTracer(self._assignment, self._equipment.telemetry)
        return self._tracer

    @property
    def runner_context(self) -> Any:
        return self._equipment.runner_context

    # -- for the runner -------------------------------------------------------------------------------------------

    @property
    def subtasks(self) -> Subtasks:
        if self._subtasks is None:
            equipment = self._equipment
            a = self._assignment
            refer = partial(equipment.values.refer, a.job_id, seal=a.seal)
            self._subtasks = Subtasks(
                equipment.cluster,
                equipment.max_report,
                a.spec.asked.priority,
                refer,
                equipment.check_cluster,
                equipment.now,
                self._seal_input if a.sealed else None,
            )
            if self._over:
                self._subtasks.seal()
        return self._subtasks

    def _seal_input(self, data: bytes, position: int) -> bytes:
        a = self._assignment
        return a.seal.sealed(data, of_input(a.task, position))

    @property
    def display(self) -> str | None:
        """What it displays, as it is reported; None if it said nothing."""
        a = self._assignment
        if self._task is None or (text := self._task.chosen_display) is None:
            return None
        return a.seal.display(text, a.task, a.attempt)

    @property
    def counted(self) -> list[events.Progress] | None:
        """What was counted, by label, as it is reported; None if nothing was."""
        if not self._progress:
            return None
        return self._assignment.seal.progress(
            [events.Progress(c.label, c.total, c.finished) for c in list(self._progress.values())]
        )

    @property
    def shown(self) -> tuple[str | None, list[events.Progress] | None]:
        """What it displays and what was counted, as they are reported."""
        return _NOTHING if self._task is None and self._progress is None else (self.display, self.counted)

    def close(self) -> Subtasks | None:
        """The execution is over: a thread it left behind can submit nothing any more. Return its subtasks, if any."""
        self._over = True
        if self._subtasks is not None:
            self._subtasks.seal()
        return self._subtasks
