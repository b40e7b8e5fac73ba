"""Publishing messages so that each stands exactly where it is to stand: behind the one before it, or not at all.

Every write names the number of the message that must be the last one of the stream. So a message is stored once, however
often it is sent, and two publishers cannot both go on. Many messages go as one atomic batch, and several batches are under
way at a time. Few go one after the other, each after the acknowledgement of the one before: were that refused because
somebody wrote another message in its place, the next one would fit behind that.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import count
from os import urandom

import msgspec
import nats.errors

from jobledger.core.errors import JobLedgerError, ServerAway, ServerUnsuitable
from jobledger.projections.feed import CONTENT_TYPE, FeedMessage

from ..nats.frames import header_block
from ..nats.inbox import Inbox
from ..nats.names import Names
from ..nats.wire import Message, Wire

#: messages of a batch; the server takes up to 1000
BATCH = 500
#: bytes after which a batch is closed
BATCH_BYTES = 2 * 1024 * 1024
#: so many go on their own: a batch costs the server some milliseconds of staging
_FEW = 8
_UNDER_WAY = 4  # writes
_PATIENCE = 10.0  # seconds for an acknowledgement
_LOOK = 0.25  # seconds between two looks whether the connection still stands
_WRONG_LAST_SEQUENCE = 10071


class Overtaken(JobLedgerError):
    """Somebody else has written to the feed: its last message is not the expected one. Nothing was stored."""


class _ApiError(msgspec.Struct):
    err_code: int = 0
    description: str = ""


class _Ack(msgspec.Struct):
    seq: int = 0
    error: _ApiError | None = None


class _Write(msgspec.Struct):
    answer: asyncio.Future[Message]
    last: int  #: number of its last message


_decode_ack = msgspec.json.Decoder(_Ack).decode


class Outbox:
    """Writes to the feed over one connection. For one publisher."""

    def __init__(self, client: Wire, names: Names) -> None:
        self._client = client
        self._names = names
        self._inbox = Inbox(client)
        self._reconnects = client.stats["reconnects"]
        self._under_way: deque[_Write] = deque()
        self._batches = count()
        self._identity = urandom(8).hex()
        self.stored = 0  #: number of the last message that is known to be stored

    async def open(self) -> None:
        await self._inbox.open()

    async def close(self) -> None:
        """Wait for nothing any more."""
        for write in self._under_way:
            write.answer.cancel()
        self._under_way.clear()
        await self._inbox.close(ServerAway("the publisher has stopped"))

    async def send(self, messages: Sequence[FeedMessage], *, after: int) -> None:
        """Write messages behind number `after`, in order; return when they are on their way.

        Errors: Overtaken, also of an earlier write; ServerAway; ServerUnsuitable when the server takes no message as
                large as one of them.
        """
        while len(self._under_way) >= _UNDER_WAY:
            await self._settle_first()
        try:
            if len(messages) <= _FEW:
                await self._send_few(messages, after)
            else:
                await self._send_batch(messages, after)
        except nats.errors.MaxPayloadError as error:
            largest = max(messages, key=lambda message: len(message.payload))
            raise ServerUnsuitable(
                f"message {largest.id} of the feed has {len(largest.payload):,} bytes, and this server takes "
                f"{self._client.max_payload:,}: raise max_payload in its configuration to 1MB, its default"
            ) from error
        except (nats.errors.Error, OSError) as error:
            raise ServerAway(f"the feed cannot be written: {error or type(error).__name__}") from error

    async def settle(self) -> None:
        """Return when everything sent is stored. Errors: as `send`."""
        while self._under_way:
            await self._settle_first()

    async def _send_few(self, messages: Sequence[FeedMessage], after: int) -> None:
        for number, message in enumerate(messages, after):
            await self.settle()
            headers = {"Nats-Expected-Last-Sequence": str(number), "Content-Type": CONTENT_TYPE}
            await self._write(message, headers, number + 1)

    async def _send_batch(self, messages: Sequence[FeedMessage], after: int) -> None:
        batch = f"{self._identity}-{next(self._batches)}"
        expected = {"Nats-Expected-Last-Sequence": str(after)}
        for number, message in enumerate(messages[:-1], 1):
            headers = {
                "Nats-Batch-Id": batch,
                "Nats-Batch-Sequence": str(number),
                "Content-Type": CONTENT_TYPE,
                **expected,
            }
            expected = {}
            await self._client.publish(self._subject(message), message.payload, headers=headers)
        headers = {
            "Nats-Batch-Id": batch,
            "Nats-Batch-Sequence": str(len(messages)),
            "Nats-Batch-Commit": "1",
            "Content-Type": CONTENT_TYPE,
        }
        await self._write(messages[-1], headers, after + len(messages))

    async def _write(self, message: FeedMessage, headers: dict[str, str], last: int) -> None:
        answer = self._inbox.send(
            self._subject(message), message.payload, timeout=_PATIENCE, headers=header_block(headers)
        )
        self._under_way.append(_Write(answer, last))

    def _subject(self, message: FeedMessage) -> str:
        return f"{self._names.feed_prefix}.{message.subject}"

    async def _answered(self, write: _Write) -> Message:
        """Errors: ServerAway when no answer comes, or the connection broke: it is lost then."""
        try:
            for _ in range(round(_PATIENCE / _LOOK)):
                done, _ = await asyncio.wait({write.answer}, timeout=_LOOK)
                if done:
                    return write.answer.result()
                if not self._client.is_connected or self._client.stats["reconnects"] != self._reconnects:
                    raise ServerAway("the connection broke before the feed acknowledged")
            raise ServerAway(f"no acknowledgement from the feed within {_PATIENCE:g} s")
        finally:
            write.answer.cancel()  # nobody waits for it any more

    async def _settle_first(self) -> None:
        write = self._under_way.popleft()
        try:
            ack = _decode_ack((await self._answered(write)).data)
        except nats.errors.NoRespondersError:
            raise ServerAway(f"no stream takes {self._names.feed_subjects}: was it deleted?") from None
        if ack.error is not None:
            if ack.error.err_code == _WRONG_LAST_SEQUENCE:
                raise Overtaken(ack.error.description)
            raise ServerAway(f"the feed refused a message: {ack.error.description} ({ack.error.err_code})")
        if ack.seq != write.last:
            raise Overtaken(f"message {write.last} was stored as number {ack.seq}")
        self.stored = ack.seq
