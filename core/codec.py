"""Commits <-> bytes, and the chain that makes a history checkable.

A commit is the ordered events of one or more decisions about one job: all or nothing. It is stored as the MessagePack
array ``[id, previous, at, writer, settled, events]``; where it stands (job, version) is stored around it.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, TypeAlias, get_args

import msgspec
from msgspec import Meta

from .events import Event, UnknownEvent
from .limits import MOST_NESTED
from .undecodable import UNDECODABLE
from .upcasts import upcast

#: names the layout of `Commit` in the log
TOPIC = "jobledger.commit.v1"
#: what the first commit of a job carries instead of a hash
NO_PREVIOUS = bytes(32)


#: a number that fits 64 bits with its sign, as every array and every database has it
Int64: TypeAlias = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class Commit(msgspec.Struct, array_like=True, frozen=True):
    """What was written about one job in one message."""

    id: bytes  #: 16 bytes, chosen by the writer: whoever lost an acknowledgement knows its own commit again
    previous: bytes  #: SHA-256 of the stored payload of the commit before it in its job
    at: Int64  #: when it was decided, µs since 1970 UTC by the engine's clock
    writer: str  #: the engine that wrote it
    settled: bool  #: whether the job is settled after it
    events: list[Any]  #: of `Event`, or `UnknownEvent` where a later version wrote it


class _Typed(Commit, frozen=True, array_like=True):
    events: list[Event]


class CodecError(ValueError):
    """The bytes are not a commit."""


_encoder = msgspec.msgpack.Encoder()
_typed = msgspec.msgpack.Decoder(_Typed)
_untyped = msgspec.msgpack.Decoder(Commit)
_TAGS = {event.__struct_config__.tag: event for event in get_args(Event)}


def encode_commit(commit: Commit) -> bytes:
    """Return the bytes of `commit`. Unknown events are written back as they were read."""
    if any(type(event) is UnknownEvent for event in commit.events):
        events = [[e.tag, *e.fields] if type(e) is UnknownEvent else e for e in commit.events]
        commit = msgspec.structs.replace(commit, events=events)
    return _encoder.encode(commit)


def decode_commit(data: bytes) -> Commit:
    """Return the commit. Events of retired tags become their successors, those of unknown tags `UnknownEvent`.

    Errors: CodecError if the bytes are damaged, or an event of a known tag has the wrong shape.
    """
    try:
        return Commit(*msgspec.structs.astuple(_typed.decode(data)))
    except msgspec.ValidationError:
        return _decode_with_unknown(data)
    except UNDECODABLE as error:
        raise CodecError(f"not a commit: {error}") from error


def _decode_with_unknown(data: bytes) -> Commit:
    try:
        commit = _untyped.decode(data)
        events = [_decode_event(raw) for raw in commit.events]
    except UNDECODABLE as error:
        raise CodecError(f"not a commit: {error}") from error
    return msgspec.structs.replace(commit, events=events)


def _decode_event(raw: Any) -> Any:
    if not isinstance(raw, list) or not raw:
        raise CodecError(f"not an event: {raw!r:.80}")
    if not isinstance(raw[0], int):
        return _unknown(raw)
    try:
        raw = upcast(raw)
    except (ValueError, TypeError, LookupError) as error:
        raise CodecError(f"not an event of the retired tag {raw[0]}: {error!r}") from error
    known = _TAGS.get(raw[0])
    return _unknown(raw) if known is None else msgspec.convert(raw, known)


def _unknown(raw: list[Any]) -> UnknownEvent:
    """Return an event of a later version. Whoever shows it walks through it: it is no deeper than anybody can walk."""
    level: list[Any] = [raw]
    depth = 0
    while level := [part for one in level if isinstance(one, list | dict) for part in _parts(one)]:
        depth += 1
        if depth > MOST_NESTED:
            raise CodecError(
                f"an event of the unknown tag {raw[0]!r:.80} is nested more than {MOST_NESTED} deep"
            )
    return UnknownEvent(raw[0], raw[1:])


def _parts(value: list[Any] | dict[Any, Any]) -> list[Any]:
    return value if isinstance(value, list) else [*value.keys(), *value.values()]


def digest(payload: bytes) -> bytes:
    """Return the SHA-256 (32 bytes) by which the next commit of the job names this stored payload."""
    return hashlib.sha256(payload).digest()
