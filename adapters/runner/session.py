"""One run of a runner: from its first exchange with the engine until it holds nothing any more.

All of it happens on the event loop of the portal, beside the threads of `Workers`. What is done is gathered and
reported together with the demand for more, in up to two exchanges at a time, so that the engine writes while the
workers work. An exchange without reports may be held open by the engine until something is ready; a newer one makes
it answer at once.
"""

from __future__ import annotations

import asyncio
import logging
import math
from uuid import uuid4

from jobledger.core.errors import ServerUnavailable

from .. import protocol as p
from ..link import Link
from .alarm import Alarm
from .assignment import Assignment, Assignments
from .context import Equipment
from .demand import Demand
from .execution import execute, release
from .flight import Flight
from .halts import Halts
from .heartbeat import Heartbeat, Said
from .lease import Lease
from .limits import Limits
from .news import News
from .outbox import Outbox
from .pace import SLOW
from .todo import Todo
from .traffic import Traffic
from .user_code import UserCode
from .workers import Workers

log = logging.getLogger(__name__)

#: seconds finished work waits for company while there is more to do
_GATHER = 0.005
#: seconds a runner that holds nothing, or was told twice to stop, waits for a last answer
_FAREWELL = 2.0
#: seconds for threads without a task to end
_JOIN = 5.0


class Session:
    """Claims, runs and reports until told to stop or, unless `forever`, until nothing is ready.

    Units:  `grace` is how many seconds running tasks have to finish once it is told to stop, `patience` how many to
            go on without an answer from the engine.
    """

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
        self.runner_id = uuid4().hex
        self._link = link
        self._equipment = equipment
        self._forever = forever
        self._grace = grace
        self._alarm = Alarm()
        self._lease = Lease()
        self._assignments = Assignments()
        self._outbox = Outbox(self._assignments)
        self._todo = Todo(self._lease, exact=concurrency == 1, on_stale=lambda: self._workers.hurry())
        self._workers = Workers(concurrency, self._todo, self._execute)
        self._demand = Demand(self._todo, self._workers)
        self._limits = Limits(self._workers)
        self._halts = Halts(
            self._todo, self._assignments, self._outbox, self._limits, self._alarm.ring, equipment.forget
        )
        self._heartbeat = Heartbeat(link, self.runner_id, self._assignments, News(self._workers), self._alive)
        self._traffic = Traffic(
            link,
            equipment,
            self.runner_id,
            self._assignments,
            self._outbox,
            self._alarm,
            self._answered,
            self._dropped,
            in_order=self._todo.exact,
            forever=forever,
            patience=patience,
        )
        self._error: Exception | None = None  #: raised once everything is given back
        self._report_at = math.inf  #: when to fetch what is done; these three by the loop's clock
        self._farewell = math.inf  #: when to end although an answer is missing, if nothing is held
        self._deadline = math.inf  #: when to end although something is held

    def _execute(self, assignment: Assignment, user_code: UserCode) -> None:
        if not self._equipment.telemetry.exports.spans:
            execute(assignment, self._equipment, user_code)
            return
        from .attempt_span import attempt_as_span  # only here is OpenTelemetry needed

        with attempt_as_span(assignment, self._equipment.telemetry):
            execute(assignment, self._equipment, user_code)

    # -- life -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run to the end.

        Errors: ServerUnavailable when nobody answered for as long as patience lasts; JobLedgerError when the engine
        does not take this runner's requests at all.
        """
        end_listening = await self._halts.listen(self._link)
        self._equipment.telemetry.start(self._link, self.runner_id)
        self._workers.start(asyncio.get_running_loop(), self._first_done, self._hurry)
        try:
            while not self._over(now := self._alarm.now):
                self._step(now)
                await self._alarm.wait()
            if self._traffic.error is not None:
                raise self._traffic.error
            if self._assignments:
                await self._abandon()
            if self._error is not None:
                raise self._error
        finally:
            self._todo.close()
            self._alarm.close()
            await self._traffic.stop()
            await self._heartbeat.stop()
            await end_listening()
            await self._equipment.telemetry.stop()

    def drain(self) -> None:
        """Claim nothing more, give back what has not begun, and end when the rest is reported or the grace is over."""
        if not self._traffic.draining:
            self._traffic.draining = True
            now = self._alarm.now
            self._deadline, self._farewell = now + self._grace, now + _FAREWELL
            self._give_back(self._todo.waiting, "the runner is stopping")
            self._hurry()

    def abort(self) -> None:
        """Give back everything, the running tasks too, and end at once."""
        self.drain()
        self._deadline = self._alarm.now
        self._alarm.ring()

    def join(self) -> None:
        """Wait for the threads to end; not on the event loop's. One whose task goes on is left to itself."""
        self._workers.join(timeout=0.0 if self._workers.running else _JOIN)

    def _over(self, now: float) -> bool:
        if self._traffic.error is not None or now >= self._deadline:
            return True
        if self._assignments:
            return False
        if not self._traffic.idle:
            return now >= self._farewell
        return self._traffic.draining or (self._traffic.nothing_ready and not self._forever)

    async def _abandon(self) -> None:
        """Report what is finished and give back the rest, in as little time as that takes."""
        for assignment in self._assignments:
            if len(assignment.reports) != 1:
                release(assignment, "the runner was stopped while it ran this task")
        try:
            await self._traffic.farewell(_FAREWELL)
        except ServerUnavailable as error:
            log.warning(
                "%d tasks are not given back, their lease will end: %s", len(self._assignments), error
            )

    # -- what happens ---------------------------------------------------------------------------------------------

    def _first_done(self) -> None:
        """There is a finished task, and more to do: others will soon follow it."""
        self._report_at = min(self._report_at, self._alarm.now + _GATHER)
        self._alarm.ring_at(self._report_at)

    def _hurry(self) -> None:
        """There is enough to report, or little left to do."""
        self._report_at = 0.0
        self._alarm.ring()

    def _answered(self, flight: Flight, reply: p.Exchanged, over: list[Assignment]) -> None:
        """An exchange was answered, and these are over by that."""
        uncounted = bool(self._assignments)
        new = self._assignments.admit(reply.jobs)
        if flight.recounts:  # what was handed out before comes in any order
            new.sort(key=lambda assignment: (assignment.job_id, assignment.order))
        self._lease.renewed(flight.asked, reply.lease, uncounted=uncounted)
        self._heartbeat.ensure(reply.lease)
        if self._traffic.draining:
            self._outbox.give_back(new, "the runner is stopping")
            new = []
        for job_id in reply.halted:
            self._halts.halt(p.Halted(job_id))
            self._outbox.give_back((one for one in new if one.job_id == job_id), "it was halted")
            new = [one for one in new if one.job_id != job_id]
        self._limits.admit(new)
        self._todo.answered(new, over=over, limit=flight.limit, handed_out=reply.jobs, waits=reply.waits)

    def _dropped(self, over: list[Assignment]) -> None:
        """These are over, and nobody will ever answer."""
        self._todo.answered(over=over)

    def _alive(self, reply: p.HeartbeatSeen, said: Said) -> None:
        """A sign of life was answered."""
        for assignment in self._assignments.lose(reply.lost):
            log.warning(
                "%r is over for the engine: its lease has ended, or it was given to another", assignment
            )
        for halted in reply.halted:
            self._halts.halt(halted)
        # Only now: before, a worker could have begun what is lost. An answer that was on its way may have brought more.
        uncounted = not self._assignments.all_among(said.holds)
        self._lease.renewed(said.asked, said.lease, uncounted=uncounted)
        self._todo.go_on()
        self._alarm.ring()

    # -- one step -------------------------------------------------------------------------------------------------

    def _step(self, now: float) -> None:
        """Send what is due, and see to it that the alarm rings when there is more to do."""
        self._give_back(self._demand.surplus(), "another task takes long on this runner")
        if self._todo.open and self._lease.over:
            self._heartbeat.hurry()
        look_at = self._limits.look(held=len(self._assignments))
        if self._error is None and (complaint := self._limits.complaint):
            self._error = complaint
            self.drain()
        # What is done stays where it is until it can be sent: fetching it would invite the workers to tell again.
        while not self._traffic.full:
            if self._alarm.now >= self._report_at:
                self._gather()
            held_up = self._todo.exact and self._todo.held_up
            if not self._traffic.depart(self._demand.wanted(self._traffic.asked()), held_up=held_up):
                break
        slow_at = now + SLOW * 1.05 if self._todo.waiting else math.inf
        for when in (self._report_at, self._farewell, self._deadline, look_at, slow_at):
            if when > now:
                self._alarm.ring_at(when)

    def _gather(self) -> None:
        """Fetch what is done."""
        self._report_at = math.inf
        micros = tasks = 0
        for assignment in self._workers.take_done():
            if assignment.lost:
                log.warning("the result of %r is dropped: the attempt was over before it ended", assignment)
                self._dropped([assignment])
            else:
                micros += assignment.stopped - assignment.started
                tasks += 1
                self._outbox.add(assignment)
        self._demand.measured(micros / 1e6, tasks)

    def _give_back(self, count: int, reason: str) -> None:
        if count > 0:
            self._outbox.give_back(self._todo.take_back(count), reason)
