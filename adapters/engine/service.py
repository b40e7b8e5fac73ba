"""The engine: the only writer of the jobs it owns.

Every request takes the same way: find the job (`LiveJobs`), decide (`core.decisions`), apply (`core.job`), write
(`Committer`), and answer once the log has acknowledged. A doubt about the log is resolved in one way only: the job's
memory is thrown away and read again, and whoever asked is told to ask again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from jobledger.core import commands as c
from jobledger.core.decisions import Refusal, decide
from jobledger.core.errors import DamagedLog, JobLedgerError, ServerUnavailable
from jobledger.core.events import Event
from jobledger.core.job import evolve
from jobledger.core.lifecycle import HALTED
from jobledger.core.task import TaskIdentifier

from .. import protocol as p
from ..nats.log import LogWriter
from ..nats.names import Names
from .commits import Committer, NotWritten
from .dispatch import Capability, Dispatcher, Waiter
from .followers import Followers
from .jobs import LiveJobs
from .leases import Leases
from .live import LiveJob

log = logging.getLogger(__name__)

R = TypeVar("R")

#: No claim makes an answer larger than this share of the server's message limit; a single task may.
CLAIM_SHARE = 0.5
#: what an answer costs beside the inputs, in bytes a task, rounded up
_TASK_OVERHEAD = 24
#: seconds a leaving engine gives the log to acknowledge what is on its way
_LAST_ANSWERS = 1.0


def _now() -> int:
    return time.time_ns() // 1000


class Engine:
    """Serves one namespace over one connection, from `start` to `stop`."""

    def __init__(self, client: Client, names: Names, *, engine_id: str, lease: float) -> None:
        self._client = client
        self._names = names
        self._id = engine_id
        self._log = LogWriter(client, names)
        self.jobs = LiveJobs(client, names)
        self._dispatcher = Dispatcher()
        self._leases = Leases(lease, time.monotonic)
        self._followers = Followers()
        self._committer = Committer(
            self._log, engine_id, on_written=self._written, on_failed=self._not_written
        )
        self._requests: set[asyncio.Future[None]] = set()
        self._background: set[asyncio.Future[None]] = set()
        self._subscriptions: list[Subscription] = []
        self._stopped = False
        self.refused = 0  #: reports refused since the start

    # -- life -----------------------------------------------------------------------------------------------------

    async def start(self, live: Iterable[str]) -> None:
        """Bring these jobs back to memory and begin to serve."""
        await self._log.open()
        await self.adopt(live)
        for subject, handler in (
            (self._names.command, self._command),
            (self._names.exchange, self._exchange),
            (self._names.heartbeat, self._heartbeat),
        ):
            # a queue group: while ownership changes hands, a request reaches one of the two engines
            self._subscriptions.append(
                await self._client.subscribe(subject, queue="engine", cb=self._handler(handler))
            )
        self._spawn(self._expire_leases())
        await self._client.publish(self._names.hello, self._id.encode())
        await self._client.flush()

    async def adopt(self, live: Iterable[str]) -> None:
        """Bring those of these jobs back to memory that are not there."""
        for job_id in live:
            try:
                await self._find(job_id)
            except DamagedLog as error:
                log.error("%s", error)

    async def stop(self) -> None:
        """Answer who waits, write what is decided, and leave."""
        self._stopped = True
        for subscription in self._subscriptions:
            with contextlib.suppress(nats.errors.Error):
                await subscription.drain()  # type: ignore[no-untyped-call]  # what has arrived is answered: ask another
        self._dispatcher.answer_all()
        self._followers.answer_all()
        if self._requests:  # they wait for the log, or have just been answered
            await asyncio.wait(self._requests, timeout=_LAST_ANSWERS)
        for task in (*self._requests, *self._background):
            task.cancel()
        await asyncio.gather(*self._requests, *self._background, return_exceptions=True)
        await self._log.close()
        with contextlib.suppress(nats.errors.Error):
            await self._client.publish(self._names.farewell, self._id.encode())

    def _spawn(self, work: Awaitable[None]) -> None:
        _keep(work, self._background)

    def _handler(self, handle: Callable[[Msg], Awaitable[p.Reply]]) -> Callable[[Msg], Awaitable[None]]:
        async def answer(message: Msg) -> None:
            try:
                reply = await handle(message)
            except Refusal as refusal:
                reply = p.Refused(refusal.code, refusal.message)
            except msgspec.MsgspecError as error:
                reply = p.Refused("invalid", f"the request cannot be decoded: {error}")
            except DamagedLog as error:
                reply = p.Refused("damaged", str(error))
            except (NotWritten, ServerUnavailable) as error:
                reply = p.Unavailable(str(error))
            except asyncio.CancelledError:
                reply = p.Unavailable("this engine is leaving")
            except Exception as error:
                log.exception("a request failed")
                reply = p.Refused("internal", f"the engine failed on this request: {error!r}. See its log")
            if message.reply and not self._client.is_closed:
                try:
                    await self._client.publish(message.reply, p.encode(reply))
                except nats.errors.Error as error:
                    log.warning("an answer could not be sent: %s", error)

        async def accept(message: Msg) -> None:
            if not self._stopped:
                _keep(answer(message), self._requests)
            elif message.reply and self._client.is_connected:
                await self._client.publish(message.reply, p.encode(p.Unavailable("this engine is leaving")))

        return accept

    # -- the way of every decision --------------------------------------------------------------------------------

    async def _find(self, job_id: str) -> LiveJob | None:
        """Return the job, from memory or from the log, with its leases and ready tasks noted."""
        live = self.jobs.get(job_id)
        if live is None:
            live = await self.jobs.load(job_id)
            if live is not None:
                for runner in set(live.job.claimed_by.values()):
                    self._leases.claimed(runner, live)
                self._dispatcher.refresh(live)
        return live

    def _apply(self, live: LiveJob, command: c.Command) -> list[Event]:
        """Decide, apply, and have it written. Errors: Refusal."""
        now = _now()
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
            self._committer.add(live, events)
        return events

    def _written(self, live: LiveJob) -> None:
        self._followers.tell(live.job.id, _status(live))
        self._tell_halt(live)
        if live.idle and live.job.settled:
            self._settle(live)

    def _tell_halt(self, live: LiveJob) -> None:
        """Tell runners once of a job that was halted while they have tasks of it: some may not have begun."""
        halted = live.job.state in HALTED
        if halted and not live.halt_told and live.job.claimed_by:
            self._spawn(self._client.publish(self._names.halted, live.job.id.encode()))
        live.halt_told = halted

    def _settle(self, live: LiveJob) -> p.JobStatus:
        status = _status(live)
        self._dispatcher.forget(live)
        self.jobs.settle(live, status)
        return status

    def _not_written(self, live: LiveJob, reason: str) -> None:
        self._dispatcher.forget(live)
        self.jobs.forget(live)
        if not self._stopped:
            self._spawn(self._reload(live.job.id))

    async def _reload(self, job_id: str) -> None:
        while not self._stopped:
            try:
                live = await self._find(job_id)
                if live is not None and live.idle and live.job.settled:
                    self._settle(live)
                return
            except DamagedLog as error:
                log.error("%s", error)
                return
            except JobLedgerError as error:
                log.warning("job %s cannot be read yet: %s", job_id, error)
                await asyncio.sleep(0.5)

    # -- commands -------------------------------------------------------------------------------------------------

    async def _command(self, message: Msg) -> p.Reply:
        command = p.decode_command(message.data)
        if isinstance(command, p.FollowJob):
            return await self._follow(command)
        live = self.jobs.get(command.job_id)
        if live is None and isinstance(command, c.SubmitJob):
            settled = self.jobs.settled_status(command.job_id)
            if settled is not None:  # sent again after its answer was lost
                return p.Done(settled.position, settled.version)
            live = self.jobs.create(command.job_id)
        elif live is None:
            live = await self._find(command.job_id)
        if live is None:
            raise Refusal("unknown_job", f"there is no job {command.job_id}")
        try:
            self._apply(live, command)
        except Refusal:
            if not live.job.state:
                self.jobs.forget(live)
            raise
        self._dispatcher.refresh(live)
        await live.written()
        count = 0 if isinstance(command, c.SubmitJob) else live.job.commands.get(command.command_id, 0)
        return p.Done(live.position, live.version, count)

    async def _follow(self, request: p.FollowJob) -> p.Reply:
        status = self.jobs.settled_status(request.job_id)
        if status is None:
            live = await self._find(request.job_id)
            if live is None:
                raise Refusal("unknown_job", f"there is no job {request.job_id}")
            if not live.version:
                await live.written()
            read_to_answer = live.idle and live.job.settled
            status = self._settle(live) if read_to_answer else _status(live)
        if not request.is_news(status):
            status = await self._followers.wait(request, status)
        return status

    # -- runners --------------------------------------------------------------------------------------------------

    async def _exchange(self, message: Msg) -> p.Reply:
        request = p.decode_exchange(message.data)
        self._leases.extend(request.runner)
        self._dispatcher.supersede(request.runner)
        touched: dict[str, LiveJob] = {}
        refused = await self._take_reports(request, touched)
        jobs = self._hand_out_again(request, touched)
        capability = Capability(
            request.cluster, tuple(TaskIdentifier(*identifier) for identifier in request.identifiers)
        )
        jobs += self._claim(request.runner, capability, request.limit, touched)
        if not (jobs or touched or refused) and request.limit and request.wait > 0:
            waiter = Waiter(request.runner, capability, request.limit)
            if await self._dispatcher.wait(waiter, request.wait) and not self._stopped:
                jobs = self._claim(request.runner, capability, request.limit, touched)
        for live in touched.values():
            await live.written()
        self._leases.extend(request.runner)
        halted = [job_id for job_id, live in touched.items() if live.job.state in HALTED]
        return p.Exchanged(refused, jobs, self._leases.length, halted)

    async def _take_reports(self, request: p.Exchange, touched: dict[str, LiveJob]) -> list[p.RefusedReport]:
        refused = []
        for index, report in enumerate(request.reports):
            try:
                live = self.jobs.get(report.job_id) or await self._find(report.job_id)
                if live is None:
                    raise Refusal("unknown_job", f"there is no job {report.job_id}")
                self._apply(live, report)
                touched[report.job_id] = live
            except Refusal as refusal:
                refused.append(p.RefusedReport(index, refusal.code, refusal.message))
            except DamagedLog as error:
                refused.append(p.RefusedReport(index, "damaged", str(error)))
        if refused:
            self.refused += len(refused)
            log.warning(
                "%d reports of runner %s refused: %s", len(refused), request.runner, refused[0].message
            )
        for live in touched.values():
            self._dispatcher.refresh(live)
        return refused

    def _hand_out_again(self, request: p.Exchange, touched: dict[str, LiveJob]) -> list[p.ClaimedJob]:
        """After a lost answer: what the runner has claimed but does not know of."""
        if request.holds is None:
            return []
        known = set(request.holds)
        known.update(p.AttemptRef(r.job_id, r.task, r.attempt) for r in request.reports)
        jobs = []
        room = self._room()
        for live, tasks in self._leases.held(request.runner, self.jobs.get):
            attempt = live.job.attempt
            missing = [t for t in tasks if p.AttemptRef(live.job.id, t, attempt[t]) not in known]
            if missing:
                touched[live.job.id] = live
                fitting = _fitting(live, missing, room)
                for task in missing[fitting:]:
                    self._apply(
                        live, c.ReleaseTask(live.job.id, task, attempt[task], "its hand-out was lost")
                    )
                jobs.append(_hand_out(live, missing[:fitting]))
                room -= _weight(live, missing[:fitting])
        return jobs

    def _room(self) -> int:
        return int(self._client.max_payload * CLAIM_SHARE)

    def _claim(
        self, runner: str, capability: Capability, limit: int, touched: dict[str, LiveJob]
    ) -> list[p.ClaimedJob]:
        jobs: list[p.ClaimedJob] = []
        room = self._room()
        if limit <= 0:
            return jobs
        for live, specs in self._dispatcher.jobs_for(capability):
            tasks = live.job.graph.next_ready(specs, limit)
            fitting = _fitting(live, tasks, room)
            events = self._apply(live, c.ClaimTasks(live.job.id, runner, specs, fitting)) if fitting else []
            if events:
                claimed = tasks[:fitting]
                jobs.append(_hand_out(live, claimed))
                limit -= len(claimed)
                room -= _weight(live, claimed)
                touched[live.job.id] = live
                self._leases.claimed(runner, live)
            self._dispatcher.refresh(live)
            if limit <= 0 or room <= 0:
                break  # before the next job is moved to the end of its queue
        return jobs

    async def _heartbeat(self, message: Msg) -> p.Reply:
        request = p.decode_heartbeat(message.data)
        self._leases.extend(request.runner)
        lost = []
        for ref in request.holds:
            try:
                live = self.jobs.get(ref.job_id) or await self._find(ref.job_id)
            except DamagedLog:
                live = None
            current = live is not None and (
                live.job.claimed_by.get(ref.task) == request.runner
                and live.job.attempt[ref.task] == ref.attempt
            )
            if not current:
                lost.append(ref)
            elif live is not None:
                self._leases.claimed(request.runner, live)
        return p.HeartbeatSeen(lost)

    async def _expire_leases(self) -> None:
        while True:
            await asyncio.sleep(self._leases.length / 10)
            for runner in list(self._leases.expired()):
                for live, tasks in list(self._leases.held(runner, self.jobs.get)):
                    log.warning("runner %s is lost with %d tasks of job %s", runner, len(tasks), live.job.id)
                    for task in tasks:
                        self._apply(live, c.ExpireLease(live.job.id, task, live.job.attempt[task]))
                    self._dispatcher.refresh(live)


def _keep(work: Awaitable[None], running: set[asyncio.Future[None]]) -> None:
    """Run it beside everything else. The loop itself keeps no reference to a task."""
    task = asyncio.ensure_future(work)
    running.add(task)
    task.add_done_callback(running.discard)


def _weight(live: LiveJob, tasks: list[int]) -> int:
    """Return about how many bytes it takes to hand these tasks out."""
    return sum(len(live.job.inputs[task]) + _TASK_OVERHEAD for task in tasks)


def _fitting(live: LiveJob, tasks: list[int], room: int) -> int:
    """Return how many of these tasks fit into `room` bytes; at least one."""
    for count, task in enumerate(tasks):
        room -= len(live.job.inputs[task]) + _TASK_OVERHEAD
        if room < 0 and count:
            return count
    return len(tasks)


def _hand_out(live: LiveJob, tasks: list[int]) -> p.ClaimedJob:
    job = live.job
    kinds = sorted({job.graph.spec[task] for task in tasks})
    index = {kind: i for i, kind in enumerate(kinds)}
    return p.ClaimedJob(
        job.id,
        job.name,
        [job.specs[kind] for kind in kinds],
        [
            p.ClaimedTask(task, job.attempt[task], index[job.graph.spec[task]], job.inputs[task])
            for task in tasks
        ],
    )


def _status(live: LiveJob) -> p.JobStatus:
    """The job's status. It may run ahead of the log by a tick, but is settled only once the log says so."""
    job = live.job
    settled = job.settled and live.idle
    return p.JobStatus(live.position, live.version, job.state, settled, list(job.counts))
