"""What users pass in, checked before anything is sent: every error names the argument, the value and the way out."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, Union
from uuid import UUID

from jobledger.core.clusters import DEFAULT_CLUSTER, MAX_SLUG
from jobledger.core.errors import ArgumentError
from jobledger.core.lifecycle import JobState
from jobledger.core.limits import MAX_REASON
from jobledger.core.options import Seconds, micros
from jobledger.projections.clusters import Cluster
from jobledger.projections.tasks import TaskView

if TYPE_CHECKING:
    from .read.facts import JobFacts

JobOrId: TypeAlias = Union["JobFacts", UUID, str]
#: also a task, or its id as text: the job's id and the task's number, with a slash between them
JobOrTask: TypeAlias = Union["JobFacts", UUID, str, TaskView]
When: TypeAlias = datetime | Seconds
ClusterOrSlug: TypeAlias = Cluster | str

#: no time: what a command carries where none was given
NO_GRACE = -1
#: what a point in time may be given as
A_MOMENT = "an aware datetime, seconds or a timedelta"


def cluster_name(given: Any) -> str:
    """Return the slug of a cluster, that of the default one for None. Errors: ArgumentError."""
    # The empty text means the default one, as in programs written for Tilebox.
    if given is None or given == "":
        return DEFAULT_CLUSTER
    slug = given.slug if isinstance(given, Cluster) else given
    return checked_text("cluster", slug, limit=MAX_SLUG, example="cluster='gpu'")


def checked_text(argument: str, given: Any, *, limit: int, example: str, blank: bool = False) -> str:
    """Return `given` if it is text that can be sent. Errors: ArgumentError, with `example` as the remedy."""
    if not isinstance(given, str):
        raise ArgumentError(f"{argument}={given!r:.100} is a {type(given).__name__}, not text: {example}")
    if not blank and not given.strip():
        raise ArgumentError(f"{argument}={given!r:.100} is empty: {example}")
    if len(given) > limit:
        raise ArgumentError(
            f"{argument} has {len(given)} characters, at most {limit} are possible: {example}"
        )
    try:
        given.encode()
    except UnicodeEncodeError:
        raise ArgumentError(f"{argument}={given!r:.100} holds half a character (a lone surrogate)") from None
    return given


def job_id(given: Any) -> str:
    """Return the id of a job, given as such, as text, or as the job itself. Errors: ArgumentError."""
    identity = getattr(given, "id", None) if not isinstance(given, str | UUID) else given
    try:
        if isinstance(identity, str):
            return str(UUID(identity))
        if isinstance(identity, UUID):
            return str(identity)
    except ValueError:
        pass
    raise ArgumentError(
        f"{given!r:.100} is not a job, nor the id of one: pass a Job, its id (a uuid.UUID), or the id as text, "
        "such as '018dd029-58ca-74e5-8b58-b4f99d610f9a'"
    )


class Target(NamedTuple):
    """What a command speaks of."""

    job_id: str
    task: int | None  #: None: the whole job


def job_or_task(given: Any) -> Target:
    """Return the job, or the task of a job, that is given as an object or by its id. Errors: ArgumentError."""
    identity = given.id if isinstance(given, TaskView) else given
    if isinstance(identity, str) and "/" in identity:
        job, _, number = identity.rpartition("/")
        if number.isascii() and number.isdecimal() and len(number) < 10:
            return Target(job_id(job), int(number))
        raise ArgumentError(
            f"{given!r:.100} is not the id of a task: that is the job's id and the task's number, such as "
            "'018dd029-58ca-74e5-8b58-b4f99d610f9a/3'"
        )
    return Target(job_id(given), None)


def reason(given: Any) -> str:
    """Return a reason, which may be empty. Errors: ArgumentError."""
    return checked_text("reason", given, limit=MAX_REASON, example="reason='wrong input'", blank=True)


def seconds(argument: str, given: Any) -> float:
    """Return a number of seconds, infinity for None. Errors: ArgumentError."""
    if given is None:
        return math.inf
    if isinstance(given, int | float) and not isinstance(given, bool) and given >= 0:  # nan is not
        return float(given)
    raise ArgumentError(f"{argument}={given!r:.100} is no time: pass seconds from 0 up, or None for no limit")


def grace(given: Seconds | None) -> int:
    """Return a time to stop in µs, NO_GRACE for None. Errors: ArgumentError."""
    return NO_GRACE if given is None else micros("grace", given)


def moment(argument: str, given: When | None, now: int | None = None) -> int:
    """Return a time of the clock in µs since 1970 UTC, 0 for None; seconds and a timedelta count from `now` (None: now).

    Errors: ArgumentError.
    """
    if given is None:
        return 0
    if isinstance(given, datetime):
        if given.tzinfo is None:
            raise ArgumentError(
                f"{argument}={given!r} has no time zone: pass an aware datetime, such as datetime.now(UTC)"
            )
        return (given.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)
    return (time.time_ns() // 1000 if now is None else now) + micros(argument, given, remedy=A_MOMENT)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def flag(argument: str, given: Any) -> bool:
    """Return True or False. Errors: ArgumentError for anything else."""
    if not isinstance(given, bool):
        raise ArgumentError(f"{argument}={given!r:.100} is neither True nor False: pass one of them")
    return given


def on_failure(given: Any) -> str:
    """Return what a failure does to a job. Errors: ArgumentError for anything else."""
    if given not in ("halt", "continue"):
        raise ArgumentError(f"on_failure={given!r:.100} is neither 'halt' nor 'continue': pass one of them")
    return str(given)


def states(given: Any) -> frozenset[JobState]:
    """Return the job states that are meant: all of them for None. Errors: ArgumentError."""
    if given is None:
        return frozenset(JobState)
    several = given if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
    found = frozenset(several)
    if not found or not all(isinstance(one, JobState) for one in found):
        raise ArgumentError(
            f"states={given!r:.100} is not a JobState, nor several: write states=JobState.FAILED, or a list of them"
        )
    return found
