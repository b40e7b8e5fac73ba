"""Which jobs a user means, checked before anything is asked: every error names the argument, the value and the way out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Any, TypeAlias, TypedDict, TypeVar
from uuid import UUID

from jobledger.core.errors import ArgumentError
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.core.limits import MAX_LABELS, MOST_VALUES
from jobledger.core.task import Task, TaskClass
from jobledger.projections.jobs import JobFilter

from ..arguments import checked_text, cluster_name

Moment: TypeAlias = datetime | date | str
#: a time, from one time (included) to another (not included), or from one id to another (both included)
Extent: TypeAlias = Moment | tuple[Moment | None, Moment | None] | tuple[UUID | str, UUID | str]
#: a task class, an instance, or the name of one
TaskKind: TypeAlias = TaskClass | Task | str

MAX_NAME = 100  # characters of a part of a name, as in Tilebox
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
E = TypeVar("E", bound=Enum)


class Selection(TypedDict, total=False):
    """Which jobs are meant. All that is given must hold; of several values in one list, any will do.

    >>> broken: Selection = {"job_states": [JobState.FAILED, JobState.CANCELED], "name": "nightly", "clusters": "gpu",
    ...     "labels": {"team": ["blue", "green"]}, "tasks": Greet, "task_states": TaskState.FAILED}
    >>> client.jobs().query(("2026-01-01", None), **broken)
    []
    """

    job_states: JobState | Iterable[JobState] | None  #: where the job stands
    task_states: TaskState | Iterable[TaskState] | None  #: at least one of its tasks stands there
    name: str | None  #: a part of its name, in upper or lower case
    clusters: str | Iterable[str] | None  #: at least one of its tasks is for one of them
    labels: Mapping[str, str | Iterable[str]] | None  #: each label has this value, or one of these
    tasks: TaskKind | Iterable[TaskKind] | None  #: it has a task of this class


def job_filter(temporal_extent: Extent | None, given: Selection) -> JobFilter:
    """Return the filter that says this. Errors: ArgumentError."""
    unknown = given.keys() - Selection.__annotations__.keys()
    if unknown:
        raise TypeError(
            f"{min(unknown)!r} is no condition for jobs: there are temporal_extent, {', '.join(Selection.__annotations__)}"
        )
    wanted = JobFilter(
        name=_name(given.get("name")),
        states=_states("job_states", given.get("job_states"), JobState),
        task_states=_states("task_states", given.get("task_states"), TaskState),
        clusters=[_cluster(one) for one in _several("clusters", given.get("clusters"), str)],
        labels=_labels(given.get("labels")),
        task_names=[task_name(one) for one in _several("tasks", given.get("tasks"), str | type | Task)],
    )
    return _within(wanted, temporal_extent)


def _within(wanted: JobFilter, extent: Any) -> JobFilter:
    from msgspec.structs import replace

    if extent is None:
        return wanted
    if isinstance(extent, str | date):
        moment = _moment("temporal_extent", extent)
        return replace(wanted, since=moment, before=moment + 1)
    if not isinstance(extent, tuple | list) or len(extent) != 2:
        raise ArgumentError(
            f"temporal_extent={extent!r:.100} is no extent: pass a pair of times (the second one is not included), a "
            "pair of job ids (both are), or a single time"
        )
    ids = [_uuid(end) for end in extent]
    if all(ids):
        _check_order(extent, *ids)
        return replace(wanted, first_id=ids[0], last_id=ids[1])
    if any(ids):
        raise ArgumentError(f"temporal_extent={extent!r:.100} mixes an id and a time: pass two of a kind")
    since, before = (None if end is None else _moment("temporal_extent", end) for end in extent)
    _check_order(extent, since, before)
    return replace(wanted, since=since, before=before)


def _check_order(extent: Any, first: Any, last: Any) -> None:
    if first is not None and last is not None and first > last:
        shown = ", ".join(map(str, extent))
        raise ArgumentError(f"temporal_extent=({shown}) ends before it begins: pass the earlier end first")


def _uuid(given: Any) -> str | None:
    try:
        return str(UUID(given)) if isinstance(given, str) else str(given) if isinstance(given, UUID) else None
    except ValueError:
        return None


def _moment(argument: str, given: Any) -> int:
    """Return a time in µs since 1970 UTC; one without a time zone is taken to be UTC. Errors: ArgumentError."""
    found = given
    if isinstance(given, str):
        try:
            found = datetime.fromisoformat(given)
        except ValueError:
            found = None
    if isinstance(found, date) and not isinstance(found, datetime):
        found = datetime(found.year, found.month, found.day)
    if not isinstance(found, datetime):
        raise ArgumentError(
            f"{argument}: {given!r:.100} is no time: pass a datetime (without a time zone it is UTC), or one as ISO 8601 "
            "text such as '2026-05-01T12:00'"
        )
    return (found.replace(tzinfo=found.tzinfo or UTC) - _EPOCH) // timedelta(microseconds=1)


def _name(given: Any) -> str:
    if given is None or given == "":
        return ""
    return checked_text("name", given, limit=MAX_NAME, example="name='nightly'", blank=True)


def _states(argument: str, given: Any, kind: type[E]) -> list[int]:
    found = _several(argument, given, kind)
    return sorted({state.value for state in found})


def _several(argument: str, given: Any, kind: Any) -> list[Any]:
    """Return what is given, one or several of a kind, as a list. Errors: ArgumentError."""
    if given is None:
        return []
    if isinstance(given, kind | str) or not isinstance(given, Iterable):
        found = [given]
    else:
        found = list(given)
        if not found:
            raise ArgumentError(
                f"{argument} is an empty list, which no job fits: leave it out to mean all jobs"
            )
    if len(found) > MOST_VALUES:
        raise ArgumentError(f"{argument} lists {len(found):,} values, at most {MOST_VALUES:,} are possible")
    for one in found:
        if not isinstance(one, kind):
            raise ArgumentError(f"{argument}={one!r:.100} is a {type(one).__name__}: {_REMEDIES[argument]}")
    return found


_REMEDIES = {
    "job_states": "pass a JobState such as JobState.FAILED, or a list of them",
    "task_states": "pass a TaskState such as TaskState.FAILED, or a list of them",
    "clusters": "pass the slug of a cluster, or a list of them",
    "labels": "pass a label's value as text, or a list of such",
    "tasks": "pass a task class, its name, or a list of such",
}


def _cluster(given: str) -> str:
    if not given:
        raise ArgumentError("clusters='' is no cluster: pass the slug of one, such as 'default'")
    return cluster_name(given)


def _labels(given: Any) -> dict[str, list[str]]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ArgumentError(f"labels={given!r:.100} is no mapping: pass such as labels={{'team': 'blue'}}")
    for name in given:
        if not isinstance(name, str):
            raise ArgumentError(f"labels: {name!r:.100} is a {type(name).__name__}: names of labels are text")
    if len(given) > MAX_LABELS:
        raise ArgumentError(f"labels names {len(given):,} labels, a job has at most {MAX_LABELS}")
    return {name: _several("labels", values, str) for name, values in given.items()}


def task_name(given: TaskKind) -> str:
    """Return the name by which runners know a task: of a class, an instance, or the name itself. Errors: ArgumentError."""
    from jobledger.core.task import identifier_of

    if isinstance(given, str):
        return checked_text("tasks", given, limit=1024, example="tasks='Load'")
    if isinstance(given, Task) or (isinstance(given, type) and issubclass(given, Task)):
        return identifier_of(given).name
    raise ArgumentError(f"tasks={given!r:.100} is no task: {_REMEDIES['tasks']}")
