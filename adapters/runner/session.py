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

from nats.aio.msg import Msg

from jobledger.core.errors import ServerUnavailable

from ..link import Link
from .alarm import Alarm
from .assignment import Assignment, Assignments
from .context import Equipment
from .execution import Coroutines, execute, release
from .heartbeat import Heartbeat
from .outbox import Outbox
from .pace import SLOW, Pace
from .traffic import Traffic
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
        self._assignments = Assignments()
        self._outbox = Outbox(self._assignments)
        self._workers = Workers(concurrency, self._execute)
        self._pace = Pace(concurrency)
        self._heartbeat = Heartbeat(link, self.runner_id, self._assignments)
        self._traffic = Traffic(
            link,
            equipment,
            self.runner_id,
            self._assignments,
            self._outbox,
            self._alarm,
            self._admit,
            self._ended,
            forever=forever,
            patience=patience,
        )
        self._report_at = math.inf  #: when to fetch what is done; these three by the loop's clock
        self._farewell = math.inf  #: when to end although an answer is missing, if nothing is held
        self._deadline = math.inf  #: when to end although something is held

    def _execute(self, assignment: Assignment, coroutines: Coroutines) -> None:
        execute(assignment, self._equipment, coroutines)

    # -- life -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run to the end.

        Errors: ServerUnavailable when nobody answered for as long as patience lasts; JobLedgerError when the engine
        does not take this runner's requests at all.
        """
        # A courtesy: what has begun, or does begin all the same, ends as any running task of a halted job does.
        end_listening = await self._link.listen(self._link.names.halted, self._told_of_halt)
        self._workers.start(asyncio.get_running_loop(), self._first_done, self._hurry)
        try:
            while not self._over(now := self._alarm.now):
                self._step(now)
                await self._alarm.wait()
            if self._traffic.error is not None:
                raise self._traffic.error
            if self._assignments:
                await self._abandon()
        finally:
            self._workers.stop()
            self._alarm.close()
            await self._traffic.stop()
            await self._heartbeat.stop()
            await end_listening()

    def drain(self) -> None:
        """Claim nothing more, give back what has not begun, and end when the rest is reported or the grace is over."""
        if not self._traffic.draining:
            self._traffic.draining = True
            now = self._alarm.now
            self._deadline, self._farewell = now + self._grace, now + _FAREWELL
            self._give_back(self._workers.waiting, "the runner is stopping")
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

    def _admit(self, assignments: list[Assignment], lease: float) -> None:
        """These were handed out."""
        self._heartbeat.ensure(lease)
        if not self._traffic.draining:
            self._workers.add(assignments)
            return
        self._release(assignments, "the runner is stopping")

    def _ended(self, over: list[Assignment], halted: list[str]) -> None:
        """The engine knows how these ended, and has named those of their jobs which are halted."""
        for job_id in halted:
            self._halt(job_id)
        for assignment in over:
            if assignment.failed:
                self._workers.resume(assignment)

    def _halt(self, job_id: str) -> None:
        """The job failed or was canceled: begin no more of it."""
        self._release(self._workers.take_back_job(job_id), "the job was halted")

    async def _told_of_halt(self, message: Msg) -> None:
        self._halt(message.data.decode())
        self._alarm.ring()

    # -- one step -------------------------------------------------------------------------------------------------

    def _step(self, now: float) -> None:
        """Send what is due, and see to it that the alarm rings when there is more to do."""
        self._watch_slow_tasks(now)
        # What is done stays where it is until it can be sent: fetching it would invite the workers to tell again.
        while not self._traffic.full:
            if self._alarm.now >= self._report_at:
                self._gather()
            if not self._traffic.depart(self._wanted()):
                break
        for when in (self._report_at, self._farewell, self._deadline):
            if when > now:
                self._alarm.ring_at(when)

    def _gather(self) -> None:
        """Fetch what is done."""
        self._report_at = math.inf
        micros = tasks = 0
        for assignment in self._workers.take_done():
            if assignment.lost:
                log.warning("the result of %r is dropped: the attempt was over before it ended", assignment)
                self._workers.resume(assignment)
            else:
                micros += assignment.stopped - assignment.started
                tasks += 1
                self._outbox.add(assignment)
        if tasks:
            self._pace.measured(micros / 1e6, tasks)
            self._workers.low = self._pace.target() // 4

    def _wanted(self) -> int:
        """Return how many more tasks it would be good to have."""
        workers = self._workers
        unfinished = workers.waiting + len(workers.running)
        return self._pace.target(workers.slow(SLOW)) - unfinished - self._traffic.asked()

    def _watch_slow_tasks(self, now: float) -> None:
        """Give back what waits behind a task that takes long: an idle runner may have it."""
        workers = self._workers
        waiting = workers.waiting
        slow = workers.slow(SLOW) if waiting else 0
        if slow:
            keep = (workers.size - slow) * self._pace.per_worker
            self._give_back(waiting - keep, "another task takes long on this runner")
        if workers.waiting:
            self._alarm.ring_at(now + SLOW * 1.05)

    def _give_back(self, count: int, reason: str) -> None:
        self._release(self._workers.take_back(count), reason)

    def _release(self, assignments: list[Assignment], reason: str) -> None:
        for assignment in assignments:
            if not assignment.lost:
                release(assignment, reason)
                self._outbox.add(assignment)
