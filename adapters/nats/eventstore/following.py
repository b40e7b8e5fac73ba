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
from collections.abc import Callable

import nats.errors
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from .bridge import Link
from .errors import STREAM_NOT_FOUND
from .messages import Message

_log = logging.getLogger(__name__)
#: messages received and not yet taken, at most; asked for anew when half of them are taken
ROOM = 2000
_EXPIRES = 30.0
_HEARTBEAT = 2.0
_AGAIN = 0.25
_NANOSECONDS = 1_000_000_000


class Follower:
    """Delivers messages of a stream until its coroutine `run` is cancelled. Used on the loop's thread only.

    `deliver` gets each message, or the error that ends the following. `waiting` tells how many of them nobody has
    taken yet; call `make_way` when they have become few.
    """

    def __init__(
        self,
        link: Link,
        stream: str,
        subject: str | None,
        after: int,
        *,
        deliver: Callable[[Message | Exception], None],
        waiting: Callable[[], int],
    ) -> None:
        self._link = link
        self._stream = stream
        self._subject = subject
        self._position = after
        self._deliver = deliver
        self._waiting = waiting
        self._wake = asyncio.Event()
        self._requests = itertools.count()
        self._asked: dict[str, int] = {}  # messages still to come, by request
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
                        self._deliver(error)
                        return
                    _log.warning("stream %s cannot be followed for now: %s", self._stream, error)
                if not self._received:  # not as fast as the processor allows
                    await asyncio.sleep(_AGAIN)
        finally:
            self._link.on_reconnect.discard(self._break)

    def make_way(self) -> None:
        self._wake.set()

    def _break(self) -> None:
        self._broken = True
        self._wake.set()

    async def _follow(self) -> None:
        """Follow through one consumer for as long as it works."""
        self._asked.clear()
        self._broken = False
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
        subscription = await nc.subscribe(f"{inbox}.*", cb=self._receive)
        try:
            self._heard = asyncio.get_running_loop().time()
            while not self._broken:
                await self._ask(consumer.name, inbox)
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), _HEARTBEAT)
                if self._asked and asyncio.get_running_loop().time() - self._heard > 3 * _HEARTBEAT:
                    break
        finally:
            with contextlib.suppress(nats.errors.Error):
                await subscription.unsubscribe()
                if nc.is_connected:  # if not, the server drops it in time
                    await js.delete_consumer(self._stream, consumer.name)

    async def _ask(self, consumer: str, inbox: str) -> None:
        room = ROOM - sum(self._asked.values()) - self._waiting()
        if room < ROOM // 2:
            return
        request = str(next(self._requests))
        self._asked[request] = room
        wish = {
            "batch": room,
            "expires": int(_EXPIRES * _NANOSECONDS),
            "idle_heartbeat": int(_HEARTBEAT * _NANOSECONDS),
        }
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{consumer}"
        await self._link.nc.publish(subject, json.dumps(wish).encode(), reply=f"{inbox}.{request}")

    async def _receive(self, msg: Msg) -> None:
        if self._broken:
            return
        self._heard = asyncio.get_running_loop().time()
        if not msg.reply.startswith("$JS.ACK."):
            self._heed((msg.headers or {}).get("Status"), request=msg.subject.rpartition(".")[2])
            return
        # $JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<deliveries>.<position>.<number>.<time>.<pending>
        *_, position, number, _, _ = msg.reply.split(".")[: 9 if msg.reply.count(".") == 8 else 11]
        if int(number) != self._received + 1:
            self._break()
            return
        self._received += 1
        self._position = int(position)
        self._deliver(Message(self._position, msg.subject, msg.data))
        request = next(iter(self._asked), None)  # the server serves them in the order in which they came
        if request is not None:
            left = self._asked[request] = self._asked[request] - 1
            if not left:
                del self._asked[request]
            if left in (0, ROOM // 2):
                self._wake.set()

    def _heed(self, status: str | None, request: str) -> None:
        match status:
            case "100":  # a heartbeat
                pass
            case "404" | "408":  # the request expired
                self._asked.pop(request, None)
                self._wake.set()
            case _:  # the consumer is gone, or was moved
                self._break()
