"""A runner: the product's session with everything it consists of, and a crew without threads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial

import msgspec

from jobledger.adapters import protocol as p
from jobledger.adapters.link import Link
from jobledger.adapters.nats.names import Names
from jobledger.adapters.runner.assignment import Assignment
from jobledger.adapters.runner.attempt.context import Equipment
from jobledger.adapters.runner.attempt.execution import execute_on_loop_as_span
from jobledger.adapters.runner.exchange.flight import Flight
from jobledger.adapters.runner.exchange.line import Line
from jobledger.adapters.runner.exchange.traffic import Wants
from jobledger.adapters.runner.lease import Lease
from jobledger.adapters.runner.registry import TaskRegistry
from jobledger.adapters.runner.session import Session
from jobledger.core import commands as c
from jobledger.core.errors import ServerAway

from .crew import SimCrew
from .invariants import Invariants
from .shapes import KINDS, Fates

_decode_report = msgspec.msgpack.Decoder(c.Report).decode
_LOOK = 0.5  # seconds between two looks for a server that is away when a run begins
GRACE = 1.0


class SimSession(Session):
    """A session that is watched."""

    def __init__(
        self,
        link: Link,
        equipment: Equipment,
        concurrency: int,
        invariants: Invariants,
        *,
        forever: bool,
        patience: float,
    ) -> None:
        self._invariants = invariants
        super().__init__(link, equipment, concurrency, forever=forever, grace=GRACE, patience=patience)

    def _crew(self, concurrency: int) -> SimCrew:
        work = partial(execute_on_loop_as_span, equipment=self._equipment)
        return SimCrew(concurrency, self._todo, work, self._begins)

    def _begins(self, assignment: Assignment) -> None:
        self._invariants.begins(self.runner_id, *assignment.key)

    def _line(self, names: Names, wants: Wants, lease: Lease) -> Line:
        line = super()._line(names, wants, lease)
        self._invariants.leased(self.runner_id, names.partition.number, lease)
        taken = line.traffic._answered

        def answered(flight: Flight, reply: p.Exchanged, over: list[Assignment]) -> None:
            self._invariants.handed_out(self.runner_id, reply.jobs)
            taken(flight, reply, over)

        line.traffic._answered = answered
        sent = line.outbox.answered

        def outbox_answered(
            reports: list[Assignment], refused: Iterable[p.RefusedReport] = ()
        ) -> list[Assignment]:
            refused = list(refused)
            self._invariants.reported([_decode_report(one.reports[0]) for one in reports], refused)
            return sent(reports, refused)

        line.outbox.answered = outbox_answered  # type: ignore[method-assign,assignment]
        return line


_registry: list[TaskRegistry] = []


def registry() -> TaskRegistry:
    """The task classes of all simulated runners: to look at each class takes time."""
    if not _registry:
        _registry.append(TaskRegistry(KINDS))
    return _registry[0]


async def opened(link: Link) -> Link:
    """Return the link once it is connected."""
    while True:
        try:
            await link.open()
        except ServerAway:
            await asyncio.sleep(_LOOK)
        else:
            return link


async def run_session(
    link: Link,
    fates: Fates,
    invariants: Invariants,
    *,
    concurrency: int,
    forever: bool,
    lasts: float,
) -> None:
    """Run tasks until nothing is ready, or `forever`: until it is told to stop, after so many seconds."""
    equipment = Equipment(
        registry(),
        cache=None,  # type: ignore[arg-type]  # no simulated task has anything to keep
        cluster="default",
        runner_context=fates,
        log_level=100,
        max_report=Flight.room(link.nc.max_payload),
    )
    session = SimSession(link, equipment, concurrency, invariants, forever=forever, patience=float("inf"))
    ending = asyncio.get_running_loop().call_later(lasts, session.drain)
    try:
        await session.run()
    finally:
        ending.cancel()
