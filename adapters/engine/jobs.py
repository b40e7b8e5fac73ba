"""The jobs in the engine's memory: read from the log when asked for, forgotten once settled."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from functools import partial

from jobledger.core.decisions import Refusal
from jobledger.core.errors import DamagedLog
from jobledger.core.job import Job, evolve_all
from jobledger.core.lifecycle import LifecycleError
from jobledger.core.limits import MAX_JOB_ID
from jobledger.core.tokens import PLAIN

from ..nats.log import read_job
from ..nats.names import Names
from ..nats.wire import Wire
from ..protocol import JobStatus
from .growth import Growth
from .live import LiveJob

#: settled jobs of which the last status is kept, so that whoever waited for one need not have it read again
_REMEMBERED = 10_000


class LiveJobs:
    """Every job this engine has in memory, by id."""

    def __init__(self, client: Wire, names: Names) -> None:
        self._client = client
        self._names = names
        self._live: dict[str, LiveJob] = {}
        self._loading: dict[str, asyncio.Task[LiveJob | None]] = {}
        self._absent: set[str] = set()  #: thrown away and not back yet, or damaged
        self._settled: OrderedDict[str, JobStatus] = OrderedDict()

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[LiveJob]:
        return iter(list(self._live.values()))

    def ids(self) -> list[str]:
        return list(self._live)

    def unsettled(self) -> list[str]:
        """Return every job that was found or made here and is not settled in the log, and possibly some that are."""
        return [*self._live, *self._absent]

    def known(self, job_id: str) -> bool:
        """Whether there is no need to look for the job: it is in memory, on its way to it, or cannot be read."""
        return job_id in self._live or job_id in self._absent

    def get(self, job_id: str) -> LiveJob | None:
        """Return the job if it is in memory."""
        return self._live.get(job_id)

    def create(self, job_id: str) -> LiveJob:
        """Return a job that is taken to be new. If it is not, its first append is refused and it will be read.

        Errors: Refusal of an id that can be none.
        """
        _check_id(job_id)
        live = self._live[job_id] = LiveJob(Job(job_id))
        return live

    async def load(self, job_id: str) -> LiveJob | None:
        """Return the job, reading it from the log if need be, or None if the log has no such job.

        Errors: DamagedLog; ServerUnavailable; Refusal of an id that can be none.
        """
        live = self._live.get(job_id)
        if live is not None:
            return live
        _check_id(job_id)
        task = self._loading.get(job_id)
        if task is None:
            task = self._loading[job_id] = asyncio.create_task(self._read(job_id))
            task.add_done_callback(partial(self._loaded, job_id))
        return await asyncio.shield(task)

    def _loaded(self, job_id: str, task: asyncio.Task[LiveJob | None]) -> None:
        self._loading.pop(job_id, None)
        if not task.cancelled():
            task.exception()  # whoever waited for it has it, or has gone meanwhile

    async def _read(self, job_id: str) -> LiveJob | None:
        try:
            live = await self._fold(job_id)
        except DamagedLog:
            self._absent.add(job_id)
            raise
        self._absent.discard(job_id)
        return live

    async def _fold(self, job_id: str) -> LiveJob | None:
        commits = await read_job(self._client, self._names, job_id)
        if not commits or job_id in self._live:
            return self._live.get(job_id)
        job = Job(job_id)
        growth = Growth()
        for stored in commits:
            try:
                evolve_all(job, stored.commit.events, stored.commit.at)
            except LifecycleError as error:
                raise DamagedLog(job_id, stored.position, str(error)) from error
            growth.note(len(job.graph), stored.commit.at)
        live = self._live[job_id] = LiveJob(job, commits[-1])
        live.growth = growth
        return live

    def forget(self, live: LiveJob) -> None:
        """Drop the job from memory; the log has it."""
        live.dead = True
        if self._live.get(live.job.id) is live:
            del self._live[live.job.id]

    def throw_away(self, live: LiveJob) -> None:
        """Drop the job from memory; it is to be read again."""
        self.forget(live)
        if live.job.id not in self._live:
            self._absent.add(live.job.id)

    def settle(self, live: LiveJob, status: JobStatus) -> None:
        """Forget a settled job of which everything is in the log, but for its status."""
        self.forget(live)
        self._settled[live.job.id] = status
        self._settled.move_to_end(live.job.id)
        if len(self._settled) > _REMEMBERED:
            self._settled.popitem(last=False)

    def settled_status(self, job_id: str) -> JobStatus | None:
        """Return the last status of a job that settled here and is not in memory any more."""
        return None if job_id in self._live else self._settled.get(job_id)


def _check_id(job_id: str) -> None:
    """Refuse an id that is not one token of a subject: with spaces or line breaks in it, who sent it would speak to the
    server in the engine's name."""
    if len(job_id) > MAX_JOB_ID or not PLAIN.fullmatch(job_id):
        raise Refusal(
            "invalid",
            f"{job_id!r:.100} can be no job's id: that is up to {MAX_JOB_ID} letters, digits, dashes and underscores, "
            "such as a UUID",
        )
