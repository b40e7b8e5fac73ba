"""What users ask for of lines and spans, checked before anything is sent. See `arguments`."""

from __future__ import annotations

import logging
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from jobledger.core.errors import ArgumentError, NotFoundError
from jobledger.core.options import micros
from jobledger.projections.task_view import TaskView

from .. import arguments

if TYPE_CHECKING:
    from jobledger.projections.job_view import JobView

    from ...telemetry.lines import Wanted

#: a task, its number in the job, or its id: the job's and the number, with a slash between them
TaskOrNumber: TypeAlias = TaskView | int | str


def wanted(job_id: str, task: Any, level: Any, since: Any, until: Any, text: Any) -> Wanted:
    from ...telemetry.lines import Wanted

    every = Wanted()
    begin, end = ago("since", since), ago("until", until)
    return Wanted(
        task_number(job_id, task),
        every.level if level is None else _level(level),
        every.since if begin is None else begin * 1000,
        every.until if end is None else end * 1000,
        every.text if text is None else part("text", text),
    )


def task_number(job_id: str, given: Any) -> int | None:
    """Return the number of a task in the job. Errors: ArgumentError, also for one of another job."""
    if given is None:
        return None
    if isinstance(given, int) and not isinstance(given, bool):
        if given >= 0:
            return given
    elif isinstance(given, TaskView) or (isinstance(given, str) and "/" in given):
        target = arguments.job_or_task(given)
        if target.job_id == job_id and target.task is not None:
            return target.task
        raise ArgumentError(f"task={given!r:.100} is no task of job {job_id}: pass one of job.tasks")
    raise ArgumentError(
        f"task={given!r:.100} is no task: pass one of job.tasks, its number from 0, or its id as text"
    )


def check_task(view: JobView, number: int | None) -> None:
    """Errors: NotFoundError if the job has no task of this number so far."""
    if number is not None and number >= len(view.tasks):
        raise NotFoundError(f"job {view.job.id} has no task {number}, only {len(view.tasks)} so far")


def _level(given: Any) -> int:
    levels = logging.getLevelNamesMapping()
    if isinstance(given, str) and given.strip().upper() in levels:
        return levels[given.strip().upper()]
    if isinstance(given, int) and not isinstance(given, bool) and given >= 0:
        return given
    raise ArgumentError(
        f"level={given!r:.100} is no level: pass 'DEBUG', 'INFO', 'WARNING', 'ERROR' or 'CRITICAL'"
    )


def ago(argument: str, given: Any) -> int | None:
    """Return a moment in µs since 1970 UTC; seconds and a timedelta count back from now. Errors: ArgumentError."""
    if given is None:
        return None
    if isinstance(given, datetime):
        return arguments.moment(argument, given)
    return time.time_ns() // 1000 - micros(argument, given, remedy=arguments.A_MOMENT)


def part(argument: str, given: Any) -> str:
    return arguments.checked_text(argument, given, limit=1024, example=f"{argument}='load'").casefold()


def count(argument: str, given: Any) -> int | None:
    if given is None or (isinstance(given, int) and not isinstance(given, bool) and given > 0):
        return given
    raise ArgumentError(f"{argument}={given!r:.100} is no number from 1 up: pass one, or None for no limit")
