"""Finding jobs by what they are: query, count, latest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import msgspec

from jobledger.core.errors import ArgumentError, ServerUnsuitable
from jobledger.projections.jobs import JobFilter, JobRow
from jobledger.projections.moments import Moment

from ..history.past import At, PastReading, moment_of
from ..read.reading import Reading
from .selection import Extent, Selection, TaskKind, job_filter, task_name
from .viewing import ask_view

if TYPE_CHECKING:
    from ..session import Session

#: rows asked for at a time; projectors give as many as fit a message
PAGE = 500


class Page(msgspec.Struct, frozen=True):
    """Some jobs as the view knows them, and where to go on."""

    rows: list[JobRow]
    next: int | None  #: what the following page is `behind`; None after the last one


async def query(
    session: Session,
    temporal_extent: Extent | None = None,
    *,
    limit: int | None = None,
    at: At | None = None,
    **selection: Unpack[Selection],
) -> list[Reading]:
    """Return the jobs that are meant, the newest first; all jobs, if nothing is said about them.

    Whatever this client has done or seen before is taken into account.
    Shape:  `temporal_extent` is when they were submitted: a pair of times of which the second is not included, a single
            time, which is an exact instant, or a pair of job ids, which are both included. Times are datetimes or ISO
            text, UTC if they name no zone; None leaves an end open.
            `job_states` and `task_states` (a state or several) say where they stand, and where at least one of their
            tasks does; `name` is a part of the name, in upper or lower case; `clusters` are those at least one task is
            for; `labels` is a dictionary of the values, or lists of them, that labels have; `tasks` are classes or
            names of tasks they have. All must hold; of the values in one list, any.
            `limit` is how many jobs are returned at most; None: all of them. `at` is a position of the log, or an aware
            time: then all that is said holds for that moment of the past, and `PastJob`s are returned.
    Errors: ArgumentError; ServerUnavailable, also if no projector answers, or its view is too far behind.

    >>> job = client.jobs().submit("greetings", Greet("world"), labels={"team": "blue"})
    >>> client.jobs().query(name="GREET", labels={"team": "blue"}, limit=1) == [job]
    True
    >>> client.jobs().query(name="greet", labels={"team": "blue"}, limit=1, at=job.submitted_at)
    [<PastJob 'greetings' ... at 2...Z>]
    """
    found = await rows(session, temporal_extent, limit=limit, at=at, **selection)
    if at is not None:
        moment = moment_of(session, at)
        return [PastReading(session, row.id, moment, name=row.name, at_least=row.version) for row in found]
    return [Reading(session, row.id, name=row.name, at_least=row.version) for row in found]


async def rows(
    session: Session,
    temporal_extent: Extent | None = None,
    *,
    limit: int | None = None,
    at: At | None = None,
    **selection: Unpack[Selection],
) -> list[JobRow]:
    """Return the jobs that are meant as rows: what the view knew of each at one moment, without reading any of them.

    Shape and errors: as `query`. For lists, tables and statistics: a row has `id`, `name`, `state`, `tasks_by_state`,
    `labels`, `percent`, `error`, times and more, and never changes.

    >>> job = client.jobs().submit("greetings", Greet("world"))
    >>> [row.state.name for row in client.jobs().rows(name="greetings", limit=1)]
    ['SUBMITTED']
    """
    _check_limit(limit)
    moment = None if at is None else moment_of(session, at)
    wanted = job_filter(temporal_extent, selection)
    found: list[JobRow] = []
    behind: int | None = None
    while limit is None or len(found) < limit:
        size = PAGE if limit is None else limit - len(found)
        part = await page(session, wanted, behind=behind, limit=size, at=moment)
        found += part.rows
        behind = part.next
        if behind is None:
            break
    return found


async def page(
    session: Session,
    wanted: JobFilter,
    *,
    behind: int | None = None,
    limit: int = PAGE,
    at: Moment | None = None,
) -> Page:
    """Return the newest jobs of a filter, those behind a place where one is given, `limit` or fewer.

    Errors: ServerUnavailable.
    """
    from ...views.protocol import FindJobs, JobPage

    answer = await ask_view(
        session, lambda wait: FindJobs(wanted, behind, min(limit, PAGE), session.seen, wait, at), JobPage
    )
    _check_moment(at, answer.at)
    session.seen = max(session.seen, answer.position)
    return Page(answer.rows, answer.rows[-1].place if answer.more and answer.rows else None)


async def count(
    session: Session,
    temporal_extent: Extent | None = None,
    *,
    at: At | None = None,
    **selection: Unpack[Selection],
) -> int:
    """Return how many jobs are meant. Shape and errors: as `query`.

    >>> job = client.jobs().submit("counted", Greet("world"))
    >>> client.jobs().count(name="counted", job_states=JobState.SUBMITTED)
    1
    """
    from ...views.protocol import CountJobs, JobCount

    moment = None if at is None else moment_of(session, at)
    wanted = job_filter(temporal_extent, selection)
    answer = await ask_view(session, lambda wait: CountJobs(wanted, session.seen, wait, moment), JobCount)
    _check_moment(moment, answer.at)
    return answer.count


async def latest(session: Session, task: TaskKind) -> Reading | None:
    """Return the newest job that has a task of this class, None if there is none.

    Shape:  `task` is a task class, an instance, or the name by which runners know it.
    Errors: ArgumentError; ServerUnavailable, as `query`.

    >>> job = client.jobs().submit("greetings", Greet("world"))
    >>> client.jobs().latest(Greet) == job
    True
    """
    found = await query(session, tasks=task_name(task), limit=1)
    return found[0] if found else None


def _check_moment(asked: Moment | None, answered: Moment | None) -> None:
    if asked != answered:
        raise ServerUnsuitable(
            f"the projector of this namespace answers as of now where it was asked as of {asked}: it is older than this "
            "client. Start it with the version of jobledger that is installed here"
        )


def _check_limit(limit: object) -> None:
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise ArgumentError(
            f"limit={limit!r:.100} is no number of jobs: pass an int from 1 up, or None for all of them"
        )
