"""A TCP connection between a process and the server: in order, with delays, and an end that either side may miss."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from .loop import VirtualLoop
from .process import Process
from .server import SimServer, Subscription

if TYPE_CHECKING:
    from .wire import SimWire


class Network:
    """How connections behave. What is public may be changed while a simulation runs."""

    def __init__(self, loop: VirtualLoop, server: SimServer, chance: random.Random) -> None:
        self.loop = loop
        self.server = server
        self.chance = chance
        self.latency = (0.00005, 0.0004)  #: seconds on the way at least, and what is drawn beyond that
        self.slow = 0.0  #: share of the flights that take a hundred times as long

    def delay(self) -> float:
        least, more = self.latency
        delay = least + more * self.chance.random()
        return delay * 100 if self.slow and self.chance.random() < self.slow else delay

    def connect(self, wire: SimWire, process: Process) -> Cable:
        """Errors: ConnectionRefusedError while there is no server."""
        if not self.server.up:
            raise ConnectionRefusedError("nobody listens there")
        return Cable(self, wire, process)


class Cable:
    """One connection. What was sent before it broke may have arrived, or not."""

    def __init__(self, network: Network, wire: SimWire, process: Process) -> None:
        self._network = network
        self._loop = network.loop
        self._wire = wire
        self.process = process
        self.subscriptions: dict[int, Subscription] = {}  #: as the server knows them
        self.down: list[tuple[Any, ...]] = []  #: what the server sends as its turn ends
        self._up_free = self._down_free = 0.0  # nothing arrives before what was sent before it
        self.broken = False  #: nothing arrives any more, in either direction
        #: as for `cut`: it breaks when the next message is to arrive, on either side, and takes that with it
        self.breaking: float | None = None
        network.server.attach(self)

    # -- messages -------------------------------------------------------------------------------------------------

    def send(self, commands: list[tuple[Any, ...]]) -> None:
        """Send what the process wrote in one turn."""
        self._up_free = max(self._up_free, self._loop.now + self._network.delay())
        self._loop.at(self._up_free, None, self._arrive, commands)

    def _arrive(self, commands: list[tuple[Any, ...]]) -> None:
        if self.breaking is not None:
            self.cut(unnoticed=self.breaking)
        if not self.broken:
            self._network.server.take(self, commands)

    def depart(self) -> None:
        """Send what the server has for the process."""
        messages, self.down = self.down, []
        self._down_free = max(self._down_free, self._loop.now + self._network.delay())
        self._loop.at(self._down_free, self.process, self._reach, messages)

    def _reach(self, messages: list[tuple[Any, ...]]) -> None:
        if self.breaking is not None:
            self.cut(unnoticed=self.breaking)
        if not self.broken:
            self._wire.arrived(self, messages)

    # -- trouble --------------------------------------------------------------------------------------------------

    def stall(self, until: float) -> None:
        """Let nothing that is sent from now on arrive before a time: packets are lost, and sent again."""
        self._up_free = max(self._up_free, until)
        self._down_free = max(self._down_free, until)

    def cut(self, *, unnoticed: float = 0.0) -> None:
        """Break the connection. Units: for so many seconds neither side sees it."""
        if self.broken:
            return
        self.broken = True
        server, delay = self._network.server, self._network.delay
        self._loop.at(
            self._loop.now + delay() + unnoticed * self._network.chance.random(), None, server.detach, self
        )
        self._loop.at(
            self._loop.now + delay() + unnoticed * self._network.chance.random(),
            self.process,
            self._wire.lost,
            self,
        )

    def abandoned(self) -> None:
        """The process has ended: what it has sent is on its way, unless the connection broke before."""
        if self.broken:
            return
        self._up_free = max(self._up_free, self._loop.now + self._network.delay())
        self._loop.at(self._up_free, None, self._network.server.detach, self)
