"""One run of everything, from a seed: engines, runners, clients and projectors, while things go wrong; then until all is done."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from random import Random
from typing import Any

from jobledger.adapters.engine.service import Engine
from jobledger.adapters.link import Link
from jobledger.adapters.nats.names import Names

from .client import Actor, Plan
from .crew import without_threads
from .engine import ENDPOINT, NAMESPACE, engine
from .faults import PROFILES, Faults, drawn_limits
from .invariants import Invariants, Listener
from .leaks import left_in, noted
from .outcome import Outcome, Trace
from .projector import MemoryStore, SimProjector, Stored, difference
from .runner import opened, run_session
from .shapes import Fates
from .streams import Stored as Message
from .streams import Stream
from .world import Node, World

#: virtual seconds in which everything has to be done once nothing goes wrong any more
PATIENCE = 120.0
#: virtual seconds in which things go wrong, unless everything is done before
TROUBLE = 5.0
#: steps that may happen at one moment of time
STEPS_AT_ONCE = 5000
#: steps of a whole run
MOST_STEPS = 60_000
LEASE = 2.0

_logger = logging.getLogger("jobledger")


class Scenario:
    """A run of one seed, by a profile: the one that is the seed's turn unless another is named."""

    def __init__(self, seed: int, profile: str = "", *, say: Callable[[str], None] | None = None) -> None:
        """`say` is called with a line for all that happens."""
        self.seed = seed
        self.profile = PROFILES[profile or list(PROFILES)[seed % len(PROFILES)]]
        self.world = World(seed)
        self.random = Random(f"{seed}/scenario")
        self._verbose = say is not None
        self.trace = Trace(lambda: self.world.now, say)
        self.world.on_note = self.trace
        self.invariants = Invariants(self.trace, partitions=self.profile.partitions)
        self.names = Names(NAMESPACE)
        self.log: list[Stored] = []
        self.store = _store()
        self.clients: list[Node] = []
        self.projectors: list[SimProjector] = []
        self.engines: list[Engine] = []  #: each partition that was served, each time
        self.faults = Faults(self.world, self.profile)

    def run(self) -> Outcome:
        with ExitStack() as stack:
            stack.enter_context(self.world)
            stack.enter_context(drawn_limits(self.seed))
            stack.enter_context(without_threads())
            stack.enter_context(noted(self.engines))
            listener = Listener(self.invariants, self.trace)
            stack.enter_context(_heard(listener, everything=self._verbose))
            self._populate()
            self._live()
            self.invariants.over = True
            return self._outcome()

    def _populate(self) -> None:
        world, random = self.world, self.random
        world.server.on_stored = self._stored
        self.plan = Plan(random, random.choice((1, 2, 2, 3)), NAMESPACE)
        self.fates = Fates(
            self.seed, failing=random.choice((0.0, 0.1, 0.3)), longest=random.choice((0.3, 0.3, 2.5))
        )
        for number in range(self.profile.engines):
            engine(
                world,
                f"engine-{number}",
                lease=LEASE,
                partitions=self.profile.partitions,
                replicas=self.profile.replicas,
            )
        for number in range(random.choice((1, 2, 2))):
            self._runner(f"runner-{number}")
        for number in range(random.choice((1, 1, 2))):
            self._client(f"client-{number}")
        for number in range(random.choice((0, 1, 2))):
            self._projector(f"projector-{number}")
        for node in world.nodes.values():
            node.start()

    def _node(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> Node:
        async def watched() -> None:
            try:
                await work()
            except Exception as error:  # noqa: BLE001
                self.invariants.broken("no process ends by an error", f"{name}: {error!r}")

        return self.world.node(name, watched)

    def _runner(self, name: str) -> None:
        random = Random(f"{self.seed}/{name}")
        concurrency, forever = random.choice((1, 1, 3)), random.random() < 0.8

        async def work() -> None:
            link = await opened(Link(lambda: ENDPOINT, self.names, name))
            while True:
                lasts = random.choice((1.0, 1000.0, 1000.0))
                await run_session(
                    link, self.fates, self.invariants, concurrency=concurrency, forever=forever, lasts=lasts
                )
                await asyncio.sleep(random.choice((0.1, 0.5)))

        self._node(name, work)

    def _client(self, name: str) -> None:
        random = Random(f"{self.seed}/{name}")
        node = self._node(
            name, lambda: Actor(lambda: ENDPOINT, self.names, self.invariants, random, self.plan).run()
        )
        self.clients.append(node)

    def _projector(self, name: str) -> None:
        random = Random(f"{self.seed}/{name}")
        self.projectors.append(SimProjector(self.log, self.store, random, killing=0.1))
        self._node(name, self.projectors[-1].run)

    # -- what is seen ---------------------------------------------------------------------------------------------

    def _stored(self, stream: Stream, message: Message) -> None:
        if stream.name == self.names.log_stream:
            job_id = message.subject.rpartition(".")[2]
            self.log.append(Stored(message.seq, job_id, message.payload))
            self.invariants.stored(job_id, message.seq, message.payload)

    def _live(self) -> None:
        world, loop, invariants, plan = self.world, self.world.loop, self.invariants, self.plan
        loop.failed = self._failed
        looked_at, looked_step = -1.0, 0

        def over() -> bool:
            nonlocal looked_at, looked_step
            if loop.steps > looked_step + STEPS_AT_ONCE:
                if loop.now == looked_at:
                    invariants.broken("nobody spins", f"{STEPS_AT_ONCE} steps, and no time has passed")
                looked_at, looked_step = loop.now, loop.steps
            if loop.steps > MOST_STEPS:
                invariants.broken("nobody spins", f"{MOST_STEPS} steps in {loop.now:g} seconds")
            if invariants.violation is not None:
                return True
            return plan.over and invariants.settled() and not any(node.running for node in self.clients)

        self.faults.begin()
        world.run(over, seconds=TROUBLE)
        self.faults.stop()
        if not world.run(over, seconds=PATIENCE):
            self.invariants.broken("everything gets done", self._unfinished())
        if self.invariants.violation is None:
            self.invariants.finish()
            self._check_views()
            if not self.seed % 4:  # it takes time
                self._check_memory()

    def _failed(self, context: dict[str, Any]) -> None:
        who = self.world.loop.current
        self.invariants.broken(
            "nothing fails uncaught", f"{who}: {context['message']}: {context.get('exception')!r}"
        )

    def _check_memory(self) -> None:
        self.world.run(lambda: False, seconds=1.5 * LEASE)
        for left in filter(None, map(left_in, self.engines)):
            self.invariants.broken("nothing is left in memory", left)

    def _check_views(self) -> None:
        for projector in self.projectors[:1]:
            with self.world.loop.acting_as(None):
                projector.catch_up()
            if found := difference(self.log, self.store):
                self.invariants.broken("views are folds of the log", found)

    def _unfinished(self) -> str:
        books = self.invariants.log.books
        jobs = [f"{job_id}: {book.job.counts}" for job_id, book in books.items() if not book.job.settled]
        return f"{len(self.plan.unbegun)} not submitted, {len(self.plan.open)} open; unsettled: {jobs}"

    def _outcome(self) -> Outcome:
        violation = self.invariants.violation
        return Outcome(
            self.seed,
            self.profile.name,
            str(violation) if violation is not None else "",
            self.trace.digest,
            self.world.now,
            len(self.log),
            self.invariants.acknowledged,
            self.trace.last,
        )


_stores: list[MemoryStore] = []


def _store() -> MemoryStore:
    if not _stores:
        _stores.append(MemoryStore())
    else:
        _stores[0].reset()
    return _stores[0]


@contextmanager
def _heard(listener: Listener, *, everything: bool) -> Iterator[None]:
    """Have somebody else hear what the product logs: its errors, or everything."""
    level, propagate = _logger.level, _logger.propagate
    _logger.addHandler(listener)
    _logger.setLevel(logging.INFO if everything else logging.ERROR)
    _logger.propagate = False
    try:
        yield
    finally:
        _logger.removeHandler(listener)
        _logger.setLevel(level)
        _logger.propagate = propagate
