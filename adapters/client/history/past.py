"""Jobs as they were at a moment of the past: read once, folded up to there, and never changed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from jobledger.core.errors import ArgumentError, NotFoundError
from jobledger.core.events import JobDeleted, JobSubmitted
from jobledger.core.lifecycle import JobState
from jobledger.projections.history import History
from jobledger.projections.job_view import JobView
from jobledger.projections.moments import Moment
from jobledger.projections.replaying import before_its_time
from jobledger.projections.utc import micros, utc

from ...portal import shared_portal
from ..read.facts import JobFacts
from ..read.opening import opener_of
from ..read.reading import PAUSE, REPLICA_LAG, Reading
from ..requests import not_found

if TYPE_CHECKING:
    from ...nats.log import StoredCommit
    from ..session import Session

T = TypeVar("T")

#: a position of the log, or an aware time
At: TypeAlias = int | datetime

_SKEW = timedelta(minutes=1)  # by which the clocks of others may be ahead of ours


def moment_of(session: Session, at: At) -> Moment:
    """Return the moment that is meant. Errors: ArgumentError, for a time in the future too."""
    moment = Moment.of(at)
    if moment.time is not None and moment.time > session.now() + micros(_SKEW):
        raise ArgumentError(
            f"at={moment} lies in the future: the past ends {utc(session.now()):%Y-%m-%d %H:%M:%S} UTC"
        )
    return moment


class PastReading(Reading):
    """What the log says of one job up to a moment. Read when it is first asked for, and only then."""

    def __init__(
        self, session: Session, job_id: str, moment: Moment, *, name: str | None = None, at_least: int = 0
    ) -> None:
        super().__init__(session, job_id, name=name, at_least=at_least)
        self.moment = moment
        self.commits: list[StoredCommit] = []  #: up to the moment; none until they are read

    async def refresh(self, *, patience: float | None = None) -> JobView:
        """Return the view of the moment.

        Errors: NotFoundError, also where the job was deleted by then, or not submitted yet; ArgumentError for a
                position beyond the end of the log; DamagedLog; ServerUnavailable.
        """
        if not self.commits:
            await self._read(patience)
        if self.view.state is JobState.DELETED:
            at = next(stored.position for stored in self.commits if any(map(_deletes, stored.commit.events)))
            raise NotFoundError(f"{self._deleted()}: at={at - 1} shows the job as it was before")
        return self.view

    async def _read(self, patience: float | None) -> None:
        known = await self._known(patience)
        commits = self.moment.prefix(known)
        # also where the job has nothing there: a position beyond the end of the log is no moment
        now = await self._time(commits)
        view = self._fresh(lambda: now)
        view.open_with(await opener_of(self.session, self.job_id, commits))
        for stored in commits:
            view.apply(stored.position, stored.version, stored.commit)
        if view.state is None:
            first = next((stored for stored in known if any(map(_submits, stored.commit.events))), None)
            if first is None:  # what a fork is to begin with, and no fork yet
                raise not_found(self.job_id)
            raise NotFoundError(before_its_time(self.job_id, self.moment, first))
        self.name, self.view, self.commits, self._last = view.job.name, view, commits, commits[-1]

    async def _known(self, patience: float | None) -> list[StoredCommit]:
        """Return all commits of the job: as many as it is known to have, whichever replica answers."""
        late = time.monotonic() + REPLICA_LAG
        while True:
            known = await self.session.read(self.job_id, patience=patience)
            if known and known[-1].version >= self.at_least:
                return known
            if not self.at_least:
                raise not_found(self.job_id)
            if time.monotonic() > late:
                raise self._behind(known[-1].version if known else 0)
            await asyncio.sleep(PAUSE)

    async def _time(self, commits: list[StoredCommit]) -> int:
        """Return what time it was, in µs: for a position, when what is there was written."""
        moment = self.moment
        if moment.position is None:
            return moment.time or 0
        if commits and commits[-1].position == moment.position:
            return commits[-1].commit.at
        return await self.session.written_at(moment.position)

    async def history(self) -> History:
        view = await self.refresh()
        return History(self.commits, lambda number: view.job.spec_of(number).name, view.opener)

    def _fresh(self, clock: Callable[[], int]) -> JobView:
        return JobView(self.job_id, clock=clock, fetch=self.session.fetch)


def _submits(event: object) -> bool:
    return isinstance(event, JobSubmitted)


def _deletes(event: object) -> bool:
    return isinstance(event, JobDeleted)


class PastJob(JobFacts):
    """A job as it was at a moment: all facts that a `Job` has, and none of them changes any more.

    From `job.at(…)`, `client.jobs().find(id, at=…)` and `client.jobs().query(…, at=…)`. Durations of what was running are
    as of the moment. Two are equal if they are the same job at the same version.
    Errors of every property: NotFoundError if the job did not exist at the moment, or was deleted by then.

    >>> past = job.at(job.history[1].position)
    >>> past.state.name, past.tasks[0].state.name, job.state.name
    ('RUNNING', 'RUNNING', 'COMPLETED')
    >>> past == job.at(job.history[1].at), past == job
    (True, False)
    """

    def __init__(self, reading: PastReading) -> None:
        super().__init__(reading)
        self._past = reading

    @property
    def version(self) -> int:
        """How many commits of the job there were.

        >>> job.at(job.submitted_at).version
        1
        """
        return self._look(lambda view: view.version)

    @property
    def position(self) -> int:
        """Where the last of them is in the log.

        >>> job.at(job.submitted_at).position == job.history[0].position
        True
        """
        return self._look(lambda view: view.position)

    @property
    def as_of(self) -> datetime:
        """What time it was: that of the moment, or when what is at its position was written (aware UTC).

        >>> job.at(job.history[1].position).as_of == job.history[1].at
        True
        """
        return self._look(lambda view: utc(view.now))

    @property
    def history(self) -> History:
        """What had happened to it, in order.

        >>> [entry.text for entry in job.at(job.submitted_at).history]
        ["job 'greetings' submitted by ... with 1 root task"]
        """
        self._look(lambda view: view.version)
        view = self._past.view
        return History(self._past.commits, lambda number: view.job.spec_of(number).name, view.opener)

    @property
    def result(self) -> Any:
        """What its root task had returned, as JSON data; a list of what each had where there are several.

        Errors: on an event loop, JobLedgerError for a large value, which says how to read it there.

        >>> job.at(job.submitted_at).result is None
        True
        """
        return self._look(lambda view: view).result

    def _look(self, at: Callable[[JobView], T]) -> T:
        past = self._past
        return at(past.view) if past.commits else shared_portal().run(past.look(at))

    @property
    def _identity(self) -> tuple[str, int]:
        return self._past.job_id, self.version

    def __repr__(self) -> str:
        return f"{super().__repr__().removesuffix('>')} at {self._past.moment}>"


async def past(reading: Reading, at: At) -> PastReading:
    """Return the job as it was at a moment of the past, exactly, and never to change.

    Shape:  `at` is a position of the log, or an aware time. Both include what was written there; between two commits of
            the job, the earlier one counts. A time is compared with the clocks of the engines that wrote.
    Errors: NotFoundError for a moment before the job was submitted, and after it was deleted; ArgumentError for a
            position beyond the end of the log, a time in the future, and what is neither.

    >>> [job.at(entry.position).state.name for entry in job.history]
    ['SUBMITTED', 'RUNNING', 'COMPLETED', 'COMPLETED']
    >>> job.at(datetime(2020, 1, 1, tzinfo=UTC))
    Traceback (most recent call last):
    NotFoundError: job ... did not exist at 2020-01-01 00:00:00.000Z: it begins at position ...
    """
    session, known = reading.session, max(reading.view.version, reading.at_least)
    found = PastReading(session, reading.job_id, moment_of(session, at), name=reading.name, at_least=known)
    await found.refresh()
    return found
