"""One job as a client sees it: its view, kept up to date from the log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from jobledger.core.errors import NotFoundError, ServerUnavailable
from jobledger.core.lifecycle import JobState
from jobledger.projections.history import History
from jobledger.projections.job_view import JobView

from ..requests import not_found
from ..results import read_value
from .opening import opener_of

if TYPE_CHECKING:
    from ...nats.log import StoredCommit
    from ...protocol import JobStatus
    from ..session import Session

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound="Reading | list[Reading] | None")

REPLICA_LAG = 5.0  # seconds in which a replica must have what the engine has acknowledged
PAUSE = 0.02
_AT_ONCE = 64  # jobs of a list that are read at a time


class Reading:
    """What is known of one job. Reading it again fetches only what came after.

    Several tasks may refresh at once: a commit that another one has applied is passed over.
    """

    def __init__(self, session: Session, job_id: str, *, name: str | None = None, at_least: int = 0) -> None:
        self.session = session
        self.job_id = job_id
        self.name = name  #: None until read
        self._last: StoredCommit | None = None
        self.at_least = at_least  #: the version that it is known to have
        self._told: JobStatus | None = None

    @cached_property
    def view(self) -> JobView:
        """The job as it was read last. Made when it is looked at: of many jobs only the end is waited for."""
        return self._empty()

    @property
    def state(self) -> JobState | None:
        """Where the job stood when the log or the engine last said so; None while neither has."""
        told, view = self._told, self.view
        return JobState(told.state) if told is not None and told.version > view.version else view.state

    @property
    def last_read(self) -> tuple[int, int, bytes]:
        """Position, version and digest of the last commit that was read. There is one."""
        assert self._last is not None
        return self._last.position, self._last.version, self._last.digest

    def expect(self, version: int) -> None:
        """The engine said that the job has this version: whoever reads now must see it."""
        self.at_least = max(self.at_least, version)

    def told(self, status: JobStatus) -> None:
        """The engine said where the job stands."""
        self._told = status
        self.expect(status.version)

    async def catch_up(self, *, patience: float) -> JobView:
        """Return the view, read again only if it is known that something came after it. Errors: as `refresh`."""
        return (
            self.view if self.view.version >= max(self.at_least, 1) else await self.refresh(patience=patience)
        )

    async def refresh(self, *, patience: float | None = None) -> JobView:
        """Read what is new and return the view.

        Errors: NotFoundError, also for a job that was deleted; DamagedLog; ServerUnavailable when the server stays
                away.
        """
        late = time.monotonic() + REPLICA_LAG
        while True:
            last, view = self._last, self.view
            commits = await self.session.read(self.job_id, last, patience=patience)
            if last is None:
                view.open_with(await opener_of(self.session, self.job_id, commits))
            try:
                for stored in commits:
                    if view.apply(stored.position, stored.version, stored.commit):
                        self._last = stored
                    await asyncio.sleep(0)  # a long history must not hold up what else runs on this loop
            except Exception:
                self.view, self._last = self._empty(), None
                raise
            if view.version and view.version >= self.at_least:
                if view.state is None:  # what a fork is to begin with, and no fork yet
                    raise not_found(self.job_id)
                self.name = view.job.name
                if view.state is JobState.DELETED:
                    self.session.keyring.forget(self.job_id)
                    raise self._deleted()
                return view
            if not self.at_least:
                raise not_found(self.job_id)
            if time.monotonic() > late:
                raise self._behind(view.version)
            await asyncio.sleep(PAUSE)  # a replica that lags behind answered

    async def look(self, at: Callable[[JobView], T]) -> T:
        """Return something of the up-to-date view, read between two commits."""
        return at(await self.refresh())

    async def history(self) -> History:
        """Return the job's events from its first."""
        commits = await self.session.read(self.job_id)
        view = await self.refresh()
        return History(commits, lambda number: view.job.spec_of(number).name, view.opener)

    async def result(self) -> Any:
        """Return what the root task returned, as JSON data; a list of what each returned where there are several."""
        roots = (await self.refresh()).roots
        results = [
            await read_value(self.session, task.value, whose=f"task {task.id}", opened=task.opened)
            for task in roots
        ]
        return results[0] if len(results) == 1 else results

    def _empty(self) -> JobView:
        return _FollowedView(self.session, self.job_id)

    def _behind(self, version: int) -> ServerUnavailable:
        return ServerUnavailable(
            f"job {self.job_id} is at version {self.at_least}, but the log shows version {version} "
            f"after {REPLICA_LAG:g} s: is a replica of the stream {self.session.names.log_stream} cut off?"
        )

    def _deleted(self) -> NotFoundError:
        view = self.view
        by, reason = ("", "") if view.deleted is None else (view.deleted.by, view.deleted.reason)
        key = "; its key was destroyed" if view.job.erased else ""
        if view.job.erasing:
            key = "; its key is being destroyed"
        return NotFoundError(
            f"job {view.job.name!r} ({view.job.id}) was deleted at {view.updated_at:%Y-%m-%d %H:%M:%S} UTC"
            f"{f' by {by}' if by else ''}{f': {reason}' if reason else ''}. Its history stays in the log{key}"
        )


class _FollowedView(JobView):
    """A view that knows the way to what is large, and to what comes after it."""

    __slots__ = ("_session",)

    def __init__(self, session: Session, job_id: str) -> None:
        super().__init__(job_id, clock=session.now, fetch=session.fetch)
        self._session = session

    def show_live(self, number: int | None = None) -> None:
        from ..show.live import show

        show(self._session, self, number)


def read_after(
    op: Callable[Concatenate[Reading, P], Coroutine[Any, Any, None]], *, patience: float
) -> Callable[Concatenate[Reading, P], Coroutine[Any, Any, None]]:
    """Return an operation on a job after which its view shows what the operation has found out.

    Units:  `patience` is how many seconds reading it outlasts a server that is away.
    """

    @wraps(op)
    async def read(reading: Reading, /, *args: P.args, **kwargs: P.kwargs) -> None:
        await op(reading, *args, **kwargs)
        await reading.catch_up(patience=patience)

    return read


def read_first(op: Callable[P, Coroutine[Any, Any, F]]) -> Callable[P, Coroutine[Any, Any, F]]:
    """Return an operation that gives the readings `op` gives, each read at least once.

    Of a list, those that were deleted in this very moment are left out.
    """

    @wraps(op)
    async def read(*args: P.args, **kwargs: P.kwargs) -> F:
        found = await op(*args, **kwargs)
        if isinstance(found, list):
            for start in range(0, len(found), _AT_ONCE):
                await asyncio.gather(*map(_if_there, found[start : start + _AT_ONCE]))
            found[:] = [reading for reading in found if reading.view.version]
        elif found is not None and not found.view.version:
            await found.refresh()
        return found

    return read


async def _if_there(reading: Reading) -> None:
    try:
        await reading.refresh()
    except NotFoundError:
        reading.view = JobView(reading.job_id)
