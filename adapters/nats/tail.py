"""The messages of a stream behind a position, or the newest of each subject, in order, once; then those to come.

The server keeps an ephemeral consumer for us, from which messages are pulled as there is room for them. Whatever goes
wrong with it (the connection broke, the server was restarted, a message is missing), the answer is the same: ServerAway,
and whoever reads opens another tail behind the last position.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
from datetime import UTC, datetime
from typing import Any

import msgspec
import nats.errors
from nats.aio.subscription import Subscription

from jobledger.core.errors import JobLedgerError, ServerAway

from .asking import STREAM_NOT_FOUND, JetStreamError, ask, jetstream
from .stored import StoredMessage, StreamMissing
from .wire import Message, Wire

#: messages asked for at once: with 500, server and reader wait for each other a quarter of the time
_BATCH = 2000
_BATCH_BYTES = (
    70_000_000  # more than the largest payload a server can allow, or such a message would never come
)
_EXPIRES = 30.0  # seconds a request for messages lasts
_HEARTBEAT = 2.0  # seconds without a message after which the server says that it is still there
_LOOK = 0.25  # seconds between two looks whether the connection still stands
_FAREWELL = 0.5  # seconds
_NOBODY = "503"  # status: nobody is there to be asked
_HEARD, _PAUSE = 40, 0.05  # times that may be said of a new consumer, and seconds between two of them
_NANOSECONDS = 1_000_000_000


class Tail:
    """An open tail: iterate over it. For one reader."""

    def __init__(self, client: Wire, stream: str, consumer: str) -> None:
        self._client = client
        self._stream = stream
        self._consumer = consumer
        self._arrived: asyncio.Queue[Message | None] = asyncio.Queue()
        self._reconnects = client.stats["reconnects"]
        self._received = 0
        self._unheard = 0  # times that the consumer was not known to our server
        self._coming = 0  # messages asked for and not yet received
        self._waiting = 0  # messages that have arrived and were not yielded
        self._stopped = False
        self.pending = 0  #: messages of the stream that were behind the last one when it was sent
        self._inbox = client.new_inbox()
        self._requests = itertools.count()
        self._subscription: Subscription | None = None

    @classmethod
    async def open(cls, client: Wire, stream: str, subject: str, *, after: int | None) -> Tail:
        """Return the tail of the messages on `subject` behind position `after`.

        Shape:  with None it begins with the newest message of each subject that `subject` stands for.
        Errors: ServerAway; StreamMissing; ServerUnavailable when this user may not; JetStreamError, such as for one
                consumer too many.
        """
        start = (
            {"deliver_policy": "last_per_subject"}
            if after is None
            else {"deliver_policy": "by_start_sequence", "opt_start_seq": after + 1}
        )
        config = {
            **start,
            "ack_policy": "none",
            "filter_subject": subject,
            "inactive_threshold": int(_EXPIRES * 2 * _NANOSECONDS),
            "mem_storage": True,
            "num_replicas": 1,
        }
        try:
            request = {"stream_name": stream, "config": config}
            answer = await jetstream(client, f"CONSUMER.CREATE.{stream}", request)
        except JetStreamError as error:
            if error.code == STREAM_NOT_FOUND:
                raise StreamMissing(f"the stream {stream} does not exist on this server") from error
            raise
        tail = cls(client, stream, answer["name"])
        tail.pending = answer["num_pending"]
        tail._subscription = await client.listen(f"{tail._inbox}.*", tail._take)
        return tail

    @property
    def has_more(self) -> bool:
        """Whether the next message has arrived already: not so where only the server's own words have."""
        return self._waiting > 0

    def stop(self) -> None:
        """End the iteration: what was not yielded yet never is."""
        self._stopped = True
        self._arrived.put_nowait(None)

    async def close(self) -> None:
        """Give back what the server keeps for this tail."""
        # A courtesy: the server drops it in time by itself. Where nobody reads answers any more, none is waited for.
        with contextlib.suppress(nats.errors.Error, JobLedgerError, OSError, TimeoutError):
            if self._subscription is not None:
                await self._subscription.unsubscribe()
            if self._client.is_connected:
                async with asyncio.timeout(_FAREWELL):
                    await jetstream(self._client, f"CONSUMER.DELETE.{self._stream}.{self._consumer}", {})

    def __aiter__(self) -> Tail:
        return self

    async def __anext__(self) -> StoredMessage:
        """Errors: ServerAway, when this tail is at its end; open another one."""
        while not self._stopped:
            if not self._coming:
                await self._ask()
            message = await self._next()
            if message is None:
                break
            if not _is_stored(message):
                self._heed(message.headers or {})
                if not self._coming and self._unheard:
                    await asyncio.sleep(_PAUSE)
                continue
            # $JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<deliveries>.<position>.<number>.<time>.<pending>
            *_, position, number, _, pending = message.reply.split(".")[
                : 9 if message.reply.count(".") == 8 else 11
            ]
            self._coming -= 1
            self._waiting -= 1
            self._received += 1
            if int(number) != self._received:
                raise ServerAway(f"following the stream {self._stream}: a message is missing")
            self.pending = int(pending)
            return StoredMessage(int(position), message.subject, message.data)
        raise StopAsyncIteration

    def _take(self, message: Message) -> None:
        self._waiting += _is_stored(message)
        self._arrived.put_nowait(message)

    async def _ask(self) -> None:
        wish = {
            "batch": _BATCH,
            "max_bytes": _BATCH_BYTES,
            "expires": int(_EXPIRES * _NANOSECONDS),
            "idle_heartbeat": int(_HEARTBEAT * _NANOSECONDS),
        }
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}"
        try:
            await self._client.publish(
                subject, msgspec.json.encode(wish), reply=f"{self._inbox}.{next(self._requests)}"
            )
        except (nats.errors.Error, OSError) as error:
            raise ServerAway(f"following the stream {self._stream}: {error}") from error
        self._coming = _BATCH

    async def _next(self) -> Message | None:
        if not self._arrived.empty():  # of a full batch, nearly always: 4 of 12 µs a message (Python 3.11)
            return self._arrived.get_nowait()
        for _ in range(math.ceil(3 * _HEARTBEAT / _LOOK)):
            if not self._client.is_connected or self._client.stats["reconnects"] != self._reconnects:
                break
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    return await self._arrived.get()
        raise ServerAway(f"following the stream {self._stream}: the connection broke")

    def _heed(self, headers: dict[str, Any]) -> None:
        """Take note of what the server says of the request. Errors: ServerAway."""
        status, description = headers.get("Status"), headers.get("Description", "")
        if status == _NOBODY and not self._received and self._unheard < _HEARD:
            # In a cluster, servers hear of a new consumer one after the other: ours has not yet.
            self._unheard += 1
            self._coming = 0
            return
        # a heartbeat, or what the count has told already
        if status == "100" or description == "Batch Completed":
            return
        if status not in ("404", "408") and "MaxBytes" not in description:
            raise ServerAway(f"following the stream {self._stream}: {status} {description}")
        self._coming = 0  # that request has ended


def _is_stored(message: Message) -> bool:
    """Whether this is a message of the stream, and not what the server says of a request."""
    return message.reply.startswith("$JS.ACK.")


async def last_position(client: Wire, stream: str) -> int:
    """Return the position of the newest message of a stream; 0 if it has none.

    Errors: ServerAway; StreamMissing.
    """
    try:
        state = (await jetstream(client, f"STREAM.INFO.{stream}", {}))["state"]
    except JetStreamError as error:
        if error.code == STREAM_NOT_FOUND:
            raise StreamMissing(f"the stream {stream} does not exist on this server") from error
        raise
    return int(state["last_seq"])


async def position_before(client: Wire, stream: str, subject: str, at: datetime) -> int:
    """Return the position behind which all messages on `subject` are that were stored at or after `at`.

    Errors: ServerAway; StreamMissing.
    """
    newest = await last_position(client, stream)
    request = {"start_time": at.astimezone(UTC).isoformat(), "batch": 1, "next_by_subj": subject}
    answer = await ask(client, f"$JS.API.DIRECT.GET.{stream}", msgspec.json.encode(request))
    found = (answer.headers or {}).get("Nats-Sequence")
    return newest if found is None else int(found) - 1
