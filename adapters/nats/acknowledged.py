"""Reading all that a stream has acknowledged.

A direct get is answered by any server that holds the stream, and one that is not its leader may lack the newest messages
for some milliseconds, or for as long as it takes to catch up after a start. Whoever decides by what is *not* there
(no such job, nothing more of it, no such part) reads through this.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import NamedTuple
from weakref import WeakKeyDictionary

from . import leader
from .asking import STREAM_NOT_FOUND, JetStreamError, jetstream
from .stored import StoredMessage, stored_messages
from .wire import Wire


async def acknowledged_messages(
    client: Wire, stream: str, subject: str, start: int = 1
) -> AsyncGenerator[StoredMessage, None]:
    """As `stored_messages`, but nothing is missing that was acknowledged before this was called.

    Where several servers hold the stream, its leader is asked for what comes behind the last message: a round trip more.
    Errors: as `stored_messages`; ServerUnavailable; JetStreamError.
    """
    while True:
        async with aclosing(stored_messages(client, stream, subject, start)) as messages:
            async for message in messages:
                start = message.position + 1
                yield message
        if not await _has_replicas(client, stream):
            return
        late = await leader.first_behind(client, stream, subject, start - 1)
        if late is None:
            return
        start = late.position + 1
        yield late


class _Known(NamedTuple):
    reconnects: int  #: of the connection, when it was asked
    streams: dict[str, bool]


_known: WeakKeyDictionary[Wire, _Known] = WeakKeyDictionary()


async def _has_replicas(client: Wire, stream: str) -> bool:
    """Whether several servers hold the stream: asked once in a connection, and again over the next one."""
    known, reconnects = _known.get(client), client.stats["reconnects"]
    if known is None or known.reconnects != reconnects:
        known = _known[client] = _Known(reconnects, {})
    found = known.streams.get(stream)
    if found is None:
        try:
            info = await jetstream(client, f"STREAM.INFO.{stream}", {})
        except JetStreamError as error:
            if error.code == STREAM_NOT_FOUND:
                return False
            raise
        found = known.streams[stream] = info["config"]["num_replicas"] > 1
    return found
