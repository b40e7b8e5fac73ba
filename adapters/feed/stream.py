"""The stream of the feed: how it is set, how large it may become, and what it says of how far it is."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StoreCompression, StreamConfig

from jobledger.core.errors import JobLedgerError, ServerAway
from jobledger.core.undecodable import UNDECODABLE
from jobledger.projections.feed import FeedId

from ..nats.asking import MESSAGE_NOT_FOUND, STREAM_NOT_FOUND, JetStreamError, jetstream
from ..nats.names import Names
from ..nats.streams import StreamSettingsError, ensure_beside_log
from ..nats.wire import Wire

#: Beyond that size the oldest messages are discarded. It is set aside on the server's disk; where that is too much,
#: the next smaller one is.
MAX_BYTES = tuple(size * 1024 * 1024 for size in (256, 64, 16))
_INSUFFICIENT_STORAGE = 10047
_MICROSECOND = 1000  # ns
_WITHOUT_LIMIT = -1

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class FeedDamaged(JobLedgerError):
    """The last message of the feed is none of ours: nobody can tell how far it is."""


class Limits(NamedTuple):
    """What is kept; None where it was not said."""

    max_bytes: int | None = None  #: -1: without limit
    max_age: timedelta | None = None  #: zero: for ever


#: nothing asked for
AS_IT_IS = Limits()


class Head(NamedTuple):
    """How far the feed is."""

    sequence: int = 0  #: of its last message, 0 if there was none
    id: FeedId | None = None  #: of that message; None if there was none, or all messages were discarded since


class Holding(NamedTuple):
    """What the stream holds, and how it is set."""

    first: int
    last: int
    messages: int
    bytes: int
    created: str
    config: dict[str, Any]


async def ensure(client: Wire, names: Names, limits: Limits = AS_IT_IS) -> list[str]:
    """Make the stream if there is none; return how one that exists is limited otherwise than asked, in words.

    Errors: StreamSettingsError for one that is set so that the feed cannot be trusted; as `ensure_beside_log`.
    """
    existing = await holding(client, names)
    if existing is None:
        sizes = MAX_BYTES if limits.max_bytes is None else (limits.max_bytes,)
        for size in sizes:
            try:
                await ensure_beside_log(client, names, _settings(names, size, limits.max_age or timedelta()))
                return []
            except StreamSettingsError as error:
                code = getattr(error.__cause__, "err_code", None)
                if code != _INSUFFICIENT_STORAGE or size == sizes[-1]:
                    raise
    assert existing is not None
    # How much is kept is its owner's choice: everything else is not.
    age = timedelta(microseconds=existing.config.get("max_age", 0) // _MICROSECOND)
    try:
        await ensure_beside_log(client, names, _settings(names, existing.config["max_bytes"], age))
    except StreamSettingsError as error:
        raise StreamSettingsError(
            f"{error}. A feed is made from the log: delete the stream (`nats stream rm {names.feed_stream}`), and it is "
            "made as it must be"
        ) from error
    return _differences(existing.config, limits)


async def limit(client: Wire, names: Names, limits: Limits) -> None:
    """Set how much is kept. What exceeds it now is discarded now. Errors: as `ensure`; JetStreamError."""
    await ensure(client, names, limits)
    found = await holding(client, names)
    assert found is not None
    config = found.config
    if limits.max_bytes is not None:
        config["max_bytes"] = limits.max_bytes
    if limits.max_age is not None:
        config["max_age"] = _nanoseconds(limits.max_age)
    await jetstream(client, f"STREAM.UPDATE.{names.feed_stream}", config)


async def begin_again(client: Wire, names: Names) -> bool:
    """Empty the feed, so that it is published anew from the beginning of the log; return whether there was one.

    Errors: as `ensure`; JetStreamError.
    """
    found = await holding(client, names)
    if found is None:
        return False
    # Not purged: a stream that was goes on with its numbers, and the messages would be others.
    await jetstream(client, f"STREAM.DELETE.{names.feed_stream}", {})
    await jetstream(client, f"STREAM.CREATE.{names.feed_stream}", found.config)
    return True


async def holding(client: Wire, names: Names) -> Holding | None:
    """Return what the stream holds; None if there is none. Errors: as `jetstream`."""
    try:
        found = await jetstream(client, f"STREAM.INFO.{names.feed_stream}", {})
    except JetStreamError as error:
        if error.code != STREAM_NOT_FOUND:
            raise
        return None
    state = found["state"]
    return Holding(
        state["first_seq"],
        state["last_seq"],
        state["messages"],
        state["bytes"],
        found["created"],
        found["config"],
    )


async def head(client: Wire, names: Names) -> Head:
    """Return how far the feed is, as its leader has it.

    Errors: FeedDamaged; ServerAway, also when the stream is gone; JetStreamError.
    """
    found = await holding(client, names)
    if found is None:
        raise ServerAway(f"the stream {names.feed_stream} does not exist")
    if not found.messages:
        return Head(found.last)
    try:
        answer = await jetstream(client, f"STREAM.MSG.GET.{names.feed_stream}", {"seq": found.last})
    except JetStreamError as error:
        if error.code == MESSAGE_NOT_FOUND:  # discarded in this very moment
            return Head(found.last)
        raise
    try:
        event = _decode(base64.b64decode(answer["message"].get("data", "")))
        if int(event["sequence"]) != found.last:
            raise ValueError(f"it says that it is number {event['sequence']}")
        return Head(found.last, FeedId.parse(event["id"]))
    except (*UNDECODABLE, KeyError, ValueError, TypeError) as error:
        raise FeedDamaged(
            f"message {found.last} of the stream {names.feed_stream} is none of the feed ({error}): somebody else writes "
            "to its subjects. `jobledger feed rebuild` makes it anew"
        ) from error


def _differences(config: dict[str, Any], limits: Limits) -> list[str]:
    found = []
    if limits.max_bytes is not None and config["max_bytes"] != limits.max_bytes:
        found.append(f"max_bytes is {config['max_bytes']:,}, not {limits.max_bytes:,}")
    if limits.max_age is not None and config.get("max_age", 0) != _nanoseconds(limits.max_age):
        age = timedelta(microseconds=config.get("max_age", 0) // _MICROSECOND)
        found.append(f"max_age is {age or 'without limit'}, not {limits.max_age or 'without limit'}")
    return found


def _nanoseconds(length: timedelta) -> int:
    return length // timedelta(microseconds=1) * _MICROSECOND


def _settings(names: Names, max_bytes: int, max_age: timedelta) -> StreamConfig:
    return StreamConfig(
        name=names.feed_stream,
        subjects=[names.feed_subjects],
        description="the log of jobledger as CloudEvents; made from the log, may be deleted at any time",
        storage=StorageType.FILE,
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.OLD,
        max_age=max_age.total_seconds(),
        max_bytes=max_bytes,
        max_msgs=_WITHOUT_LIMIT,
        max_msgs_per_subject=_WITHOUT_LIMIT,
        compression=StoreCompression.S2,
        allow_direct=True,
        allow_atomic=True,
        deny_delete=True,
    )
