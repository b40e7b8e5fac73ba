"""The end of a sealed job: what it kept beside the log is removed, its key is destroyed, and then the log says so.

In this order, and all of it again until the log has it: an engine that dies in between leaves a job that is deleted and
not erased, which its successor finds among those that are not settled.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import nats.errors

from jobledger.core.commands import Command, EraseJob
from jobledger.core.decisions import Refusal
from jobledger.core.errors import JobLedgerError

from ...sealing.keys import Keyring, store_of
from ..live import LiveJob

log = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 60.0  # seconds before it is tried again


class Erasures:
    """Those of one engine. `erase` may be asked for again at any time."""

    def __init__(
        self,
        keyring: Keyring,
        *,
        find: Callable[[str], Awaitable[LiveJob | None]],
        remove: Callable[[str], Awaitable[None]],
        decide: Callable[[LiveJob, Command], object],
        told: Callable[[LiveJob], Awaitable[None]],
    ) -> None:
        """`find` gives the job as it is by now, `remove` removes what it kept; `told` tells runners that it is over."""
        self._keyring = keyring
        self._find = find
        self._remove = remove
        self._decide = decide
        self._told = told
        self._trying: dict[str, asyncio.Task[None]] = {}
        self._persisting: dict[str, asyncio.Task[None]] = {}

    def check(self, job_id: str, key: str) -> None:
        """Raise Refusal unless a key of this name could be destroyed here."""
        if key and key not in self._keyring:
            raise Refusal(
                "invalid",
                f"the engine of this namespace has no key store {store_of(key)!r}, so that it could never destroy the key "
                f"of job {job_id}. Nothing was submitted. Start the engine with it (--keys), or submit the job with a "
                "client without keys=",
            )

    async def erase(self, job_id: str) -> None:
        """Return once the log says that the job is erased. If it cannot be now, that is raised, and tried again later.

        Errors: KeyUnavailable; NotWritten; ServerUnavailable.
        """
        try:
            await self._try(job_id)
        except BaseException:
            self.persist(job_id)
            raise

    def persist(self, job_id: str) -> None:
        """Have the job erased, however often that has to be tried."""
        if job_id not in self._persisting:
            task = self._persisting[job_id] = asyncio.ensure_future(self._persist(job_id))
            task.add_done_callback(lambda _: self._persisting.pop(job_id, None))

    async def close(self) -> None:
        """Leave what is not done to the next engine."""
        tasks = [*self._persisting.values(), *self._trying.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _persist(self, job_id: str) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._try(job_id)
            except (JobLedgerError, nats.errors.Error, OSError) as error:
                log.warning("job %s is deleted, and its key is not destroyed yet: %s", job_id, error)
            else:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _try(self, job_id: str) -> None:
        """Try once, together with whoever does already."""
        task = self._trying.get(job_id)
        if task is None:
            task = self._trying[job_id] = asyncio.ensure_future(self._erase(job_id))
            task.add_done_callback(lambda _: self._trying.pop(job_id, None))
        await asyncio.shield(task)

    async def _erase(self, job_id: str) -> None:
        live = await self._find(job_id)
        if live is None or not live.job.erasing:
            return
        await live.written()  # nothing is destroyed because of a deletion that the log does not have
        await self._remove(job_id)
        await self._keyring.destroy(job_id, live.job.options.sealed)
        live = await self._find(job_id) or live
        if not live.dead:
            self._decide(live, EraseJob(job_id))
            await live.written()
        await self._told(live)
