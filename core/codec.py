"""Commits <-> bytes, and the chain that makes a history checkable.

A commit is the ordered events of one or more decisions about one job: all or nothing. It is stored as the MessagePack
array ``[id, previous, at, writer, settled, events]``; where it stands (job, version) is stored around it.
"""

from __future__ import annotations

import hashlib
from typing import Any, get_args

import msgspec

from .events import Event, UnknownEvent
from .upcasts import upcast

#: names the layout of `Commit` in the log
TOPIC = "jobledger.commit.v1"
#: what the first commit of a job carries instead of a hash
NO_PREVIOUS = bytes(32)


class Commit(msgspec.Struct, array_like=True, frozen=True):
    """What was written about one job in one message."""

    id: bytes  #: 16 bytes, chosen by the writer: whoever lost an acknowledgement knows its own commit again
    previous: bytes  #: SHA-256 of the stored payload of the commit before it in its job
    at: int  #: when it was decided, µs since 1970 UTC by the engine's clock
    writer: str  #: the engine that wrote it
    settled: bool  #: whether the job is settled after it
    events: list[Any]  #: of `Event`, or `UnknownEvent` where a later version wrote it


class _Typed(Commit, frozen=True, array_like=True):
    events: list[Event]


class CodecError(ValueError):
    """The bytes are not a commit."""


#: what msgspec raises at bytes that are not what they should be; it passes on the last two as they are
_DAMAGED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

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
    except _DAMAGED as error:
        raise CodecError(f"not a commit: {error}") from error


def _decode_with_unknown(data: bytes) -> Commit:
    try:
        commit = _untyped.decode(data)
        events = [_decode_event(raw) for raw in commit.events]
    except _DAMAGED as error:
        raise CodecError(f"not a commit: {error}") from error
    return msgspec.structs.replace(commit, events=events)


def _decode_event(raw: Any) -> Any:
    if not isinstance(raw, list) or not raw:
        raise CodecError(f"not an event: {raw!r:.80}")
    if not isinstance(raw[0], int):
        return UnknownEvent(raw[0], raw[1:])
    try:
        raw = upcast(raw)
    except (ValueError, TypeError, LookupError) as error:
        raise CodecError(f"not an event of the retired tag {raw[0]}: {error!r}") from error
    known = _TAGS.get(raw[0])
    return UnknownEvent(raw[0], raw[1:]) if known is None else msgspec.convert(raw, known)


def digest(payload: bytes) -> bytes:
    """Return the SHA-256 (32 bytes) by which the next commit of the job names this stored payload."""
    return hashlib.sha256(payload).digest()
