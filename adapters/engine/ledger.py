"""The way of every decision: find the job, decide, apply, have it written.

A doubt about the log is resolved in one way only: the job's memory is thrown away and read again, and whoever waits
for it is told to ask again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from jobledger.core.commands import Command, ExpireJob
from jobledger.core.decisions import Refusal, decide
from jobledger.core.errors import DamagedLog, JobLedgerError
from jobledger.core.events import Event
from jobledger.core.job import evolve

from ..metrics.engine import EngineMeter
from ..nats.log import LogWriter
from ..nats.names import Names
from ..nats.wire import Wire
from ..protocol import Halted, JobStatus, encode
from ..sealing.keys import Keyring, KeyStore
from ..sealing.nats_keys import NatsKeys
from . import halts
from .aftermath import Aftermath
from .commits import Committer
from .dispatch import Dispatcher
from .erasure import Erasures
from .followers import Followers
from .jobs import LiveJobs
from .leases import Leases
from .live import LiveJob
from .recovery import Checkpoint, Progress
from .slots import Slots
from .timers import Timers

log = logging.getLogger(__name__)

_PAUSE = 0.5  # seconds before a job that could not be read is read again
_AT_ONCE = 32  # jobs that are read side by side


class Ledger:
    """The jobs of one engine, and everything that has to hear of a change to one."""

    def __init__(
        self,
        client: Wire,
        names: Names,
        *,
        engine_id: str,
        lease: float,
        meter: EngineMeter,
        keys: KeyStore | None = None,
        owned: Callable[[], bool],
    ) -> None:
        self._client = client
        self._names = names
        self.meter = meter
        self._log = LogWriter(client, names)
        self.jobs = LiveJobs(client, names)
        self.slots = Slots()
        self.dispatcher = Dispatcher(self.slots, wake=client.wake)
        self.aftermath = Aftermath(client, names)
        own = [] if keys is None else [keys]
        self.erasures = Erasures(
            Keyring([NatsKeys(lambda work: work(client, names)), *own]),
            find=self.find,
            remove=self.aftermath.remove,
            decide=self._erased,
            told=lambda job_id: client.publish(names.halted, encode(Halted(job_id))),
        )
        self._timers = Timers(micros, self._alarmed)
        self.leases = Leases(lease, time.monotonic, self.jobs.get)
        self.followers = Followers()
        self._committer = Committer(
            self._log,
            engine_id,
            meter,
            wake=client.wake,
            owned=owned,
            on_written=self._acknowledged,
            on_failed=self._not_written,
        )
        self.background = Background()
        self._progress = Progress()
        self._closed = False

    async def open(self, checkpoint: Checkpoint, due: Callable[[], None]) -> None:
        """Begin to write, and bring the jobs of a checkpoint to memory. `due` is called when it is time for another."""
        self._progress = Progress(due, alone=self._names.partition.of == 1)
        await self._log.open()
        await self.adopt(checkpoint)

    def end_turn(self) -> None:
        """Hand out what became ready in this turn of the event loop, and write what was decided in it: both together,
        so that a job and the claim of its first task are one commit."""
        self.dispatcher.match()
        self._committer.write()

    async def adopt(self, checkpoint: Checkpoint) -> None:
        """Bring those of these jobs to memory that are not there."""
        ids = iter([job_id for job_id in checkpoint.live if not self.jobs.known(job_id)])

        async def some() -> None:
            for job_id in ids:
                await self._adopt(job_id)

        readers = [asyncio.ensure_future(some()) for _ in range(_AT_ONCE)]
        try:
            await asyncio.gather(*readers)
        finally:
            for reader in readers:
                reader.cancel()
        self._progress.read(checkpoint.position)

    async def _adopt(self, job_id: str) -> None:
        try:
            live = await self.find(job_id)
        except DamagedLog as error:
            log.error("%s", error)
            return
        if live is not None and live.settled:
            self.settle(live)
        elif live is not None and not live.job.state and live.idle:  # a fork that nobody may ever complete
            self.jobs.forget(live)

    def checkpoint(self) -> Checkpoint:
        """Return what is known of the log without reading it."""
        return Checkpoint(self._progress.known, self.jobs.unsettled())

    def quiesce(self) -> None:
        """Answer everyone who waits for news: there will be none from here."""
        self._closed = True
        self.dispatcher.answer_all()
        self.followers.answer_all()

    async def written(self, timeout: float) -> None:
        """Wait until all that was decided is in the log, `timeout` seconds at most."""
        writing = [live.written() for live in self.jobs if not live.idle]
        if writing:
            await asyncio.wait(writing, timeout=timeout)

    async def close(self) -> None:
        await self.erasures.close()
        await self.background.cancel()
        await self._log.close()

    # -- decisions ------------------------------------------------------------------------------------------------

    async def find(self, job_id: str) -> LiveJob | None:
        """Return the job, from memory or from the log, with its leases and ready tasks noted; None if there is none.

        Errors: DamagedLog; ServerUnavailable.
        """
        live = self.jobs.get(job_id)
        if live is None:
            live = await self.jobs.load(job_id)
            if live is not None:
                for runner in set(live.job.claimed_by.values()):
                    self.leases.claimed(runner, live)
                self.refresh(live)
                live.read_as_of = 0
                if live.job.erasing:
                    self.erasures.persist(job_id)
        return live

    async def existing(self, job_id: str) -> LiveJob:
        """As `find`. Errors: Refusal, if there is no such job, too."""
        live = await self.find(job_id)
        if live is None or not live.job.state:
            raise Refusal("unknown_job", f"there is no job {job_id}")
        return live

    def apply(self, live: LiveJob, command: Command, now: int = 0) -> list[Event]:
        """Decide, apply, and have it written. Whoever calls `refresh`es when it has applied all.

        Units:  `now` is µs since 1970 UTC, for whoever applies many at once; 0 for the clock's.
        Errors: Refusal; the job is then as it was.
        """
        now = now or micros()
        events = decide(live.job, command, now)
        if events:
            if not live.decisions:
                live.at = now
            try:
                for event in events:
                    evolve(live.job, event, live.at)
            except Exception as error:
                self._committer.abandon(live, f"{type(command).__name__} could not be applied: {error}")
                raise
            if len(live.job.reuse_keys) > live.reuse_keys_seen:
                live.note_reusable(events)
            self._committer.add(live, events)
        return events

    def refresh(self, live: LiveJob) -> None:
        """After a change: list what of the job is ready, and set its alarm. Others may get slots it has left."""
        if live.dead:
            self._unlist(live)
            return
        graph = live.job.graph
        if graph.next_wake is not None:
            graph.wake(micros())
        if live.job.slots and self.slots.refresh(live):
            self.dispatcher.look_again()
        self.dispatcher.refresh(live)
        self._timers.set(live)

    def settle(self, live: LiveJob) -> JobStatus:
        """Forget a job that is settled in the log, but for its status."""
        status = live.status
        self._unlist(live)
        self.jobs.settle(live, status)
        return status

    def _unlist(self, live: LiveJob) -> None:
        self._timers.clear(live)
        self.dispatcher.forget(live)
        if self.slots.forget(live):
            self.dispatcher.look_again()

    def _alarmed(self, live: LiveJob) -> None:
        """A task of the job is due, or its deadline has come."""
        self.apply(live, ExpireJob(live.job.id))
        self.refresh(live)

    def _erased(self, live: LiveJob, command: Command) -> None:
        """The key of the job is destroyed."""
        self.apply(live, command)
        self.refresh(live)

    # -- what the log says ----------------------------------------------------------------------------------------

    def _acknowledged(self, live: LiveJob) -> None:
        self._progress.wrote(live.position)
        self._written(live)

    def _written(self, live: LiveJob) -> None:
        if self.followers.wait_for(live.job.id):
            self.followers.tell(live.job.id, live.status)
        if live.job.slots and self.slots.refresh(live):
            self.dispatcher.look_again()
        for notice in halts.news(live):
            self.background.run(self._client.publish(self._names.halted, encode(notice)))
        if live.reusable and live.idle:
            self.aftermath.written(live)
        if live.settled:
            self.settle(live)

    def _not_written(self, live: LiveJob, reason: str) -> None:
        self._unlist(live)
        self.jobs.throw_away(live)
        if not self._closed:
            self.background.run(self._reload(live.job.id))

    async def _reload(self, job_id: str) -> None:
        """Bring a job back that was thrown away: nobody may ask for it again, but its leases have to end."""
        while not self._closed:
            try:
                live = await self.find(job_id)
            except DamagedLog as error:
                log.error("%s", error)
                self._free_slots(job_id)
                return
            except JobLedgerError as error:
                log.warning("job %s cannot be read yet: %s", job_id, error)
                await asyncio.sleep(_PAUSE)
            else:
                if live is None:
                    self._free_slots(job_id)
                elif live.idle:
                    self._written(live)  # what was in doubt may be in the log
                return

    def _free_slots(self, job_id: str) -> None:
        """The job does not come back."""
        if self.slots.free(job_id):
            self.dispatcher.look_again()


def micros() -> int:
    """Return the time, in µs since 1970 UTC."""
    return time.time_ns() // 1000


class Background:
    """Work that runs beside everything else. The event loop itself keeps no reference to a task."""

    def __init__(self) -> None:
        self._running: set[asyncio.Future[None]] = set()

    def run(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def wait(self, timeout: float) -> None:
        """Wait until all of it is done, `timeout` seconds at most."""
        if self._running:
            await asyncio.wait(self._running, timeout=timeout)

    async def cancel(self) -> None:
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
