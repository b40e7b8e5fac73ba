"""What a runner has to do with the engine of one partition: claims and reports, signs of life, and what it is told.

A runner serves all partitions. It has one such line for each, and one set of workers for all of them. What it holds of a
partition, and the lease under which it does, are its line's own: the engines know nothing of each other.
"""

from __future__ import annotations

import logging

from ... import protocol as p
from ...link import Link
from ...nats.names import Names, Speaker
from ..assignment import Assignment, Assignments
from ..attempt.context import Equipment
from ..lease import Lease
from ..running.crew import Crew
from ..running.limits import Limits
from ..running.todo import Todo
from .alarm import Alarm
from .flight import Flight
from .halts import Halts
from .heartbeat import Heartbeat, Said
from .news import News
from .outbox import Outbox
from .traffic import LONG_POLL, Traffic, Wants

log = logging.getLogger(__name__)

#: seconds between two requests of a runner that has nothing to do, at least, whatever the number of partitions
_SELDOM = 5.0


class Line:
    """One of a session's. The todo, the crew and the limits are the session's, too."""

    def __init__(
        self,
        link: Link,
        names: Names,
        equipment: Equipment,
        speaker: Speaker,
        todo: Todo,
        crew: Crew,
        limits: Limits,
        alarm: Alarm,
        wants: Wants,
        lease: Lease,
        *,
        forever: bool,
        patience: float,
    ) -> None:
        who = (speaker.session, speaker.cluster, speaker.user)
        self.partition = names.partition
        self.lease = lease
        self.assignments = Assignments()
        self.outbox = Outbox(self.assignments)
        self.halts = Halts(
            todo, self.assignments, self.outbox, limits, on_news=alarm.ring, on_over=equipment.forget
        )
        self.heartbeat = Heartbeat(
            link, names.heartbeat(*who), self.assignments, News(crew, self.assignments), self._alive
        )
        self.traffic = Traffic(
            link,
            names.exchange(*who),
            equipment,
            self.assignments,
            self.outbox,
            wants,
            alarm,
            self._answered,
            self.dropped,
            in_order=todo.exact,
            forever=forever,
            patience=patience,
            long_poll=max(LONG_POLL, _SELDOM * self.partition.of),
        )
        self._todo = todo
        self._limits = limits
        self._alarm = alarm

    async def stop(self) -> None:
        """Say and hear nothing more."""
        self.traffic.stop()
        await self.heartbeat.stop()

    def dropped(self, over: list[Assignment]) -> None:
        """These are over, and nobody will ever answer."""
        self._todo.answered(over=over)

    def _answered(self, flight: Flight, reply: p.Exchanged, over: list[Assignment]) -> None:
        """An exchange was answered, and these are over by that."""
        uncounted = bool(self.assignments.held)
        new = self.assignments.admit(reply.jobs)
        if flight.recounts:  # what was handed out before comes in any order
            new.sort(key=lambda assignment: (assignment.job_id, assignment.order))
        self.lease.renewed(flight.asked, reply.lease, uncounted=uncounted)
        if new:
            self.lease.handed_out(flight.asked, reply.lease)
        self.heartbeat.ensure(reply.lease)
        if self.traffic.draining:
            self.outbox.give_back(new, "the runner is stopping")
            new = []
        for job_id in reply.halted:
            self.halts.halt(p.Halted(job_id))
            self.outbox.give_back((one for one in new if one.job_id == job_id), "it was halted")
            new = [one for one in new if one.job_id != job_id]
        self._limits.admit(new)
        self._todo.answered(
            new,
            over=over,
            limit=flight.limit,
            handed_out=reply.jobs,
            waits=reply.waits,
            partition=self.partition,
        )

    def _alive(self, reply: p.HeartbeatSeen, said: Said) -> None:
        """A sign of life was answered."""
        for assignment in self.assignments.lose(reply.lost):
            log.warning(
                "%r is over for the engine: its lease has ended, or it was given to another", assignment
            )
        for halted in reply.halted:
            self.halts.halt(halted)
        # Only now: before, a worker could have begun what is lost. An answer that was on its way may have brought more.
        uncounted = not self.assignments.all_among(said.holds)
        self.lease.renewed(said.asked, said.lease, uncounted=uncounted)
        self._todo.go_on()
        self._alarm.ring()
