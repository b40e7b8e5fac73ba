"""The exchanges with the engine: when one is due, what it says, and what its answer means.

Nothing claimed may get lost. An exchange that is asked again says what this runner holds, and the engine hands out
again whatever else it has noted for this runner. The next one says so once more: the engine may still have been busy
with the earlier copy when the repetition arrived.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable

from jobledger.core.errors import JobLedgerError

from .. import protocol as p
from ..link import Link
from .alarm import Alarm
from .assignment import Assignment, Assignments
from .context import Equipment
from .flight import Flight
from .outbox import Outbox
from .pace import MOST_ASKED

log = logging.getLogger(__name__)

LONG_POLL = 15.0  # seconds for which the engine may hold an exchange open
#: seconds a try may take beyond that: the engine answers late only while it waits for its disk
_ANSWER = 10.0
#: seconds a demand without reports waits for a report to go with it
_COMPANY = 0.005
#: An exchange not answered for so many seconds is being held open, and void as soon as a newer one arrives.
_HELD_OPEN = 0.02
#: exchanges on their way at a time: the engine writes one while the next is on its way
_MOST_FLIGHTS = 2
#: seconds between two requests the engine refuses to serve
_PAUSE = 1.0


class Traffic:
    """The exchanges of one session, up to two at a time.

    `answered` is called with every exchange, its answer, and the attempts that are over by it; `dropped` with those
    that are over because nothing can be said of them. What goes wrong for good is left in `error`. The alarm rings
    whenever an exchange has ended.
    """

    def __init__(
        self,
        link: Link,
        equipment: Equipment,
        runner_id: str,
        assignments: Assignments,
        outbox: Outbox,
        alarm: Alarm,
        answered: Callable[[Flight, p.Exchanged, list[Assignment]], None],
        dropped: Callable[[list[Assignment]], None],
        *,
        in_order: bool,
        forever: bool,
        patience: float,
    ) -> None:
        """`in_order`: tasks are asked for, and answers taken, in the order in which the tasks are to run."""
        self._link = link
        self._equipment = equipment
        self._subject = link.names.exchange(runner_id)
        self._assignments = assignments
        self._outbox = outbox
        self._alarm = alarm
        self._answered = answered
        self._dropped = dropped
        self._in_order = in_order
        self._forever = forever
        self._patience = patience
        self._flights: dict[Flight, asyncio.Task[None]] = {}
        self._recount = False  #: the next exchange is to say what is held
        self._ask_at = math.inf
        self._not_before = 0.0
        self._refused_since = math.inf
        self.draining = False  #: nothing more is to be claimed
        self.nothing_ready = False  #: nothing was held, and the engine had nothing to hand out
        self.error: Exception | None = None

    @property
    def idle(self) -> bool:
        return not self._flights

    @property
    def full(self) -> bool:
        return len(self._flights) >= _MOST_FLIGHTS

    def asked(self) -> int:
        """Return how many tasks have been asked for and may yet be handed out."""
        recent = self._alarm.now - _HELD_OPEN
        return sum(flight.limit for flight in self._flights if flight.sent > recent)

    def depart(self, wanted: int, *, held_up: bool) -> bool:
        """Send an exchange if one is due; return whether one was.

        It asks for `wanted` more tasks. `held_up`: something can only go on once it is answered.
        """
        reports = self._outbox.take()
        limit = 0 if self.draining else max(0, min(MOST_ASKED, wanted))
        if not reports and not self._may_ask(limit):
            return False
        self._ask_at = math.inf
        ending = sum(len(assignment.reports) == 1 for assignment in reports)
        others = len(self._assignments) - ending  # held besides what this exchange ends
        recount, self._recount = self._recount, False
        at_once = self.draining or recount or held_up or not (self._forever or others)
        flight = Flight(reports, limit, 0.0 if at_once else LONG_POLL)
        flight.alone = not others and self.idle
        flight.sent = self._alarm.now
        if recount:
            flight.recount(self._assignments)
        self.nothing_ready = False
        self._flights[flight] = asyncio.get_running_loop().create_task(self._fly(flight))
        return True

    async def farewell(self, patience: float) -> None:
        """Report whatever is held. Errors: ServerUnavailable after `patience` seconds without an answer."""
        payload = self._payload(Flight(list(self._assignments), 0, 0.0), 0)
        await self._link.ask(self._subject, payload, timeout=patience, patience=patience)

    async def stop(self) -> None:
        """Await no more answers."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _may_ask(self, limit: int) -> bool:
        """Whether to send an exchange without reports."""
        if self.draining:  # it ends one that is being held open
            return any(flight.wait for flight in self._flights) and all(f.limit for f in self._flights)
        now = self._alarm.now
        if now < self._not_before:
            self._alarm.ring_at(self._not_before)
            return False
        if self._recount:
            return True
        if not limit or any(flight.limit or flight.retried for flight in self._flights):
            return False
        if self._assignments and now < (at := min(self._ask_at, now + _COMPANY)):
            self._ask_at = at
            self._alarm.ring_at(at)
            return False
        return True

    async def _fly(self, flight: Flight) -> None:
        try:
            reply = await self._link.ask(
                self._subject,
                lambda tries: self._payload(flight, tries),
                timeout=flight.wait + _ANSWER,
                patience=self._patience,
            )
            if self._in_order:
                await self._older(flight)
            if isinstance(reply, p.Exchanged):
                self._taken(flight, reply)
            else:
                self._refused(flight, reply)
        except Exception as error:  # noqa: BLE001  raised by the session
            self.error = error
        finally:
            del self._flights[flight]
            self._recount = self._recount or flight.retried
            flight.end_recount(self._assignments)
            self._alarm.ring()

    async def _older(self, flight: Flight) -> None:
        """Wait for the answers to what was asked before."""
        older = list(self._flights.values())[: list(self._flights).index(flight)]
        if older:
            await asyncio.wait(older)

    def _payload(self, flight: Flight, tries: int) -> bytes:
        if tries:
            flight.retry(self._assignments)
        announced = self._equipment.tasks.announced
        return flight.request(self._equipment.cluster, announced, self._assignments, in_order=self._in_order)

    def _taken(self, flight: Flight, reply: p.Exchanged) -> None:
        self._refused_since = math.inf
        over = self._outbox.answered(flight.reports, reply.refused)
        self.nothing_ready = flight.alone and flight.limit > 0 and not reply.jobs
        self._answered(flight, reply, over)

    def _refused(self, flight: Flight, reply: p.Answer) -> None:
        """The engine took nothing. That is the end only where it would refuse for ever."""
        flight.retried = True  # it may have handed out something all the same
        if flight.reports and isinstance(reply, p.Refused):
            self._dropped(self._outbox.refused_together(flight.reports, reply.code, reply.message))
            return
        now = self._alarm.now
        self._refused_since = min(self._refused_since, now)
        lasting = not isinstance(reply, p.Refused) or reply.code == "invalid"
        if lasting or now - self._refused_since > self._patience:
            raise JobLedgerError(
                f"the engine does not serve this runner: {reply}. "
                "Check that both have the same version of jobledger, and see the engine's log"
            )
        log.error("the engine did not serve this runner, it is asked again: %s", reply)
        self._not_before = now + _PAUSE
