"""The lines of a session to the engines of all partitions, as one.

Where there is one partition, there is one line, and no more is done than for one engine. Where there are several: all of
them have a request open while nothing is held. As soon as something is, they are asked in turn, each for what the session
wants beyond what it has just asked the others for.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from jobledger.core.errors import ServerUnavailable

from ... import protocol as p
from ...nats.names import Names
from ...nats.partitions import Partition, partition_of
from ..assignment import Assignment
from ..attempt.execution import release
from ..lease import Lease
from ..running.todo import Todo
from .alarm import Alarm
from .demand import Demand
from .line import Line
from .traffic import HELD_OPEN, Wants

log = logging.getLogger(__name__)

Make = Callable[[Names, Wants, Lease], Line]


class Lines:
    """None before `begin`. `lease` is kept to be that under which anything may be begun."""

    def __init__(self, make: Make, demand: Demand, todo: Todo, alarm: Alarm, lease: Lease) -> None:
        self._make = make
        self._demand = demand
        self._todo = todo
        self._alarm = alarm
        self._lease = lease
        self._lines: Sequence[Line] = ()  #: by the number of the partition
        self._turns: deque[Line] = deque()  #: the same, the next one to ask first
        self._draining = False

    def begin(self, parts: Sequence[Names]) -> None:
        """Have a line to each of these."""
        if len(parts) == 1:
            self._lines = [self._make(parts[0], self._demand, self._lease)]
        else:
            self._lines = [
                self._make(names, Portion(self, names.partition), _PartLease(self._join_leases))
                for names in parts
            ]
        self._turns.extend(self._lines)
        if self._draining:
            self.drain()

    async def stop(self) -> None:
        """Say and hear nothing more."""
        for line in self._lines:
            await line.stop()

    # -- how things stand -----------------------------------------------------------------------------------------

    @property
    def held(self) -> int:
        """How many assignments are held."""
        return sum([len(line.assignments.held) for line in self._lines])

    @property
    def error(self) -> Exception | None:
        """What goes wrong for good."""
        return next((line.traffic.error for line in self._lines if line.traffic.error is not None), None)

    @property
    def company(self) -> float:
        """How many seconds a demand should wait for company."""
        return self._demand.company

    @property
    def idle(self) -> bool:
        """Whether no answer is awaited."""
        return all(line.traffic.idle for line in self._lines)

    @property
    def nothing_ready(self) -> bool:
        """Whether nothing was held, and no engine had anything to hand out."""
        return bool(self._lines) and all(line.traffic.nothing_ready for line in self._lines)

    # -- what is to be said ---------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Claim nothing more."""
        self._draining = True
        for line in self._lines:
            line.traffic.draining = True

    def depart(self, now: float, gather: Callable[[], None], *, forever: bool) -> None:
        """Send what is due. `gather` is called before each exchange that can be sent: there may be more to report."""
        ends = len(self._lines) > 1 and not forever
        for line in tuple(self._turns):
            while not line.traffic.full and not (ends and self._awaits_others(line)):
                gather()
                if not line.traffic.depart(now):
                    break
        if len(self._lines) > 1:
            self._turns.rotate(-1)
            if not (forever or self.held):
                for line in self._lines:
                    line.traffic.look_again(now)

    def _awaits_others(self, line: Line) -> bool:
        """Whether this one has nothing to hand out, and the others have not all said so: asked again meanwhile, each by
        itself, they would never be silent all at once, and the run would not end."""
        return line.traffic.nothing_ready and not self.held and not self.idle

    def report(self, done: Sequence[Assignment]) -> None:
        """Have these, which have ended, reported."""
        for line, some in self._divided(done):
            line.outbox.add(*some)

    def give_back(self, assignments: Sequence[Assignment], reason: str) -> None:
        """Have these, which have not begun, reported as given back."""
        for line, some in self._divided(assignments):
            line.outbox.give_back(some, reason)

    def drop(self, assignment: Assignment) -> None:
        """This one is over, and nobody will ever answer."""
        self._of(assignment.job_id).dropped([assignment])

    def halt(self, halted: p.Halted) -> None:
        """Begin no more of this job, or of these tasks of it."""
        if self._lines:
            self._of(halted.job_id).halts.halt(halted)

    def prove_alive(self) -> None:
        """Give a sign of life wherever something is held under a lease that is over."""
        for line in self._lines:
            if line.assignments.held and line.lease.over:
                line.heartbeat.hurry()

    async def abandon(self, patience: float) -> None:
        """Report what is finished and give back the rest, within `patience` seconds."""
        await asyncio.gather(*(self._abandon(line, patience) for line in self._lines if line.assignments))

    async def _abandon(self, line: Line, patience: float) -> None:
        for assignment in line.assignments:
            if len(assignment.reports) != 1:
                release(assignment, "the runner was stopped while it ran this task")
        try:
            await line.traffic.farewell(patience)
        except ServerUnavailable as error:
            log.warning("%d tasks are not given back, their lease will end: %s", len(line.assignments), error)

    # -- which one ------------------------------------------------------------------------------------------------

    def _of(self, job_id: str) -> Line:
        lines = self._lines
        return lines[0] if len(lines) == 1 else lines[partition_of(job_id, len(lines))]

    def _divided(self, assignments: Sequence[Assignment]) -> Iterable[tuple[Line, Sequence[Assignment]]]:
        if len(self._lines) == 1:
            return [(self._lines[0], assignments)]
        divided: dict[Line, list[Assignment]] = {}
        for assignment in assignments:
            divided.setdefault(self._of(assignment.job_id), []).append(assignment)
        return divided.items()

    def _join_leases(self) -> None:
        """That lease counts which ends first, of those under which something is held."""
        untils = [line.lease.until for line in self._lines if line.assignments.held]
        if untils:
            self._lease.follow(min(untils))

    # -- what is wanted of one of several -------------------------------------------------------------------------

    def wanted_of(self, one: Partition, asked: int) -> int:
        """Return how many more tasks to ask this partition for, where it was asked for so many."""
        if self.held:
            now = self._alarm.now
            others = sum(line.traffic.asked(now) for line in self._lines if line.partition != one)
            if others:
                self._alarm.ring_at(now + HELD_OPEN)  # it is this one's turn, should they have nothing
                asked += others
        return self._demand.wanted(asked)

    def held_elsewhere(self, one: Partition) -> int:
        return self.held - len(self._lines[one.number].assignments.held)

    def held_up_in(self, one: Partition) -> bool:
        return self._demand.held_up and self._todo.held_up_in(one)


class Portion:
    """What is wanted of one of several partitions: as `Wants`."""

    def __init__(self, lines: Lines, partition: Partition) -> None:
        self._lines = lines
        self._partition = partition

    @property
    def held_up(self) -> bool:
        return self._lines.held_up_in(self._partition)

    @property
    def held_elsewhere(self) -> int:
        return self._lines.held_elsewhere(self._partition)

    @property
    def company(self) -> float:
        return self._lines.company

    def wanted(self, asked: int) -> int:
        return self._lines.wanted_of(self._partition, asked)


class _PartLease(Lease):
    """The lease for one of several partitions. `on_change` is called when it may have been renewed."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        super().__init__()
        self._on_change = on_change

    def renewed(self, asked: float, length: float, *, uncounted: bool) -> None:
        super().renewed(asked, length, uncounted=uncounted)
        self._on_change()

    def handed_out(self, asked: float, length: float) -> None:
        super().handed_out(asked, length)
        self._on_change()
