"""The histories of a namespace's clusters: one stream, one subject for each cluster, one message for each change.

A message is a record as in the log, with the MessagePack array ``[id, at, by, event]`` as its state. A change is
appended with the position of the one it follows, so that of two people who change a cluster at once, one is told.
"""

from __future__ import annotations

from typing import Any, NamedTuple, get_args

import msgspec

from jobledger.core.clusters import ClusterEvent
from jobledger.core.errors import JobLedgerError, ServerUnsuitable
from jobledger.core.events import UnknownEvent
from jobledger.core.undecodable import UNDECODABLE

from .acknowledged import acknowledged_messages
from .asking import STREAM_NOT_FOUND, JetStreamError, append, in_stream, jetstream
from .names import Names
from .records import RecordError, decode_record, encode_record
from .streams import ensure_beside_log, log_settings
from .wire import Wire

#: names the layout of the state
TOPIC = "jobledger.cluster.v1"


class Change(msgspec.Struct, array_like=True, frozen=True):
    """Something that happened to a cluster."""

    id: bytes  #: 16 bytes, chosen by the writer: whoever lost an acknowledgement knows its own change again
    at: int  #: µs since 1970 UTC, by the clock of whoever changed it
    by: str  #: who that was, as user@host
    event: Any  #: a `ClusterEvent`, or `UnknownEvent` where a later version wrote it


class StoredChange(NamedTuple):
    """A change and where it stands."""

    position: int  #: in the stream
    version: int  #: in its cluster, from 1
    slug: str
    change: Change


class _Typed(Change, frozen=True, array_like=True):
    event: ClusterEvent


_encoder = msgspec.msgpack.Encoder()
_typed = msgspec.msgpack.Decoder(_Typed)
_untyped = msgspec.msgpack.Decoder(Change)
_TAGS = {event.__struct_config__.tag for event in get_args(ClusterEvent)}


def encode_change(version: int, change: Change) -> bytes:
    """Return the payload that stores this change as its cluster's `version`."""
    return encode_record(version, TOPIC, _encoder.encode(change))


def decode_change(payload: bytes) -> tuple[int, Change]:
    """Return version and change. Events of unknown tags become `UnknownEvent`. Errors: RecordError."""
    version, topic, state = decode_record(payload)
    if topic != TOPIC:
        raise RecordError(f"a record of topic {topic!r}, which is not known here")
    try:
        change = _untyped.decode(state)
        if isinstance(change.event, list) and change.event and change.event[0] not in _TAGS:
            tag, *fields = change.event
            return version, msgspec.structs.replace(change, event=UnknownEvent(tag, fields))
        return version, Change(*msgspec.structs.astuple(_typed.decode(state)))
    except (*UNDECODABLE, TypeError) as error:
        raise RecordError(f"not a change of a cluster: {error}") from error


async def append_change(
    client: Wire, names: Names, slug: str, version: int, change: Change, *, after: int
) -> int:
    """Store a change as the cluster's `version`, make the stream if there is none, and return the position.

    Shape:  `after` is the position of the cluster's last change, 0 if there is none.
    Errors: Superseded when it is not; ServerUnsuitable when the stream cannot be made, or takes no more.
    """
    try:
        # Always, as changes are rare: without a stream, whoever listens for changes would take this one for delivered.
        await make_stream(client, names)
        return await in_stream(
            lambda: append(client, names.cluster_subject(slug), encode_change(version, change), after=after),
            lambda: make_stream(client, names),
        )
    except JetStreamError as error:
        raise ServerUnsuitable(f"the stream {names.clusters_stream} refused the change: {error}") from error


async def make_stream(client: Wire, names: Names) -> None:
    """Make the stream, or check the one that exists. Errors: as `ensure_beside_log`."""
    await ensure_beside_log(client, names, log_settings(names.clusters_stream, [names.cluster_subjects]))


async def read_changes(client: Wire, names: Names, *, after: int) -> list[StoredChange]:
    """Return all changes behind position `after`, up to the newest one there is now; [] without a stream.

    Errors: JobLedgerError where a message cannot be decoded; ServerAway when the newest cannot be had just now.
    """
    newest = await _newest(client, names)
    found: list[StoredChange] = []
    skip = len(names.cluster_subject(""))
    if after < newest:
        async for position, subject, payload in acknowledged_messages(
            client, names.clusters_stream, names.cluster_subjects, after + 1
        ):
            found.append(StoredChange(position, *_decoded(position, subject[skip:], payload)))
    return found


async def _newest(client: Wire, names: Names) -> int:
    """Return the position of the last change, 0 if there is none: the leader of the stream knows."""
    try:
        info = await jetstream(client, f"STREAM.INFO.{names.clusters_stream}", {})
    except JetStreamError as error:
        if error.code == STREAM_NOT_FOUND:
            return 0
        raise
    newest: int = info["state"]["last_seq"]
    return newest


def _decoded(position: int, slug: str, payload: bytes) -> tuple[int, str, Change]:
    try:
        version, change = decode_change(payload)
    except RecordError as error:
        raise JobLedgerError(
            f"the history of the clusters is damaged at position {position}, in cluster {slug!r}: {error}. Restore the "
            "stream from a backup"
        ) from error
    return version, slug, change
