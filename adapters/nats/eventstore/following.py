"""Following a stream: every message from a position on, in order, once, and then those to come.

The server keeps an ephemeral consumer for us, from which messages are pulled as there is room for them. Whatever may
have gone wrong with it (connection lost, server restarted, leader changed, a message missing), the answer is the
same: forget it and begin another one behind the last message seen. The position is the only state.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging

import nats.errors
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from .. import wire
from .backlog import Backlog
from .bridge import Link
from .errors import STREAM_NOT_FOUND
from .messages import Message

_log = logging.getLogger(__name__)
_BATCH = 2000  # messages asked for and not yet received, at most; renewed when half of them have come
_BATCH_BYTES = (
    70_000_000  # more than the largest payload a server can allow, or such a message would never come
)
_EXPIRES = 30.0
HEARTBEAT = 2.0  # seconds
_AGAIN = 0.25
_NANOSECONDS = 1_000_000_000


class Follower:
    """Puts the messages of a stream into a backlog until its coroutine `run` is cancelled. For the loop's thread.

    Units:  `rest` is seconds in which messages gather at the server before they are asked for, once none of the past is
            left. A message that comes by itself costs both processes a turn of their event loops.
    Errors: NotFoundError from `run` when the stream is deleted.
    """

    def __init__(
        self,
        link: Link,
        stream: str,
        subject: str | None,
        after: int,
        backlog: Backlog,
        *,
        rest: float = 0.0,
    ) -> None:
        self._link = link
        self._stream = stream
        self._subject = subject
        self._position = after
        self._backlog = backlog
        self._rest = rest
        self._hurried = asyncio.Event()
        self._arrived: list[Message] = []  # in this turn of the event loop
        self._wake = asyncio.Event()
        self._requests = itertools.count()
        self._coming = 0  # messages asked for and not yet received
        self._pending = 0  # messages that the stream had beyond the last one received
        self._received = 0  # from this consumer
        self._heard = 0.0
        self._broken = False

    async def run(self) -> None:
        self._link.on_reconnect.add(self._break)
        try:
            while True:
                self._received = 0
                try:
                    await self._follow()
                except nats.errors.Error as error:
                    if isinstance(error, NotFoundError) and error.err_code == STREAM_NOT_FOUND:
                        raise
                    _log.warning("stream %s cannot be followed for now: %s", self._stream, error)
                if not self._received:  # not as fast as the processor allows
                    await asyncio.sleep(_AGAIN)
        finally:
            self._link.on_reconnect.discard(self._break)

    def resume(self) -> None:
        """Go on after a pause: the backlog has room again."""
        self._wake.set()

    def hurry(self, hurried: bool) -> None:
        """Whether somebody waits for what may have come: no rest is taken."""
        if hurried:
            self._hurried.set()
        else:
            self._hurried.clear()

    def _break(self) -> None:
        self._broken = True
        self._wake.set()

    async def _follow(self) -> None:
        """Follow through one consumer for as long as it works."""
        self._coming = 0
        self._broken = False
        self._arrived = []
        nc, js = self._link.nc, self._link.js
        inbox = nc.new_inbox()
        consumer = await js.add_consumer(
            self._stream,
            ConsumerConfig(
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=self._position + 1,
                ack_policy=AckPolicy.NONE,
                filter_subject=self._subject,
                inactive_threshold=_EXPIRES * 2,
                mem_storage=True,
                num_replicas=1,
            ),
        )
        self._pending = consumer.num_pending or 0
        subscription = await nc.listen(f"{inbox}.*", self._receive)
        end_turns = nc.at_turn_end(self._pass_on)
        try:
            self._heard = asyncio.get_running_loop().time()
            while not self._broken:
                self._wake.clear()
                if self._gathers and self._received and not self._coming:
                    await _within(self._rest, self._hurried)
                await self._ask(consumer.name, inbox)
                await _within(HEARTBEAT, self._wake)
                if self._coming and asyncio.get_running_loop().time() - self._heard > 3 * HEARTBEAT:
                    break
        finally:
            end_turns()
            with contextlib.suppress(nats.errors.Error):
                await subscription.unsubscribe()
                if nc.is_connected:  # if not, the server drops it in time
                    await js.delete_consumer(self._stream, consumer.name)

    @property
    def _gathers(self) -> bool:
        return self._rest > 0 and not self._pending

    async def _ask(self, consumer: str, inbox: str) -> None:
        gathers = self._gathers
        if self._coming > (0 if gathers else _BATCH // 2) or self._is_paused():
            return
        batch = _BATCH - self._coming
        self._coming += batch
        wish = {
            "batch": batch,
            "max_bytes": _BATCH_BYTES,
            "expires": int(_EXPIRES * _NANOSECONDS),
            "idle_heartbeat": int(HEARTBEAT * _NANOSECONDS),
            # answered with all there is as soon as there is anything, and with no more than that
            "no_wait": gathers,
        }
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{consumer}"
        reply = f"{inbox}.{next(self._requests)}"
        await self._link.nc.publish(subject, json.dumps(wish).encode(), reply=reply)

    def _is_paused(self) -> bool:
        self._backlog.paused = self._backlog.is_full
        # it may have been emptied in between, by a thread that saw no pause
        return self._backlog.paused and self._backlog.is_full

    def _receive(self, message: wire.Message) -> None:
        if self._broken:
            return
        if not message.reply.startswith("$JS.ACK."):
            self._heard = asyncio.get_running_loop().time()
            self._heed(message.headers or {})
            return
        # $JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<deliveries>.<position>.<number>.<time>.<pending>[.<token>]
        parts = message.reply.split(".")
        first = 5 if len(parts) == 9 else 7
        if int(parts[first + 1]) != self._received + 1:
            self._break()
            return
        self._received += 1
        self._pending = int(parts[first + 3])
        self._arrived.append(Message(int(parts[first]), message.subject, message.data))

    def _pass_on(self) -> None:
        """Hand over what this turn brought, together: the other thread is woken once."""
        if not self._arrived:
            return
        messages, self._arrived = self._arrived, []
        self._heard = asyncio.get_running_loop().time()
        self._position = messages[-1].position
        self._backlog.put(messages)
        before, self._coming = self._coming, self._coming - len(messages)
        if self._coming <= _BATCH // 2 < before:
            self._wake.set()

    def _heed(self, headers: dict[str, str]) -> None:
        match headers.get("Status"), headers.get("Description", ""):
            case "100", _:  # a heartbeat
                return
            case "404", _:  # all there is has come, and no other request is under way
                self._pass_on()
                self._coming = 0
                self._wake.set()
            case ("408", _) | ("409", "Batch Completed" | "Message Size Exceeds MaxBytes"):
                # that request has ended
                self._coming -= int(headers.get("Nats-Pending-Messages", 0))
                self._wake.set()
            case _:  # the consumer is gone, or was moved
                self._break()


async def _within(seconds: float, event: asyncio.Event) -> None:
    """Wait for the event for so many seconds.

    Not by `wait_for`: until Python 3.12 it swallows a cancellation that meets the event, and following went on for ever.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
