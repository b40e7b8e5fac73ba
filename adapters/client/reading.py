"""One job as a client sees it: its view, kept up to date from the log."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from jobledger.core.errors import ServerUnavailable
from jobledger.core.lifecycle import TaskState
from jobledger.projections.history import History
from jobledger.projections.job_view import JobView

if TYPE_CHECKING:
    from ..nats.log import StoredCommit
    from .session import Session

T = TypeVar("T")

FOLLOW = 10.0  # seconds after which the engine answers a question that has no news, and is asked again
FOLLOW_MARGIN = 5.0  # seconds an answer may be late before it is held to be lost
#: Seconds a wait without a limit outlasts a server that is away: longer than a restart or an upgrade takes.
WAIT_PATIENCE = 300.0
_REPLICA_LAG = 5.0  # seconds in which a replica must have what the engine has acknowledged
_PAUSE = 0.02
_ONE_LOOK = 2.0  # seconds beyond the time to wait in which a last look may still be answered


class Reading:
    """What is known of one job. Reading it again fetches only what came after.

    Several tasks may refresh at once: a commit that another one has applied is passed over.
    """

    def __init__(self, session: Session, job_id: str, *, name: str | None = None, at_least: int = 1) -> None:
        self.session = session
        self.job_id = job_id
        self.name = name  #: None until read
        self.view = JobView(job_id)
        self._last: StoredCommit | None = None
        self._at_least = at_least

    def expect(self, version: int) -> None:
        """The engine said that the job has this version: whoever reads now must see it."""
        self._at_least = max(self._at_least, version)

    async def refresh(self, *, patience: float | None = None) -> JobView:
        """Read what is new and return the view.

        Errors: NotFoundError; DamagedLog; ServerUnavailable when the server stays away.
        """
        late = time.monotonic() + _REPLICA_LAG
        while True:
            last, view = self._last, self.view
            commits = await self.session.read(self.job_id, last, patience=patience)
            try:
                for stored in commits:
                    if view.apply(stored.position, stored.version, stored.commit):
                        self._last = stored
                    await asyncio.sleep(0)  # a long history must not hold up what else runs on this loop
            except Exception:
                self.view, self._last = JobView(self.job_id), None
                raise
            if view.version >= self._at_least:
                self.name = view.job.name
                return view
            if not view.version and self._at_least == 1:
                from .requests import not_found

                raise not_found(self.job_id)
            if time.monotonic() > late:
                raise ServerUnavailable(
                    f"job {self.job_id} is at version {self._at_least}, but the log shows version {view.version} "
                    f"after {_REPLICA_LAG:g} s: is a replica of the stream {self.session.names.log_stream} cut off?"
                )
            await asyncio.sleep(_PAUSE)  # a replica that lags behind answered

    async def look(self, at: Callable[[JobView], T]) -> T:
        """Return something of the up-to-date view, read between two commits."""
        return at(await self.refresh())

    async def history(self) -> History:
        """Return the job's events from its first."""
        commits = await self.session.read(self.job_id)
        view = await self.refresh()
        return History(commits, lambda number: view.job.spec_of(number).name)

    async def wait_settled(self, timeout: float) -> JobView:
        """Return once the job is settled; told by the engine, not by looking again and again.

        Units:  `timeout` is seconds, or infinity.
        Errors: TimeoutError, with the state so far; NotFoundError; DamagedLog; ServerUnavailable when nobody answers
                for WAIT_PATIENCE seconds.
        """
        until = time.monotonic() + timeout
        with contextlib.suppress(TimeoutError):
            # One look is always taken: a job that is settled is told even to someone without any time.
            async with asyncio.timeout(None if timeout == math.inf else timeout + _ONE_LOOK):
                left = timeout
                while True:
                    if await self._follow(min(FOLLOW, left)) or not left:
                        view = await self.refresh(patience=WAIT_PATIENCE)
                        if view.settled:
                            return view
                        if not left:
                            break
                    left = max(0.0, until - time.monotonic())
        raise TimeoutError(
            f"{_told(self.view, self.name)} after {timeout:g} s. It goes on: wait again, or cancel it"
        )

    async def _follow(self, wait: float) -> bool:
        """Return whether the job is settled, after waiting up to `wait` seconds for the news that it is."""
        from ..protocol import FollowJob, JobStatus, Refused
        from .requests import refusal

        request = FollowJob(self.job_id, settled=True, wait=wait)
        answer = await self.session.ask(request, timeout=wait + FOLLOW_MARGIN, patience=WAIT_PATIENCE)
        if isinstance(answer, Refused):
            raise await refusal(self.session, answer, self.job_id)
        assert isinstance(answer, JobStatus)
        if answer.settled:
            self.expect(answer.version)
        return answer.settled


def _told(view: JobView, name: str | None) -> str:
    """Say where an unsettled job stands, and what it waits for where nothing runs."""
    job = view.job
    if view.state is None:
        return f"the state of job {job.id} could not be read: no answer from the server"
    counts = ", ".join(f"{count} {state.name}" for state, count in view.tasks_by_state.items() if count)
    text = f"job {name!r} ({job.id}) is not settled: {view.state.name} with tasks {counts}"
    if not job.counts[TaskState.RUNNING.value]:
        ready = job.graph.ready.find(1)
        if ready >= 0:
            text += f"; task {ready} is {view.tasks[ready].waiting}"
    return text
