"""Bytes that are larger than a message, as messages on one subject, in order."""

from __future__ import annotations

import asyncio
import contextlib

from jobledger.core.errors import JobLedgerError, ServerAway

from . import leader
from .acknowledged import acknowledged_messages
from .asking import append
from .wire import Wire

CHUNK = 128 * 1024  # bytes, as other clients of NATS object stores have it
_IN_FLIGHT = (
    8  # chunks on their way at once: the connection is shared with who must not wait long behind them
)
_ENVELOPE = 1024  # bytes around a chunk


def chunk_size(client: Wire) -> int:
    """Return how many bytes go into one message of this server."""
    return min(CHUNK, client.max_payload - _ENVELOPE)


async def send_chunks(client: Wire, stream: str, subject: str, data: bytes) -> int:
    """Store the data on a subject nobody else writes to, or leave nothing there; return in how many messages.

    Errors: as `append`.
    """
    position, size = 0, chunk_size(client)
    starts = range(0, len(data), size)
    try:
        for first in range(0, len(starts), _IN_FLIGHT):
            chunks = (data[start : start + size] for start in starts[first : first + _IN_FLIGHT])
            answers = await asyncio.gather(
                *(append(client, subject, chunk) for chunk in chunks), return_exceptions=True
            )
            for answer in answers:
                if isinstance(answer, BaseException):
                    raise answer
                if answer <= position:
                    raise ServerAway(f"the parts of {subject} arrived in another order")
                position = answer
    except BaseException:
        with contextlib.suppress(JobLedgerError):  # whoever owns the stream cleans up what stays behind
            await leader.purge(client, stream, [subject])
        raise
    return len(starts)


async def stored_chunks(client: Wire, stream: str, subject: str) -> list[bytes]:
    """Return what is stored on a subject. Errors: as `acknowledged_messages`."""
    return [message.payload async for message in acknowledged_messages(client, stream, subject)]
