"""One run of a runner: from its first exchange with the engine until it holds nothing any more.

All of it happens on the event loop of the portal, beside the threads of `Workers`. What is done is gathered and
reported together with the demand for more, in up to two exchanges at a time, so that the engine writes while the
workers work. An exchange without reports may be held open by the engine until something is ready; a newer one makes
it answer at once.

Nothing claimed may get lost. An exchange that is asked again says what this runner holds, and the engine hands out
again whatever else it has noted for this runner. The next one says so once more: the engine may still have been busy
with the earlier copy when the repetition arrived.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from uuid import uuid4

from jobledger.core.errors import JobLedgerError, ServerUnavailable

from .. import protocol as p
from ..link import Link
from .assignment import Assignment, Assignments
from .context import Equipment
from .execution import Coroutines, execute, release
from .flight import Flight
from .heartbeat import Heartbeat
from .outbox import Outbox
from .pace import MOST_ASKED, SLOW, Pace
from .workers import Workers

log = logging.getLogger(__name__)

LONG_POLL = 15.0  # seconds for which the engine may hold an exchange open
#: seconds a try may take beyond that: the engine answers late only while it waits for its disk
_ANSWER = 10.0
#: seconds finished work waits for company while there is more to do
_GATHER = 0.005
#: exchanges on their way at a time
_FLIGHTS = 2
#: seconds between two requests the engine refuses to serve
_PAUSE = 1.0
#: seconds a runner that holds nothing, or was told twice to stop, waits for a last answer
_FAREWELL = 2.0


class Session:
    """Claims, runs and reports until told to stop or, unless `forever`, until nothing is ready."""

    def __init__(
        self,
        link: Link,
        equipment: Equipment,
        concurrency: int,
        *,
        forever: bool,
        grace: float,
        patience: float,
    ) -> None:
        self._link = link
        self._equipment = equipment
        self._forever = forever
        self._grace = grace  #: seconds running tasks have to finish once it is told to stop
        self._patience = patience  #: seconds without an answer after which to give up
        self.runner_id = uuid4().hex
        self._assignments = Assignments()
        self._outbox = Outbox(self._assignments)
        self._workers = Workers(concurrency, self._execute)
        self._pace = Pace(concurrency)
        self._heartbeat = Heartbeat(link, self.runner_id, self._assignments)
        self._flights: dict[Flight, asyncio.Task[None]] = {}
        self._recount = False  #: the next exchange is to say what is held
        self._nothing_ready = False
        self._draining = False
        self._deadline = math.inf  #: when to end although something is held, by the loop's clock
        self._farewell = math.inf  #: when to end although an answer is missing, if nothing is held
        self._error: BaseException | None = None
        # When to look again: at once, or by the loop's clock
        self._news = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._urgent = False
        self._report_at = math.inf
        self._ask_at = math.inf
        self._not_before = 0.0
        self._refused_since = math.inf

    def _execute(self, assignment: Assignment, coroutines: Coroutines) -> None:
        execute(assignment, self._equipment, coroutines)

    # -- life -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run to the end.

        Errors: ServerUnavailable when nobody answered for as long as patience lasts; JobLedgerError when the engine
        does not take this runner's requests at all.
        """
        self._loop = asyncio.get_running_loop()
        self._workers.start(self._loop, self._first_done, self._hurry)
        try:
            while not self._over():
                self._step()
                await self._news.wait()
                self._news.clear()
            if self._error is not None:
                raise self._error
            if self._assignments:
                await self._abandon()
        finally:
            self._workers.stop()
            if self._timer is not None:
                self._timer.cancel()
            flights = list(self._flights.values())
            for flight in flights:
                flight.cancel()
            await asyncio.gather(*flights, return_exceptions=True)
            await self._heartbeat.stop()

    def drain(self) -> None:
        """Claim nothing more, give back what has not begun, and end when the rest is reported or the grace is over."""
        if not self._draining:
            self._draining = True
            now = asyncio.get_running_loop().time()
            self._deadline, self._farewell = now + self._grace, now + _FAREWELL
            self._give_back(self._workers.waiting, "the runner is stopping")
            self._hurry()

    def abort(self) -> None:
        """Give back everything, the running tasks too, and end at once."""
        self.drain()
        self._deadline = asyncio.get_running_loop().time()
        self._news.set()

    def join(self) -> None:
        """Wait for the threads to end; not on the event loop's. One whose task goes on is left to itself."""
        self._workers.join(timeout=0.0 if self._workers.running else 5.0)

    def _over(self) -> bool:
        now = self._loop.time()
        if self._error is not None or now >= self._deadline:
            return True
        if self._assignments:
            return False
        if self._flights:
            return now >= self._farewell
        return self._draining or (self._nothing_ready and not self._forever)

    async def _abandon(self) -> None:
        """Report what is finished and give back the rest, in as little time as that takes."""
        for assignment in self._assignments:
            if len(assignment.reports) != 1:
                release(assignment, "the runner was stopped while it ran this task")
        last = Flight(list(self._assignments), 0, 0.0)
        try:
            await self._link.ask(
                self._link.names.exchange, self._payload(last, 0), timeout=_FAREWELL, patience=_FAREWELL
            )
        except ServerUnavailable as error:
            log.warning(
                "%d tasks could not be given back, their leases will end: %s", len(last.reports), error
            )

    # -- what wakes it --------------------------------------------------------------------------------------------

    def _hurry(self) -> None:
        self._urgent = True
        self._news.set()

    def _first_done(self) -> None:
        self._report_at = min(self._report_at, self._loop.time() + _GATHER)
        self._wake_at(self._report_at)

    def _wake_at(self, when: float) -> None:
        timer = self._timer
        if timer is not None:
            if self._loop.time() < timer.when() <= when:
                return
            timer.cancel()
        self._timer = self._loop.call_at(when, self._news.set)

    # -- one step -------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        """Send what is due, and see to it that this wakes again when more will be."""
        now = self._loop.time()
        self._watch_slow_tasks(now)
        while len(self._flights) < _FLIGHTS:
            if self._urgent or now >= self._report_at:
                self._gather()
            flight = self._next_flight(now)
            if flight is None:
                break
            flight.sent = now
            self._nothing_ready = False
            self._flights[flight] = self._loop.create_task(self._fly(flight))
        for when in (self._report_at, self._ask_at, self._farewell, self._deadline):
            if now < when < math.inf:
                self._wake_at(when)

    def _gather(self) -> None:
        """Fetch what is finished."""
        self._urgent, self._report_at = False, math.inf
        micros = tasks = 0
        for assignment in self._workers.take_done():
            if assignment.lost:
                log.warning("the result of %r is dropped: the attempt was over before it ended", assignment)
            else:
                micros += assignment.stopped - assignment.started
                tasks += 1
                self._outbox.add(assignment)
        if tasks:
            self._pace.measured(micros / 1e6, tasks)
            self._workers.low = self._pace.target() // 4

    def _next_flight(self, now: float) -> Flight | None:
        reports = self._outbox.take()
        limit = self._wanted(now)
        if not reports and not self._may_ask(limit, now):
            return None
        self._ask_at = math.inf
        ending = sum(len(assignment.reports) == 1 for assignment in reports)
        others = len(self._assignments) - ending  # held besides what this exchange ends
        recount, self._recount = self._recount, False
        at_once = self._draining or recount or not (self._forever or others)
        flight = Flight(reports, limit, 0.0 if at_once else LONG_POLL)
        flight.alone = not others and not self._flights
        if recount:
            flight.recount(self._assignments)
        return flight

    def _wanted(self, now: float) -> int:
        """Return how many more tasks to ask for."""
        if self._draining:
            return 0
        unfinished = self._workers.waiting + len(self._workers.running)
        # An exchange that is not answered soon is being held open, and void as soon as a newer one arrives.
        asked = sum(flight.limit for flight in self._flights if now - flight.sent < 4 * _GATHER)
        return max(0, min(MOST_ASKED, self._pace.target(self._slow_workers()) - unfinished - asked))

    def _may_ask(self, wanted: int, now: float) -> bool:
        """Whether to send an exchange without reports."""
        if self._draining:  # it ends the one that is being held open
            return any(flight.wait for flight in self._flights) and all(
                flight.limit for flight in self._flights
            )
        if now < self._not_before:
            self._wake_at(self._not_before)
            return False
        if self._recount:
            return True
        if not wanted or any(flight.limit for flight in self._flights):
            return False
        if self._assignments:  # the next report will ask along with it, if there is one soon
            self._ask_at = min(self._ask_at, now + _GATHER)
            return now >= self._ask_at
        return True

    def _watch_slow_tasks(self, now: float) -> None:
        """Give back what waits behind a task that takes long: an idle runner may have it."""
        waiting = self._workers.waiting
        slow = self._slow_workers() if waiting else 0
        if slow:
            keep = (self._workers.size - slow) * self._pace.per_worker
            self._give_back(waiting - keep, "another task takes long on this runner")
        if self._workers.waiting:
            self._wake_at(now + SLOW * 1.05)

    def _slow_workers(self) -> int:
        long_ago = time.time_ns() // 1000 - int(SLOW * 1e6)
        return sum(0 < assignment.started < long_ago for assignment in self._workers.running)

    def _give_back(self, count: int, reason: str) -> None:
        for assignment in self._workers.take_back(count):
            if not assignment.lost:
                release(assignment, reason)
                self._outbox.add(assignment)

    # -- exchanges ------------------------------------------------------------------------------------------------

    async def _fly(self, flight: Flight) -> None:
        try:
            reply = await self._link.ask(
                self._link.names.exchange,
                lambda tries: self._payload(flight, tries),
                timeout=flight.wait + _ANSWER,
                patience=self._patience,
            )
            if isinstance(reply, p.Exchanged):
                self._outbox.answered(flight.reports, reply.refused)
                self._admit(flight, reply)
            elif isinstance(reply, p.Refused) and flight.reports:
                self._outbox.refused_together(flight.reports, reply.code, reply.message)
                flight.retried = True
            else:
                self._not_served(flight, reply)
        except Exception as error:  # noqa: BLE001  raised by `run`
            self._error = error
        finally:
            del self._flights[flight]
            self._recount = self._recount or flight.retried
            flight.end_recount(self._assignments)
            self._news.set()

    def _not_served(self, flight: Flight, reply: p.Reply) -> None:
        """The engine refused to hand out anything. That is the end only where it would refuse for ever."""
        now = self._loop.time()
        self._refused_since = min(self._refused_since, now)
        if (
            not isinstance(reply, p.Refused)
            or reply.code == "invalid"
            or now - self._refused_since > self._patience
        ):
            raise JobLedgerError(
                f"the engine does not serve this runner: {reply}. Check that both are of the same version of jobledger"
            )
        log.error("the engine could not serve this runner, it is asked again: %s", reply.message)
        flight.retried = True
        self._not_before = now + _PAUSE

    def _payload(self, flight: Flight, tries: int) -> bytes:
        if tries:
            flight.retry(self._assignments)
        equipment = self._equipment
        return flight.request(self.runner_id, equipment.cluster, equipment.tasks.announced, self._assignments)

    def _admit(self, flight: Flight, reply: p.Exchanged) -> None:
        admitted = self._assignments.admit(reply.jobs)
        self._refused_since = math.inf
        self._nothing_ready = flight.alone and bool(flight.limit) and not reply.jobs
        if self._draining:
            for assignment in admitted:
                release(assignment, "the runner is stopping")
                self._outbox.add(assignment)
        elif admitted:
            self._workers.add(admitted)
        self._heartbeat.ensure(reply.lease)
