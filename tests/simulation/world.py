"""The world of a simulation: one server, some nodes on it, and time that passes only when something happens."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import random
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Self

from jobledger.adapters.nats import connection

from .cable import Network
from .clocks import Clock, Machine, installed
from .loop import VirtualLoop
from .process import Process
from .server import SimServer
from .wire import SimWire

#: begins what a node runs, in a new process
Start = Callable[[], Coroutine[Any, Any, object]]


class Node:
    """A machine that runs one process at a time: from `start` until it is killed, or its work has ended."""

    def __init__(self, world: World, name: str, start: Start) -> None:
        self._world = world
        self._start = start
        self.name = name
        self.process = Process(name)
        self.process.dead = True
        self.starts = 0
        self.work: asyncio.Task[object] | None = None
        self.clock = Clock(world.loop)

    @property
    def running(self) -> bool:
        """Whether it was begun, and has neither been killed nor ended by itself."""
        return not self.process.dead and self.work is not None and not self.work.done()

    @property
    def suspended(self) -> bool:
        return self.process.suspended

    def start(self) -> None:
        """Begin, if it does not run."""
        if self.running:
            return
        self.kill()
        self.starts += 1
        process = self.process = Process(self.name)
        self._world.processes.append(process)
        with self._world.loop.acting_as(process):
            self.work = self._world.loop.create_task(self._run())
        self._world.note("start", self.name)

    async def _run(self) -> None:
        try:
            await self._start()
        except Exception as error:
            self._world.loop.failed({"message": f"the process of {self.name} ended", "exception": error})
            raise

    def kill(self) -> None:
        """As kill -9: whatever it was about to do is not done."""
        if not self.process.dead:
            self.process.dead = True
            self.process.parked.clear()
            for wire in self._world.wires_of(self.process):
                wire.killed()
            self._world.note("kill", self.name)

    def lose_power(self, unnoticed: float) -> None:
        """As `kill`, and what it sent last is lost. Units: the server notices within so many seconds."""
        for wire in self._world.wires_of(self.process):
            wire.cut(unnoticed)
        self.kill()

    def suspend(self) -> None:
        """As SIGSTOP: what is sent to it waits."""
        if self.running and not self.suspended:
            self.process.suspended = True
            self._world.note("suspend", self.name)

    def suspend_in_write(self, happen: Callable[[], object]) -> None:
        """As `suspend`, but in the moment in which it sends next: what it sends leaves when it goes on."""
        if self.running:
            process = self.process

            def stopped() -> None:
                self._world.note("suspend in a write", self.name)
                happen()

            process.before_write = stopped

    def resume(self) -> None:
        """As SIGCONT: it believes that no time has passed, but for what its clocks say."""
        if self.suspended:
            self._world.note("resume", self.name)
            for wire in self._world.wires_of(self.process):
                wire.resumed()
            self._world.loop.resume(self.process)

    def after(self, steps: int, happen: Callable[[], object]) -> None:
        """Have something happen before the step of the process that comes after so many."""
        self.process.fuse = self.process.steps + max(1, steps)
        self.process.blown = happen

    def spare(self) -> None:
        """Have nothing of that happen."""
        self.process.fuse = 0
        self.process.before_write = None


@contextlib.contextmanager
def _garbage_kept() -> Iterator[None]:
    """Collect garbage when the world is over: what is closed by that must not depend on when it is. 1/6 of the time, too."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.collect(0)  # what is older is of other worlds
        if enabled:
            gc.enable()


class World:
    """Everything there is. To be used within `with`: time and chance are its own then."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.loop = VirtualLoop()  # type: ignore[abstract]  # of a loop, what the product uses
        self.machine = Machine(self.loop, seed)
        self.chance = random.Random(f"{seed}/world")
        self.server = SimServer(self.loop, random.Random(f"{seed}/server"), Clock(self.loop))
        self.network = Network(self.loop, self.server, random.Random(f"{seed}/network"))
        self.nodes: dict[str, Node] = {}
        self.processes: list[Process] = []
        self.wires: list[SimWire] = []
        #: what was done to nodes, network and server, and when
        self.happened: list[tuple[float, str, str]] = []
        self.on_note: Callable[[str, str], object] = lambda what, about: None
        self.failures: list[str] = []  #: what nobody caught
        self.loop.failed = self._failed
        self._numbers = itertools.count()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(_garbage_kept())
        self._stack.enter_context(installed(self.machine))
        self._stack.enter_context(self._connections())
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self.loop.close_with(self.processes)
        finally:
            self._stack.close()

    @contextlib.contextmanager
    def _connections(self) -> Iterator[None]:
        before, connection._Connection = connection._Connection, self._new_wire  # type: ignore[misc, assignment]
        try:
            yield
        finally:
            connection._Connection = before  # type: ignore[misc]

    def _new_wire(self) -> SimWire:
        wire = SimWire(self.network, next(self._numbers))
        self.wires.append(wire)
        return wire

    def wires_of(self, process: Process) -> list[SimWire]:
        return [wire for wire in self.wires if wire.process is process]

    # -- nodes ----------------------------------------------------------------------------------------------------

    def node(self, name: str, start: Start) -> Node:
        """Add a node. It does not run yet."""
        node = self.nodes[name] = Node(self, name, start)
        self.machine.clocks[name] = node.clock
        return node

    def note(self, what: str, about: str = "") -> None:
        self.happened.append((self.loop.now, what, about))
        self.on_note(what, about)

    def _failed(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.failures.append(f"{self.loop.current}: {context['message']}: {error!r}")

    # -- time -----------------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Seconds since the world began."""
        return self.loop.now

    def run(self, until: Callable[[], bool], *, seconds: float) -> bool:
        """Let time pass until something is so, asked after every step; return whether it came to be in so many seconds."""
        return self.loop.run_until(until, self.loop.now + seconds)

    def at(self, when: float, happen: Callable[[], object]) -> None:
        """Have something happen at a time."""
        self.loop.at(when, None, happen)
