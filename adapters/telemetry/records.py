"""What the telemetry stream holds: batches of lines and spans of one job, in MessagePack.

Structures are arrays; fields are only ever appended, with a default, and tags never reused. A record of a tag that is
not known here is passed over. Times are nanoseconds since 1970 UTC by the runner's clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from jobledger.core.undecodable import UNDECODABLE

from .plain import cut

MAX_RECORD = 64 * 1024  # bytes of one encoded record; what is larger loses its attributes and events
_MAX_BODY = 16 * 1024  # characters of a message


class Line(msgspec.Struct, array_like=True, tag=1):
    """A line a task logged."""

    at: int
    level: int  #: as `logging` numbers levels
    body: str
    task: int
    attempt: int
    attributes: dict[str, Any] = {}
    span: bytes = b""  #: the innermost span that was open; empty: that of the attempt
    trace: bytes = b""  #: empty: that of the job


class Happened(msgspec.Struct, array_like=True):
    """Something at one moment of a span."""

    at: int
    name: str
    attributes: dict[str, Any] = {}


class Spanned(msgspec.Struct, array_like=True, tag=2):
    """A span a task opened and closed."""

    id: bytes
    parent: bytes  #: empty: the span of the attempt
    name: str
    started: int
    stopped: int
    task: int
    attempt: int
    status: int = 0  #: as OpenTelemetry numbers them: 0 unset, 1 ok, 2 error
    message: str = ""  #: what the status says
    attributes: dict[str, Any] = {}
    events: list[Happened] = []
    trace: bytes = b""  #: empty: that of the job


class AttemptSpan(msgspec.Struct, array_like=True, tag=3):
    """The attempt is a span of this id to the user's OpenTelemetry, which makes ids of its own."""

    task: int
    attempt: int
    id: bytes


class SealedRecord(msgspec.Struct, array_like=True, tag=4):
    """A line or a span of a sealed job, encrypted: see `sealing.seal`."""

    key: str  #: name of the key
    data: bytes


Record: TypeAlias = Line | Spanned | AttemptSpan | SealedRecord


class Batch(msgspec.Struct, array_like=True):
    """One message of the stream: what one runner has of one job since its message before."""

    id: bytes  #: 16 bytes; a batch that is sent again has the same
    runner: str
    trace: bytes  #: of the job
    dropped: int  #: records that were lost before these
    records: list[msgspec.Raw]


_encode = msgspec.msgpack.Encoder().encode
_decode_batch = msgspec.msgpack.Decoder(Batch).decode
_decode_record: Callable[[bytes], Record] = msgspec.msgpack.Decoder(Record).decode


def encode_record(record: Record) -> bytes:
    """Return the bytes of a record, which are at most about MAX_RECORD. Its values are plain (see `plain`)."""
    encoded = _encode(record)
    if len(encoded) <= MAX_RECORD or isinstance(record, AttemptSpan | SealedRecord):
        return encoded
    short = {"jobledger.truncated": True}
    if isinstance(record, Line):
        return _encode(msgspec.structs.replace(record, body=cut(record.body, _MAX_BODY), attributes=short))
    return _encode(msgspec.structs.replace(record, attributes=short, events=[]))


def decode_record(data: bytes) -> Record | None:
    """Return a record; None for what cannot be read, such as one of a later version."""
    try:
        return _decode_record(data)
    except UNDECODABLE:
        return None


def encode_batch(batch: Batch) -> bytes:
    return _encode(batch)


def decode_batch(payload: bytes) -> tuple[Batch, list[Record]] | None:
    """Return the batch and its records, without those that cannot be read; None for what is no batch."""
    try:
        batch = _decode_batch(payload)
    except UNDECODABLE:
        return None
    records = map(decode_record, batch.records)
    return batch, [record for record in records if record is not None]
