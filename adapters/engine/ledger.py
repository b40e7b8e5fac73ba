"""The way of every decision: find the job, decide, apply, have it written.

A doubt about the log is resolved in one way only: the job's memory is thrown away and read again, and whoever waits
for it is told to ask again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable

from jobledger.core.commands import Command, ExpireJob
from jobledger.core.decisions import Refusal, decide
from jobledger.core.errors import DamagedLog, JobLedgerError
from jobledger.core.events import Event
from jobledger.core.job import evolve

from ..metrics.engine import EngineMeter
from ..nats.log import LogWriter
from ..nats.names import Names
from ..nats.partitions import Partition
from ..nats.wire import Wire
from ..protocol import Halted, JobStatus, encode
from ..sealing.keys import Keyring, KeyStore
from ..sealing.nats_keys import NatsKeys
from .aftermath import Aftermath
from .clients.erasure import Erasures
from .clients.followers import Followers
from .jobs import LiveJobs
from .live import LiveJob
from .partitions.recovery import Checkpoint, Progress
from .runners import halts
from .runners.dispatch import Dispatcher
from .runners.leases import Leases
from .runners.slots import Slots
from .runners.suspects import Suspects
from .timers import Timers
from .writing.commits import Committer
from .writing.room import Room

log = logging.getLogger(__name__)

_PAUSE = 0.5  # seconds before a job that could not be read is read again; the most where it cannot be written again and again
_FIRST_PAUSE = 0.02  # seconds before it is read when its second commit in a row was not written; doubled with every other
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
        room: Room,
        keys: KeyStore | None = None,
        owned: Callable[[], bool],
    ) -> None:
        self._client = client
        self._names = names
        self.meter = meter
        self.room = room
        self._log = LogWriter(client, names)
        self.jobs = LiveJobs(client, names)
        self.slots = Slots()
        self.dispatcher = Dispatcher(self.slots, wake=client.wake)
        self.aftermath = Aftermath(client, names, owned=owned)
        own = [] if keys is None else [keys]
        self.erasures = Erasures(
            Keyring([NatsKeys(lambda work: work(client, names)), *own]),
            find=self.find,
            remove=self.aftermath.remove,
            decide=self._erased,
            told=lambda live: self._tell(live, Halted(live.job.id)),
        )
        self._timers = Timers(micros, self._alarmed)
        self.leases = Leases(lease, time.monotonic, self.jobs.get)
        self.suspects = Suspects(self.leases, self.dispatcher, time.monotonic)
        self.followers = Followers()
        self._committer = Committer(
            self._log,
            engine_id,
            meter,
            room,
            wake=client.wake,
            owned=owned,
            on_written=self._acknowledged,
            on_failed=self._not_written,
            on_parked=self.refresh,
        )
        self.background = Background()
        self._progress = Progress()
        self._failures: dict[str, int] = {}  #: by job, how many of its commits in a row were not written
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
        unknown = [job_id for job_id in checkpoint.live if not self.jobs.known(job_id)]
        ids = iter(unknown)

        async def some() -> None:
            for job_id in ids:
                await self._adopt(job_id)

        readers = [asyncio.ensure_future(some()) for _ in unknown[:_AT_ONCE]]
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
        writing = [live.written() for live in self.jobs if not live.idle and live.parked is None]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await asyncio.gather(*writing, return_exceptions=True)

    async def close(self) -> None:
        self._committer.close()
        await self.erasures.close()
        await self.background.cancel()
        await self._log.close()

    @property
    def partition(self) -> Partition:
        return self._names.partition

    @property
    def parked(self) -> int:
        """How many jobs have something decided that the log has no room for."""
        return self._committer.parked

    @property
    def unwritable(self) -> str | None:
        """Why something that was decided cannot be written just now, if anything."""
        return self._committer.unwritable

    # -- decisions ------------------------------------------------------------------------------------------------

    async def find(self, job_id: str) -> LiveJob | None:
        """Return the job, from memory or from the log, with its leases and ready tasks noted; None if there is none.

        Errors: DamagedLog; ServerUnavailable.
        """
        live = self.jobs.get(job_id)
        if live is None:
            live = await self.jobs.load(job_id)
            if live is not None:
                for runner in dict.fromkeys(live.job.claimed_by.values()):
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

    def let_go(self, job_ids: Iterable[str]) -> None:
        """Forget those of these jobs that are settled: they were read again only because somebody spoke of them."""
        for job_id in job_ids:
            live = self.jobs.get(job_id)
            if live is not None and live.settled:
                self.settle(live)

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
        if self._failures:
            self._failures.pop(live.job.id, None)
        self._written(live)

    def _written(self, live: LiveJob) -> None:
        if self.followers.wait_for(live.job.id):
            self.followers.tell(live.job.id, live.status)
        # Whoever waited for the commit may have found the job settled, and it is forgotten already.
        if live.job.slots and not live.dead and self.slots.refresh(live):
            self.dispatcher.look_again()
        for notice in halts.news(live):
            self.background.run(self._tell(live, notice))
        if live.reusable and live.idle:
            self.aftermath.written(live)
        if live.settled:
            self.settle(live)

    async def _tell(self, live: LiveJob, notice: Halted) -> None:
        """Have the runners hear of it that can hold tasks of the job."""
        for cluster in dict.fromkeys(spec.cluster for spec in live.job.specs):
            await self._client.publish(self._names.halted(cluster), encode(notice))

    def _not_written(self, live: LiveJob, reason: str) -> None:
        self._unlist(live)
        self.jobs.throw_away(live)
        if not self._closed:
            failures = self._failures[live.job.id] = self._failures.get(live.job.id, 0) + 1
            self.background.run(self._reload(live.job.id, failures))

    async def _reload(self, job_id: str, failures: int) -> None:
        """Bring a job back that was thrown away: nobody may ask for it again, but its leases have to end.

        Not at once where that failed before: what is due is decided as soon as the job is back, and against a log that is
        full, or belongs to another engine by now, that would go on without a rest.
        """
        if failures > 1:
            await asyncio.sleep(min(_PAUSE, _FIRST_PAUSE * 2 ** min(failures - 2, 10)))
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
                    self._failures.pop(job_id, None)
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
