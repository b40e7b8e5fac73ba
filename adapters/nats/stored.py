"""Reading what a stream holds, without a consumer to create and forget: batched direct gets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import NamedTuple

import msgspec
import nats.errors

from jobledger.core.errors import ServerAway, ServerUnavailable

from .answers import Answers
from .asking import ask
from .gated import DENIED, denied_by_gate
from .wire import Message, Wire

BATCH = 512  # messages a direct get may answer at once
BATCH_BYTES = 16 * 1024 * 1024  # the server ends a batch there; more than the largest message
TIMEOUT = 5.0  # seconds without any message of an answer
_LOOK = 0.25  # seconds between two looks whether the connection still stands


class StreamMissing(ServerUnavailable):
    """Nobody holds the stream just now: it does not exist, or its server is only starting."""


class StoredMessage(NamedTuple):
    """One message of a stream."""

    position: int  #: its stream sequence
    subject: str
    payload: bytes


async def stored_messages(
    client: Wire, stream: str, subject: str, start: int = 1
) -> AsyncGenerator[StoredMessage, None]:
    """Yield the stored messages on `subject` from position `start` on.

    One round trip for up to BATCH messages. Any replica may answer, so that the newest messages can be missing.
    Errors: StreamMissing; ServerAway when the server does not answer, or the connection breaks.
    """
    if not client.is_connected:
        raise ServerAway(f"reading the stream {stream}: the server is away")
    with (await Answers.to(client)).coming() as (inbox, arrived):
        while True:
            request = {"seq": start, "batch": BATCH, "max_bytes": BATCH_BYTES, "next_by_subj": subject}
            client.post(f"$JS.API.DIRECT.GET.{stream}", msgspec.json.encode(request), inbox)
            found = 0
            while True:
                message = await _next(client, stream, arrived)
                status = message.status
                if status:
                    break
                found += 1
                start = int(message.header(b"Nats-Sequence")) + 1
                yield StoredMessage(start - 1, message.header(b"Nats-Subject"), message.data)
            if status == DENIED:
                raise denied_by_gate(f"$JS.API.DIRECT.GET.{stream}")
            if status == "503":
                raise StreamMissing(f"the stream {stream} does not exist on this server")
            if status == "404" or (found < BATCH and message.header(b"Nats-Num-Pending") in ("", "0")):
                return


async def _next(client: Wire, stream: str, arrived: asyncio.Queue[Message]) -> Message:
    """Return the next message of an answer. Errors: ServerAway when none comes, or the connection breaks."""
    if not arrived.empty():
        return arrived.get_nowait()
    connections = client.stats["reconnects"]
    for _ in range(int(TIMEOUT / _LOOK)):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK):
                return await arrived.get()
        if not client.is_connected or client.stats["reconnects"] != connections:
            raise ServerAway(f"reading the stream {stream}: the connection broke")
    raise ServerAway(f"reading the stream {stream}: no answer within {TIMEOUT:g} s")


async def last_message(client: Wire, stream: str, subject: str) -> bytes | None:
    """Return the payload of the last message on a subject; None if there is none, or no such stream.

    Errors: as `asking.ask`.
    """
    try:
        message = await ask(client, f"$JS.API.DIRECT.GET.{stream}.{subject}", b"")
    except nats.errors.NoRespondersError:
        return None
    status = (message.headers or {}).get("Status")
    if status == "404":
        return None
    if status is not None:
        raise ServerUnavailable(f"reading the stream {stream}: the server answers with status {status}")
    return message.data
