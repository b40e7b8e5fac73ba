"""A nats-server: connections, who listens to what, and JetStream behind that. It may crash at any moment."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from .clocks import Clock
from .jetstream import JetStream
from .loop import VirtualLoop
from .subjects import Interest

if TYPE_CHECKING:
    from .cable import Cable

MAX_PAYLOAD = 1024 * 1024


class Subscription:
    """One of a connection."""

    __slots__ = ("cable", "pattern", "sid")

    def __init__(self, cable: Cable, sid: int, pattern: str) -> None:
        self.cable = cable
        self.sid = sid
        self.pattern = pattern


class SimServer(JetStream):
    """A crash leaves what was acknowledged, and of what was only on its way into a stream as much as the seed says."""

    def __init__(self, loop: VirtualLoop, chance: random.Random, clock: Clock) -> None:
        super().__init__(loop, chance, clock)
        self.up = True
        self.cables: list[Cable] = []
        self.lossy = 0.0  #: share of the requests and answers that a route between two servers loses
        self._interest = Interest()
        self._touched: list[Cable] = []

    # -- connections ----------------------------------------------------------------------------------------------

    def attach(self, cable: Cable) -> None:
        self.cables.append(cable)

    def detach(self, cable: Cable) -> None:
        """The connection is gone, and the server knows."""
        if cable in self.cables:
            self.cables.remove(cable)
        for subscription in cable.subscriptions.values():
            self._interest.remove(subscription.pattern, subscription)
        cable.subscriptions.clear()

    def take(self, cable: Cable, commands: list[tuple[Any, ...]]) -> None:
        """Do what came over a connection."""
        for command in commands:
            verb = command[0]
            if verb == "PUB":
                self._publish(cable, *command[1:])
            elif verb == "PING":
                self._send(cable, ("PONG",))
            elif verb == "SUB":
                _, sid, pattern, _ = command
                subscription = cable.subscriptions[sid] = Subscription(cable, sid, pattern)
                self._interest.add(pattern, subscription)
            elif verb == "UNSUB" and command[1] in cable.subscriptions:
                subscription = cable.subscriptions.pop(command[1])
                self._interest.remove(subscription.pattern, subscription)
        self._depart()

    # -- messages -------------------------------------------------------------------------------------------------

    def _publish(self, cable: Cable, subject: str, reply: str, headers: bytes, payload: bytes) -> None:
        taken = False
        if subject.startswith("$JS."):
            taken = self._ask(subject, reply, payload)
        else:
            for stream in self._captures.find(subject):
                self._enqueue(stream, cable, subject, reply, headers, payload)
                taken = True
        if self.lossy and reply and not taken and self._chance.random() < self.lossy:
            return
        if not self._route(subject, subject, reply, headers, payload) and not taken and reply:
            bounced = f"NATS/1.0 503\r\nNats-Subject: {subject}\r\n\r\n".encode()
            for subscription in self._interest.find(reply):
                if subscription.cable is cable:
                    self._send(cable, (subscription.sid, reply, "", bounced, b""))

    def _route(self, to: str, subject: str, reply: str, headers: bytes, payload: bytes) -> bool:
        found = self._interest.find(to)
        for subscription in found:
            self._send(subscription.cable, (subscription.sid, subject, reply, headers, payload))
        return bool(found)

    def _send(self, cable: Cable, message: tuple[Any, ...]) -> None:
        if not cable.down:
            self._touched.append(cable)
        cable.down.append(message)

    def _depart(self) -> None:
        touched, self._touched = self._touched, []
        for cable in touched:
            cable.depart()

    # -- dying ----------------------------------------------------------------------------------------------------

    def crash(self) -> None:
        """End at once."""
        self.up = False
        self._lose_what_is_in_memory()
        self._touched.clear()
        for cable in list(self.cables):
            cable.down.clear()
            cable.cut()

    def restart(self) -> None:
        self.up = True
