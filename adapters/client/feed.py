"""The feed of a namespace, as two classes: `FeedClient` blocks, `AsyncFeedClient` is awaited.

Turning it on and off is for the embedded server; where NATS runs elsewhere, `jobledger feed run` is a process like others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from jobledger.core.errors import ArgumentError, ServerUnavailable
from jobledger.core.options import Seconds, micros

from .arguments import seconds
from .facade import awaited, blocking, same
from .gathering import gather
from .session import Session

if TYPE_CHECKING:
    from ..feed.protocol import PublisherStatus
    from ..feed.stream import Head, Holding, Limits
    from ..nats.wire import Wire

_LEAST_BYTES = 1024 * 1024
_LOOK = 0.2  # seconds between two looks at how far a feed is


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """How the feed of a namespace stands.

    >>> feed = client.feed().rebuild(timeout=60)
    >>> feed.stream, feed.subjects
    ('jobledger-default-feed', 'jobledger.default.feed.>')
    >>> feed.first, feed.last == feed.messages, feed.bytes > 0, feed.position > 0, feed.behind
    (1, True, True, True, 0)
    >>> feed.on, feed.max_bytes, feed.max_age, [one.publishes for one in feed.publishers]
    (False, 268435456, None, [True])
    """

    stream: str  #: its JetStream stream
    subjects: str  #: those of all its messages
    on: bool | None  #: whether the embedded server publishes it; None where NATS runs elsewhere
    publishers: list[PublisherStatus]  #: the processes that do, or stand by
    messages: int  #: kept now; the oldest are discarded beyond the limits
    bytes: int
    first: int  #: number of the oldest message that is kept; one above `last` where none is
    last: int  #: number of the newest
    position: int  #: up to where in the log it is published; 0 where nothing is, or is kept
    behind: int  #: commits of the log that are not
    max_bytes: int | None  #: None for no limit
    max_age: timedelta | None


async def status(session: Session) -> FeedStatus:
    """Return how the feed stands. There need be none.

    >>> client.feed().status().stream
    'jobledger-default-feed'
    """
    return await _status(session, await _switch(session, None))


def turn_on(
    session: Session, *, max_bytes: int | None = None, max_age: Seconds | None = None
) -> Coroutine[Any, Any, FeedStatus]:
    """Have the embedded server publish the feed, from the beginning of the log, now and after every restart.

    Shape:  `max_bytes` and `max_age` limit what is kept, as `limit` does; left out, that is 256 MiB, or less on a server
            without that room, of any age.
    Errors: ServerUnavailable where NATS runs elsewhere: start `jobledger feed run` beside the engine there.
            ArgumentError as `limit`.

    >>> client.feed().turn_on(max_bytes=256 * 1024 * 1024).on
    True
    """
    return _turn_on(session, checked_limits(max_bytes, max_age))


async def _turn_on(session: Session, limits: Limits) -> FeedStatus:
    if await _switch(session, None) is None:
        raise _elsewhere(session)
    await _limit(session, limits)
    return await _status(session, await _switch(session, True))


async def turn_off(session: Session) -> FeedStatus:
    """Have the embedded server publish the feed no more. What is published stays, and is gone on from when it is on again.

    Errors: ServerUnavailable where NATS runs elsewhere.

    >>> client.feed().turn_off().on
    False
    """
    if await _switch(session, None) is None:
        raise _elsewhere(session)
    return await _status(session, await _switch(session, False))


def limit(
    session: Session, *, max_bytes: int | None = None, max_age: Seconds | None = None
) -> Coroutine[Any, Any, FeedStatus]:
    """Set how much is kept, the oldest messages going first. What exceeds it is discarded at once.

    Shape:  an argument that is left out leaves that limit as it is; -1 bytes and an age of 0 are no limit.
    Units:  `max_bytes` is bytes that the server sets aside on its disk; `max_age` is seconds, or a timedelta.
    Errors: ArgumentError for both, and where the server has not that much room.

    >>> client.feed().limit(max_age=timedelta(days=7)).max_age
    datetime.timedelta(days=7)
    >>> client.feed().limit(max_age=0).max_age
    """
    return _limited(session, checked_limits(max_bytes, max_age))


async def _limited(session: Session, limits: Limits) -> FeedStatus:
    await _limit(session, limits)
    return await status(session)


async def rebuild(session: Session, timeout: float | None = None) -> FeedStatus:
    """Discard the feed and have it published anew from the log; return when it has come to where the log is now.

    The messages are the same, byte for byte, with the same numbers: whoever keeps its own cursor goes on. Consumers that
    the server kept for a subscriber are gone with what they counted.
    Units:  `timeout` is seconds; None waits without limit.
    Errors: TimeoutError, it goes on then; ServerUnavailable if nobody publishes the feed: it stays as it is.

    >>> client.feed().rebuild(timeout=60).behind
    0
    """
    from ..feed import stream

    until = time.monotonic() + seconds("timeout", timeout)
    before = await status(session)
    if not before.publishers:
        raise ServerUnavailable(
            f"nobody publishes the feed of namespace {session.names.namespace!r}, it was left as it is: turn it on with "
            "`jobledger feed on` where the server is embedded, or start `jobledger feed run`"
        )
    end = before.position + before.behind

    async def begin_again(client: Wire) -> bool:
        return await stream.begin_again(client, session.names)

    await (await session.link()).work(begin_again, patience=session.patience)
    while (position := _position((await _held(session))[1])) < end:
        if time.monotonic() > until:
            raise TimeoutError(
                f"not rebuilt within {timeout:g} s: it is at {position:,} of {end:,}. It goes on"
            )
        await asyncio.sleep(_LOOK)
    return await status(session)


class _Feed:
    """What both have in common."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of namespace {self._session.names.namespace!r}>"


class FeedClient(_Feed):
    """What can be done with the feed; from `client.feed()`. May be used from several threads.

    Errors of every method: ServerUnavailable if no server answers.

    >>> feed = client.feed()
    >>> feed.turn_on().on, feed.turn_off().on
    (True, False)
    """

    status = blocking(status, same)
    turn_on = blocking(turn_on, same)
    turn_off = blocking(turn_off, same)
    limit = blocking(limit, same)
    rebuild = blocking(rebuild, same)


class AsyncFeedClient(_Feed):
    """What can be done with the feed; from `client.feed()` of an `AsyncClient`. Every method is awaited.

    Methods and errors are those of `FeedClient`.

    >>> async def stream() -> str:
    ...     async with AsyncClient() as client:
    ...         return (await client.feed().status()).stream
    >>> asyncio.run(stream())
    'jobledger-default-feed'
    """

    status = awaited(status, same)
    turn_on = awaited(turn_on, same)
    turn_off = awaited(turn_off, same)
    limit = awaited(limit, same)
    rebuild = awaited(rebuild, same)


def checked_limits(max_bytes: int | None, max_age: Seconds | None) -> Limits:
    """Return what is asked to be kept, as `limit` takes it. Errors: ArgumentError."""
    from ..feed.stream import Limits

    age = None if max_age is None else timedelta(microseconds=micros("max_age", max_age))
    if age and age < timedelta(seconds=1):
        raise ArgumentError(f"max_age={max_age!r} keeps nothing: pass seconds from 1 up, or 0 for no limit")
    if max_bytes is not None:
        whole = isinstance(max_bytes, int) and not isinstance(max_bytes, bool)
        if not whole or (max_bytes < _LEAST_BYTES and max_bytes != -1):
            raise ArgumentError(
                f"max_bytes={max_bytes!r} cannot be used: pass bytes from {_LEAST_BYTES:,} up, or -1 for no limit"
            )
    return Limits(max_bytes, age)


async def _limit(session: Session, limits: Limits) -> None:
    from ..feed import stream
    from ..nats.asking import JetStreamError
    from ..nats.streams import StreamSettingsError

    async def work(client: Wire) -> None:
        await stream.limit(client, session.names, limits)

    try:
        await (await session.link()).work(work, patience=session.patience)
    except (JetStreamError, StreamSettingsError) as error:
        if isinstance(error, StreamSettingsError) and limits.max_bytes is None:
            raise
        raise ArgumentError(
            f"max_bytes={limits.max_bytes}, max_age={limits.max_age}: the server refused that: {error}. Pass less, or "
            "give JetStream more room in the server's configuration"
        ) from error


async def _held(session: Session) -> tuple[Holding | None, Head, int]:
    """Return what the feed holds, how far it is, and the position of the end of the log."""
    from ..feed import stream
    from ..nats.tail import last_position

    names = session.names

    async def look(client: Wire) -> tuple[Holding | None, Head, int]:
        found = await stream.holding(client, names)
        try:
            head = stream.Head() if found is None else await stream.head(client, names)
        except stream.FeedDamaged:  # the publishers say so, too
            head = stream.Head(found.last if found is not None else 0)
        return found, head, await last_position(client, names.log_stream)

    return await (await session.link()).work(look, patience=session.patience)


def _position(head: Head) -> int:
    return 0 if head.id is None else head.id.position


async def _status(session: Session, on: bool | None) -> FeedStatus:
    import msgspec

    from ..feed.protocol import PublisherStatus

    names = session.names
    decode = msgspec.json.Decoder(PublisherStatus).decode
    publishers = await gather(session, names.feed_publishers, b"", decode)
    held, head, end = await _held(session)
    config = {} if held is None else held.config
    max_bytes, max_age = config.get("max_bytes", -1), config.get("max_age", 0)
    return FeedStatus(
        names.feed_stream,
        names.feed_subjects,
        on,
        sorted(publishers, key=lambda one: one.publisher),
        0 if held is None else held.messages,
        0 if held is None else held.bytes,
        1 if held is None else held.first,
        head.sequence,
        _position(head),
        end - _position(head),
        max_bytes if max_bytes >= 0 else None,
        timedelta(microseconds=max_age // 1000) if max_age else None,
    )


async def _switch(session: Session, on: bool | None) -> bool | None:
    """Turn the feed of an embedded server on or off, or ask; return whether it is on, None where there is no such server."""
    import msgspec
    import nats.errors

    from ..feed.protocol import Switch, Switched
    from ..nats.asking import NotAllowed, ask

    async def asked(client: Wire) -> bool | None:
        try:
            answer = await ask(client, session.names.feed_switch, msgspec.json.encode(Switch(on)))
        except nats.errors.NoRespondersError:
            return None
        except NotAllowed:
            if on is None:  # a user that may not turn it on or off may not ask either
                return None
            raise
        return msgspec.json.decode(answer.data, type=Switched).on

    return await (await session.link()).work(asked, patience=session.patience)


def _elsewhere(session: Session) -> ServerUnavailable:
    namespace = session.names.namespace
    return ServerUnavailable(
        f"no embedded server publishes the feed of namespace {namespace!r}: beside an engine, run it as a process of its "
        f"own: jobledger feed run --url ADDRESS --namespace {namespace}"
    )
