"""The files in which a nats-server keeps a stream, read without it.

A stream is a folder: `meta.inf` has its settings and `meta.sum` their checksum; `msgs/1.blk`, `2.blk`, … have the messages,
and `msgs/index.db`, which is written when the server stops, says where they end. All integers are little-endian. A
message is

    u32 length of all of it, with the highest bit set where it has headers; u64 position; i64 time in ns;
    u16 length of the subject; subject; u32 length of the headers and the headers, where it has some; payload; checksum

and its checksum is the HighwayHash-64, keyed with the SHA-256 of "<stream>-<number of the block>", of position, time,
subject, headers and payload. That of the other files is keyed with the SHA-256 of the stream's name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from struct import Struct
from typing import Any, NamedTuple

import msgspec

from jobledger.core.undecodable import UNDECODABLE
from jobledger.projections.audit import Finding, FindingKind, Findings

from ..nats.names import Names
from .highway import HighwayHash
from .unusable import UnusableInput

_HEAD = Struct("<IQqH")
_HEADERS = 1 << 31
_DELETED = 1 << 63
_CHECKSUM = 8
_LEAST = _HEAD.size + _CHECKSUM
_LARGEST_BLOCK = 256 * 1024 * 1024  # bytes; servers begin a new one at 8 MB
_LARGEST_FILE = 1024 * 1024 * 1024  # bytes of index.db: 1,000,000 subjects take 60 MB
_COMPRESSED = b"cmp"
_TRIES = 10_000  # places looked at for the next message behind a damaged one
_STOP = "start a nats-server on a copy of the folder, and run `jobledger audit verify --url` against it"


class Message(NamedTuple):
    """A message as it is on disk."""

    position: int
    subject: str
    payload: bytes
    deleted: bool  #: only the note that it was deleted
    sound: bool  #: its checksum fits
    size: int


class Damage(NamedTuple):
    """Bytes that are no sound message."""

    message: Message | None  #: what they say, where they can be read as one
    cut: bool  #: the file ends within them
    place: str


class End(NamedTuple):
    """What the server noted when it stopped."""

    last: int  #: position of the last message
    totals: dict[str, int]  #: how many messages each subject has


class Store:
    """The files of one stream. Errors: UnusableInput where they are not there, or are compressed or encrypted."""

    def __init__(self, folder: Path, names: Names) -> None:
        self.folder = _stream_folder(folder, names.log_stream)
        self._stream = names.log_stream
        self._prefix = names.log_subject("").encode()
        messages = self.folder / "msgs"
        if list(messages.glob("*.key")):
            raise UnusableInput(f"the store {self.folder} is encrypted: {_STOP}")
        numbers = [int(path.stem) for path in messages.glob("*.blk") if path.stem.isdecimal()]
        self._blocks = [(number, messages / f"{number}.blk") for number in sorted(numbers)]
        for _, path in self._blocks:
            with _opened(path) as file:
                if file.read(len(_COMPRESSED)) == _COMPRESSED:
                    raise UnusableInput(f"the store {self.folder} is compressed: {_STOP}")

    def __iter__(self) -> Iterator[Message | Damage]:
        """Yield what is stored, in order."""
        for number, path in self._blocks:
            yield from self._block(number, path)

    def _block(self, number: int, path: Path) -> Iterator[Message | Damage]:
        checksum = HighwayHash(hashlib.sha256(f"{self._stream}-{number}".encode()).digest())
        data = _read(path, _LARGEST_BLOCK)
        offset = 0
        while offset < len(data):
            message = _parsed(data, offset, checksum)
            if message is not None and message.sound:
                yield message
                offset += message.size
                continue
            behind = self._next_sound(data, offset, checksum)
            bounded = message is not None and offset + message.size == behind
            cut = behind == len(data) and message is None
            yield Damage(message if bounded else None, cut, f"{path.name} at byte {offset:,}")
            offset = behind

    def _next_sound(self, data: bytes, offset: int, checksum: HighwayHash) -> int:
        """Return where the next sound message begins, or the end."""
        place = offset + _HEAD.size
        for _ in range(_TRIES):
            place = data.find(self._prefix, place + 1)
            if place < 0:
                break
            message = _parsed(data, place - _HEAD.size, checksum)
            if message is not None and message.sound:
                return place - _HEAD.size
        return len(data)

    # -- beside the messages --------------------------------------------------------------------------------------

    def settings(self, findings: Findings) -> dict[str, Any]:
        """Return the settings of the stream; {} where they cannot be read."""
        data = _read(self.folder / "meta.inf", _LARGEST_BLOCK)
        try:
            stated = _read(self.folder / "meta.sum", 1024)
        except UnusableInput:
            stated = b""
        if stated.strip() != self._plain_checksum(data).hex().encode():
            text = "the settings of the stream are not those that the server wrote"
            findings.add(Finding(FindingKind.EDITED, text, part="meta.inf or meta.sum"))
        try:
            found: dict[str, Any] = msgspec.json.decode(data, type=dict[str, Any])
        except UNDECODABLE:
            return {}
        return found

    def end(self, findings: Findings) -> End | None:
        """Return what the server noted when it stopped; None where there is no such note, or it is damaged."""
        path = self.folder / "msgs" / "index.db"
        if not path.exists():
            return None
        data = _read(path, _LARGEST_FILE)
        if len(data) < 2 * _CHECKSUM or self._plain_checksum(data[:-_CHECKSUM]) != data[-_CHECKSUM:]:
            text = "where the log ended when the server stopped is not what it wrote"
            findings.add(Finding(FindingKind.EDITED, text, part="index.db"))
            return None
        try:
            return _end_in(data)
        except (IndexError, ValueError):
            return None

    def _plain_checksum(self, data: bytes) -> bytes:
        return HighwayHash(hashlib.sha256(self._stream.encode()).digest()).digest(data)


def _parsed(data: bytes, offset: int, checksum: HighwayHash) -> Message | None:
    """Return the message at an offset; None where the lengths there cannot be those of one."""
    if offset < 0 or len(data) - offset < _LEAST:
        return None
    length, position, _, subject_length = _HEAD.unpack_from(data, offset)
    size = length & ~_HEADERS
    subject_end = offset + _HEAD.size + subject_length
    payload_end = offset + size - _CHECKSUM
    if size < _LEAST or offset + size > len(data) or subject_end > payload_end:
        return None
    begin = subject_end
    if length & _HEADERS:
        begin += 4 + int.from_bytes(data[subject_end : subject_end + 4], "little")
        if begin > payload_end:
            return None
    covered = data[offset + 4 : offset + 20] + data[offset + _HEAD.size : subject_end]
    covered += data[subject_end + 4 if length & _HEADERS else subject_end : payload_end]
    sound = checksum.digest(covered) == data[payload_end : payload_end + _CHECKSUM]
    subject = data[offset + _HEAD.size : subject_end].decode(errors="backslashreplace")
    deleted = bool(position & _DELETED)
    return Message(position & ~_DELETED, subject, data[begin:payload_end], deleted, sound, size)


def _end_in(data: bytes) -> End:
    if data[0] != 11 or not 1 <= data[1] <= 4:
        raise ValueError("another version")
    place = 2

    def number() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = data[place]
            place += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    for _ in range(4):  # messages, bytes, first position and its time
        number()
    last = number()
    number()
    totals: dict[str, int] = {}
    # Other versions tell of subjects in another way: then it is not known how many messages each has.
    with suppress(IndexError, UnicodeDecodeError):
        for _ in range(number()):
            length = number()
            subject = data[place : place + length].decode()
            place += length
            totals[subject] = number()
            number(), number()
        return End(last, totals)
    return End(last, {})


def _stream_folder(folder: Path, stream: str) -> Path:
    if not folder.is_dir():
        raise UnusableInput(
            f"{folder} is no folder: name the data folder, or the one that JetStream stores in"
        )
    if (folder / "msgs").is_dir():
        if folder.name != stream:
            raise UnusableInput(
                f"{folder} has the stream {folder.name!r:.80}, and {stream} is wanted: name its namespace"
            )
        return folder
    patterns = [f"{'*/' * depth}streams/{stream}" for depth in range(4)]
    found = [path for pattern in patterns for path in folder.glob(pattern) if (path / "msgs").is_dir()]
    if len(found) != 1:
        what = "several streams" if found else "no stream"
        raise UnusableInput(
            f"{folder} has {what} {stream}: name the folder of the right one, and the namespace"
        )
    return found[0]


def _opened(path: Path) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        raise UnusableInput(f"{path} cannot be read: {error.strerror}") from error


def _read(path: Path, limit: int) -> bytes:
    with _opened(path) as file:
        try:
            data: bytes = file.read(limit + 1)
        except OSError as error:
            raise UnusableInput(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > limit:
        raise UnusableInput(f"{path} has more than {limit:,} bytes: no nats-server writes that")
    return data
