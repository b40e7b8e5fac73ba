"""Ephemeral pull consumers: what they have delivered, and who waits for more."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from .streams import Stored, Stream

#: subject to send to, subject to show, reply, headers, payload; returns whether anybody listens
Send = Callable[[str, str, str, bytes, bytes], bool]


class Pull:
    """A request for messages that is not done."""

    def __init__(self, reply: str, now: float, wish: dict[str, Any]) -> None:
        self.reply = reply
        self.left: int = wish.get("batch", 1)  #: messages that are still wanted
        self.room: int = wish.get("max_bytes", 0)  #: bytes that may still be sent, where that was said
        self.limited = self.room > 0
        #: when it ends, by the loop's clock
        self.until = now + wish["expires"] / 1e9 if "expires" in wish else math.inf
        self.heartbeat: float = wish.get("idle_heartbeat", 0) / 1e9  #: seconds

    def ended(self, status: str) -> bytes:
        """Return what is said of it as it ends."""
        pending = f"Nats-Pending-Messages: {self.left}\r\nNats-Pending-Bytes: {self.room}"
        return f"NATS/1.0 {status}\r\n{pending}\r\n\r\n".encode()


class Consumer:
    """One reader of a stream, kept in memory: it does not outlive the server."""

    def __init__(self, stream: Stream, name: str, config: dict[str, Any], known: int) -> None:
        """`known` is up to where the server that keeps it has the stream, as it is made."""
        self.known = known
        self.stream = stream
        self.name = name
        self.config = config
        self.pattern: str = config.get("filter_subject") or ">"
        self.delivered = 0
        self._next = config.get("opt_start_seq") or 1
        self._first: list[int] = []  # the newest of each subject, which come before the rest
        if config.get("deliver_policy") == "last_per_subject":
            newest = {stored.subject: stored.seq for stored in stream.since(self.pattern, 1, known)}
            self._first = sorted(newest.values())
            self._next = known + 1
        self.waiting: list[Pull] = []  #: oldest first

    def pending(self, end: int) -> int:
        """Return how many messages there are, up to a sequence, that were not delivered."""
        return len(self._first) + sum(1 for _ in self._rest(end))

    def _rest(self, end: int) -> Iterator[Stored]:
        return self.stream.since(self.pattern, self._next, end)

    def _peek(self) -> Stored | None:
        while self._first:
            stored = self.stream.messages.get(self._first[0])
            if stored is not None:
                return stored
            del self._first[0]
        return next(self._rest(self.stream.last), None)

    def _took(self, stored: Stored) -> None:
        self.delivered += 1
        if self._first:
            del self._first[0]
        else:
            self._next = stored.seq + 1

    def deliver(self, send: Send) -> None:
        """Send what there is to those who wait for it."""
        while self.waiting and (stored := self._peek()) is not None:
            pull = self.waiting[0]
            behind = self.pending(self.stream.last) - 1
            place = f"{stored.seq}.{self.delivered + 1}.{stored.at}.{behind}"
            reply = f"$JS.ACK.{self.stream.name}.{self.name}.1.{place}"
            size = len(stored.subject) + len(reply) + len(stored.headers) + len(stored.payload)
            if pull.limited and size > pull.room:
                self.waiting.pop(0)
                ended = pull.ended("409 Message Size Exceeds MaxBytes")
                send(pull.reply, pull.reply, "", ended, b"")
                continue
            self._took(stored)
            send(pull.reply, stored.subject, reply, stored.headers, stored.payload)
            pull.left -= 1
            pull.room -= size if pull.limited else 0
            if not pull.left:
                self.waiting.pop(0)
                if pull.limited:
                    send(pull.reply, pull.reply, "", pull.ended("409 Batch Completed"), b"")
