"""What one message says, and the pieces that several have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from jobledger.core import events as e

from ..utc import utc
from . import data as d
from .context import JobContext, Kind
from .tasks import TARGET_TASKS

_SECOND = 1_000_000  # µs


class Fact(NamedTuple):
    """What one message says, and of what kind of tasks; None where it is about the job."""

    kind: Kind | None
    data: d.Data


Facts = Iterator[Fact]


def several(context: JobContext, numbers: Sequence[int]) -> Iterator[tuple[Kind | None, list[int]]]:
    if not numbers:  # no engine decides that, and still it is told
        yield None, []
    for kind, all_of_it in context.by_kind(numbers).items():
        for some in chunks(all_of_it, TARGET_TASKS):
            yield kind, some


def chunks(whole: list[Any], size: int) -> Iterator[list[Any]]:
    """Yield the list in pieces, at least one."""
    for start in range(0, len(whole) or 1, size):
        yield whole[start : start + size]


def attempt_times(event: Any) -> tuple[int, int, datetime, datetime]:
    return event.task, event.attempt, utc(event.started), utc(event.stopped)


def error_data(error: e.Error) -> d.ErrorData:
    return d.ErrorData(error.reason, error.message, error.traceback, error.sealed or None)


def error_or_none(error: e.Error | None) -> d.ErrorData | None:
    return None if error is None else error_data(error)


def progress_data(progress: list[e.Progress] | None) -> list[d.ProgressData] | None:
    if progress is None:
        return None
    return [d.ProgressData(one.label, one.total, one.done, one.sealed or None) for one in progress]


def grace_seconds(grace: int) -> float | None:
    return grace / _SECOND if grace >= 0 else None
