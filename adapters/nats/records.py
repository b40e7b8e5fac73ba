"""One stored event <-> one JetStream message: the only place that knows the bytes on the wire.

The eventsourcing recorders and the engine's asynchronous append both go through here, so either reads what the
other wrote. A message's payload is the MessagePack array ``[format, version, topic, state]``; the originator is
the last token of the subject. Nothing lives in headers, so that a hash over the payload covers everything.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from jobledger.core.undecodable import UNDECODABLE

#: the layout below; another number is refused rather than guessed at
FORMAT = 1


class Record(NamedTuple):
    """What one message carries besides its subject."""

    version: int  #: number of the event within its originator
    topic: str  #: names the class of the event, as eventsourcing understands topics
    state: bytes  #: the encoded event


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[int, int, str, bytes])


class RecordError(ValueError):
    """The bytes are not a record of a known format."""


def encode_record(version: int, topic: str, state: bytes) -> bytes:
    """Return the payload that stores this event.

    >>> encode_record(1, "t", b"s").hex(" ")
    '94 01 01 a1 74 c4 01 73'
    """
    return _encoder.encode((FORMAT, version, topic, state))


def decode_record(payload: bytes) -> Record:
    """Return what `encode_record` was given.

    Errors: RecordError when the payload is damaged, or of a format this version does not know.
    """
    try:
        layout, version, topic, state = _decoder.decode(payload)
    except UNDECODABLE as error:
        raise RecordError(f"not a record: {error}") from error
    if layout != FORMAT:
        raise RecordError(f"record format {layout} is not known here (known: {FORMAT})")
    if not 0 <= version < 2**63:
        raise RecordError(f"{version} is no version")
    return Record(version, topic, state)
