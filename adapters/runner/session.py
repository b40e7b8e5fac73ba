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
from functools import partial
from typing import Any
from uuid import uuid4

from ..link import Link
from ..nats.names import Names, Speaker
from .attempt.context import Equipment
from .attempt.execution import execute_as_span, execute_on_loop_as_span
from .exchange.alarm import Alarm
from .exchange.demand import Demand
from .exchange.halts import listen
from .exchange.line import Line
from .exchange.lines import Lines
from .exchange.pace import SLOW
from .exchange.traffic import Wants
from .lease import Lease
from .running.crew import Crew
from .running.limits import Limits
from .running.seats import Seats
from .running.todo import Todo
from .running.workers import Workers

log = logging.getLogger(__name__)

#: seconds a runner that holds nothing, or was told twice to stop, waits for a last answer
_FAREWELL = 2.0
#: seconds for threads without a task to end
_JOIN = 5.0


class Session:
    """Claims, runs and reports until told to stop or, unless `forever`, until nothing is ready.

    Units:  `grace` is how many seconds running tasks have to finish once it is told to stop, `patience` how many to
            go on without an answer from the engine.
    Shape:  `speaker` is who speaks, where that is known before; None for a new session of this user.
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
        speaker: Speaker | None = None,
    ) -> None:
        self._speaker = speaker or Speaker(equipment.cluster, link.user, uuid4().hex)
        self.runner_id = self._speaker.runner
        self._link = link
        self._equipment = equipment
        self._forever = forever
        self._grace = grace
        self._alarm = Alarm(self._look)
        self._ended: asyncio.Future[None] | None = None  #: while it runs
        self._patience = patience
        self._lease = Lease()
        self._todo = Todo(self._lease, exact=concurrency == 1, on_stale=lambda: self._workers.hurry())
        self._workers = self._crew(concurrency)
        self._demand = Demand(self._todo, self._workers)
        self._limits = Limits(self._workers)
        self._lines = Lines(self._line, self._demand, self._todo, self._alarm, self._lease)
        self._draining = False
        self._error: Exception | None = None  #: raised once everything is given back
        self._report_at = math.inf  #: when to fetch what is done; these three by the loop's clock
        self._farewell = math.inf  #: when to end although an answer is missing, if nothing is held
        self._deadline = math.inf  #: when to end although something is held

    def _crew(self, concurrency: int) -> Crew:
        equipment = self._equipment
        work = partial(execute_as_span, equipment=equipment)
        if not equipment.in_processes and not equipment.tasks.coroutines:
            return Workers(concurrency, self._todo, work)
        if not equipment.in_processes:
            work_on_loop = partial(execute_on_loop_as_span, equipment=equipment)
            return Seats(concurrency, self._todo, work, equipment.tasks.is_coroutine, work_on_loop)
        from .processes.pool import ProcessWorkers

        return ProcessWorkers(concurrency, self._todo, self._equipment, self._lease)

    def _line(self, names: Names, wants: Wants, lease: Lease) -> Line:
        return Line(
            self._link,
            names,
            self._equipment,
            self._speaker,
            self._todo,
            self._workers,
            self._limits,
            self._alarm,
            wants,
            lease,
            forever=self._forever,
            patience=self._patience,
        )

    # -- life -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run to the end.

        Errors: ServerUnavailable when nobody answered for as long as patience lasts; JobLedgerError when the engine
        does not take this runner's requests at all.
        """
        end_listening = await listen(self._link, self._equipment.cluster, self._lines.halt)
        self._equipment.telemetry.start(self._link, self.runner_id)
        self._workers.start(asyncio.get_running_loop(), self._first_done, self._hurry)
        self._ended = asyncio.get_running_loop().create_future()
        try:
            await self._begin(self._ended)
            await self._ended
            if self._lines.error is not None:
                raise self._lines.error
            if self._lines.held:
                self._workers.abandon()
                await self._lines.abandon(_FAREWELL)
            if self._error is not None:
                raise self._error
        finally:
            self._todo.close()
            self._alarm.close()
            await self._lines.stop()
            await end_listening()
            await self._equipment.telemetry.stop()

    async def _begin(self, ended: asyncio.Future[None]) -> None:
        """Begin to ask all partitions, once the server says how many there are. Errors: as `run`."""
        asking = asyncio.ensure_future(self._link.work(lambda _: self._link.parts(), patience=self._patience))
        waiting: set[asyncio.Future[Any]] = {asking, ended}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if asking.done():
            self._lines.begin(asking.result())
            self._alarm.ring()
        else:  # told to stop before that is known
            asking.cancel()

    def drain(self) -> None:
        """Claim nothing more, give back what has not begun, and end when the rest is reported or the grace is over."""
        if not self._draining:
            self._draining = True
            self._lines.drain()
            now = self._alarm.now
            self._deadline, self._farewell = now + self._grace, now + _FAREWELL
            self._give_back(self._lines.held, "the runner is stopping")
            self._report_at = 0.0
            self._alarm.ring()

    def abort(self) -> None:
        """Give back everything, the running tasks too, and end at once."""
        self.drain()
        self._deadline = self._alarm.now
        self._alarm.ring()

    def join(self) -> None:
        """Wait for the threads to end; not on the event loop's. One whose task goes on is left to itself."""
        self._workers.abandon()
        self._workers.join(timeout=0.0 if self._workers.running else _JOIN)

    def _over(self, now: float) -> bool:
        lines = self._lines
        if lines.error is not None or now >= self._deadline:
            return True
        if lines.held:
            return False
        if not lines.idle:
            return now >= self._farewell
        return self._draining or (lines.nothing_ready and not self._forever)

    # -- what happens ---------------------------------------------------------------------------------------------

    def _first_done(self) -> None:
        """There is a finished task, and more to do: others will soon follow it."""
        self._report_at = min(self._report_at, self._alarm.now + self._demand.company)
        self._alarm.ring_at(self._report_at)

    def _hurry(self) -> None:
        """There is enough to report, or little left to do."""
        self._report_at = 0.0
        self._alarm.ring_now()

    # -- one step -------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Something happened, or is due: end, or go one step on."""
        if self._ended is None or self._ended.done():
            return
        try:
            now = self._alarm.now
            if self._over(now):
                self._ended.set_result(None)
            else:
                self._step(now)
        except Exception as error:  # noqa: BLE001  raised by `run`
            self._ended.set_exception(error)

    def _step(self, now: float) -> None:
        """Send what is due, and see to it that the alarm rings when there is more to do."""
        lines = self._lines
        if waiting := self._todo.waiting:
            if self._draining:
                self._give_back(waiting, "the runner is stopping")  # that a worker had not begun after all
            self._give_back(self._demand.surplus(), "another task takes long on this runner")
            if self._todo.open and self._lease.over:
                lines.prove_alive()
        look_at = self._limits.look(held=bool(lines.held))
        if self._error is None and (complaint := self._workers.problem):
            self._error = complaint
            self.drain()

        def gather() -> None:
            if now >= self._report_at:
                self._gather()

        # What is done stays where it is until it can be sent: fetching it would invite the workers to tell again.
        lines.depart(now, gather, forever=self._forever)
        slow_at = now + SLOW * 1.05 if self._todo.waiting else math.inf
        for when in (self._report_at, self._farewell, self._deadline, look_at, slow_at):
            if now < when < math.inf:
                self._alarm.ring_at(when)

    def _gather(self) -> None:
        """Fetch what is done."""
        self._report_at = math.inf
        done = self._workers.take_done()
        for assignment in [one for one in done if one.lost]:
            log.warning("the result of %r is dropped: the attempt was over before it ended", assignment)
            done.remove(assignment)
            self._lines.drop(assignment)
        self._lines.report(done)
        self._demand.measured(sum([one.stopped - one.started for one in done]) / 1e6, len(done))

    def _give_back(self, count: int, reason: str) -> None:
        if count > 0:
            self._lines.give_back(self._todo.take_back(count), reason)
