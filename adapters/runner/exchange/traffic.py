"""The exchanges with the engine: when one is due, what it says, and what its answer means.

Nothing claimed may get lost. An exchange that is asked again says what this runner holds, and the engine hands out
again whatever else it has noted for this runner. The next one says so once more: the engine may still have been busy
with the earlier copy when the repetition arrived.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Protocol

from jobledger.core.errors import JobLedgerError

from ... import protocol as p
from ...link import Link
from ..assignment import Assignment, Assignments
from ..attempt.context import Equipment
from .alarm import Alarm
from .flight import Flight
from .outbox import Outbox, staged
from .pace import MOST_ASKED

log = logging.getLogger(__name__)

LONG_POLL = 15.0  # seconds for which the engine may hold an exchange open
#: seconds a try may take beyond that: the engine answers late only while it waits for its disk
_ANSWER = 10.0
#: An exchange not answered for so many seconds is being held open, and void as soon as a newer one arrives.
HELD_OPEN = 0.02
#: exchanges on their way at a time: the engine writes one while the next is on its way
_MOST_FLIGHTS = 2
#: seconds between two requests the engine refuses to serve
_PAUSE = 1.0
#: Two answers within so many seconds were decided together: what the reports made ready was what the demand got.
_TOGETHER = 0.0002


class Wants(Protocol):
    """What is wanted of the engine to which exchanges go."""

    @property
    def held_up(self) -> bool:
        """Whether something can only go on once an exchange is answered."""

    @property
    def held_elsewhere(self) -> int:
        """How much of other engines the runner holds."""

    @property
    def company(self) -> float:
        """How many seconds a demand without reports should wait for a report to go with it."""

    def wanted(self, asked: int) -> int:
        """Return how many more tasks it would be good to have, where `asked` may be on their way."""


class Traffic:
    """The exchanges of a session with one engine, up to two at a time.

    `answered` is called with every exchange, its answer, and the attempts that are over by it; `dropped` with those
    that are over because nothing can be said of them. What goes wrong for good is left in `error`. The alarm rings
    whenever an exchange has ended.
    """

    def __init__(
        self,
        link: Link,
        subject: str,
        equipment: Equipment,
        assignments: Assignments,
        outbox: Outbox,
        wants: Wants,
        alarm: Alarm,
        answered: Callable[[Flight, p.Exchanged, list[Assignment]], None],
        dropped: Callable[[list[Assignment]], None],
        *,
        in_order: bool,
        forever: bool,
        patience: float,
        long_poll: float,
    ) -> None:
        """`in_order`: tasks are asked for, and answers taken, in the order in which the tasks are to run."""
        self._link = link
        self._equipment = equipment
        self._subject = subject
        self._assignments = assignments
        self._outbox = outbox
        self._wants = wants
        self._alarm = alarm
        self._answered = answered
        self._dropped = dropped
        self._in_order = in_order
        self._forever = forever
        self._patience = patience
        self._long_poll = long_poll
        #: what is on its way, in order, with what breaks it off
        self._flights: dict[Flight, Callable[[], None]] = {}
        self._reported_at = -math.inf  #: when reports were last answered
        self._quiet = False  #: the last reports left nothing to be handed out
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

    def depart(self, now: float) -> bool:
        """Send an exchange if one is due; return whether one was. `now` is by the loop's clock."""
        reports = self._outbox.take()
        if not reports and not self._may_go_empty():
            return False
        limit = 0 if self.draining else max(0, min(MOST_ASKED, self._wants.wanted(self.asked(now))))
        if not reports and not self._may_ask(limit, now):
            return False
        self._ask_at = math.inf
        # held besides what this exchange ends
        others = (
            len(self._assignments.held) - len(reports) + len(staged(reports)) + self._wants.held_elsewhere
        )
        recount, self._recount = self._recount, False
        at_once = self.draining or recount or self._wants.held_up or not (self._forever or others)
        if reports and limit and self._quiet and self._forever and not (at_once or recount):
            # Nothing is likely to be ready. The demand goes beside the reports and stays open: one that came after their
            # answer would cost both sides a turn, and miss the job that was submitted because this one is over.
            self._send(Flight(reports, 0, 0.0), now)
            reports = []
        flight = Flight(reports, limit, 0.0 if at_once else self._long_poll)
        flight.alone = not others and self.idle
        if recount:
            flight.recount(self._assignments)
        self._send(flight, now)
        return True

    def look_again(self, now: float) -> None:
        """Nothing is held, here or elsewhere: have an exchange that is held open answered by one that is not."""
        if len(self._flights) == 1 and all(flight.wait for flight in self._flights):
            flight = Flight([], max(1, self._wants.wanted(0)), 0.0)
            flight.alone = True
            self._send(flight, now)

    def _send(self, flight: Flight, now: float) -> None:
        flight.sent = now
        self.nothing_ready = False
        self._flights[flight] = self._link.put(
            self._subject,
            partial(self._payload, flight),
            partial(self._landed, flight),
            timeout=flight.wait + _ANSWER,
            patience=self._patience,
        )

    async def farewell(self, patience: float) -> None:
        """Report whatever is held. Errors: ServerUnavailable after `patience` seconds without an answer."""
        payload = self._payload(Flight(list(self._assignments), 0, 0.0), 0)
        await self._link.ask(self._subject, payload, timeout=patience, patience=patience)

    def stop(self) -> None:
        """Take no more answers."""
        flights, self._flights = self._flights, {}
        for break_off in flights.values():
            break_off()

    def asked(self, now: float) -> int:
        """Return how many tasks have been asked for and may yet be handed out."""
        asked, recent = 0, now - HELD_OPEN
        for flight in self._flights:
            if flight.sent > recent:
                asked += flight.limit
        return asked

    def _may_go_empty(self) -> bool:
        """Whether an exchange without reports can be due at all: mostly not, so this looks before anything is counted."""
        flights = self._flights
        if self.draining:  # it ends one that is being held open
            return any(flight.wait for flight in flights) and all(flight.limit for flight in flights)
        if not self._recount:
            for flight in flights:
                if flight.limit or flight.retried:
                    return False
        return True

    def _may_ask(self, limit: int, now: float) -> bool:
        """Whether to send an exchange without reports that asks for so many tasks."""
        if self.draining:
            return True
        if now < self._not_before:
            self._alarm.ring_at(self._not_before)
            return False
        if self._recount:
            return True
        if not limit:
            return False
        if self._assignments.held and now < (at := min(self._ask_at, now + self._wants.company)):
            self._ask_at = at
            self._alarm.ring_at(at)
            return False
        return True

    def _landed(self, flight: Flight, answer: p.Answer | Exception) -> None:
        """This was answered. In order, answers to what was asked later wait for it."""
        if flight not in self._flights:  # nobody waits for it any more
            return
        flight.answer = answer
        if not self._in_order:
            self._take(flight, answer)
        else:
            for oldest in list(self._flights):
                if oldest.answer is None:
                    break
                self._take(oldest, oldest.answer)
        self._alarm.ring()

    def _take(self, flight: Flight, answer: p.Answer | Exception) -> None:
        try:
            if isinstance(answer, p.Exchanged):
                self._taken(flight, answer)
            elif isinstance(answer, Exception):
                self.error = answer
            else:
                self._refused(flight, answer)
        except Exception as error:  # noqa: BLE001  raised by the session
            self.error = error
        finally:
            del self._flights[flight]
            self._recount = self._recount or flight.retried
            flight.end_recount(self._assignments)

    def _payload(self, flight: Flight, tries: int) -> bytes:
        if tries:
            flight.retry(self._assignments)
        announced = self._equipment.tasks.announced
        return flight.request(self._equipment.cluster, announced, self._assignments, in_order=self._in_order)

    def _taken(self, flight: Flight, reply: p.Exchanged) -> None:
        self._refused_since = math.inf
        self._note(flight, found=bool(reply.jobs))
        over = self._outbox.answered(flight.reports, reply.refused)
        self.nothing_ready = flight.alone and flight.limit > 0 and not reply.jobs
        self._answered(flight, reply, over)

    def _note(self, flight: Flight, *, found: bool) -> None:
        """Learn whether what this runner reports leaves it with something to do."""
        if flight.reports:
            self._reported_at = self._alarm.now
            if flight.limit:
                self._quiet = not found
        elif found and self._alarm.now - self._reported_at < _TOGETHER:
            self._quiet = False

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
