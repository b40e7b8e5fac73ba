"""What a program did to files, one operation after the other, as the kernel said it was done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import msgspec


class Open(msgspec.Struct, tag="open", array_like=True, frozen=True):
    """A file or folder was opened, and made if it was not there."""

    at: float  #: when it was done, by CLOCK_MONOTONIC
    descriptor: int
    path: str  #: within the folder that is looked at, as in all of these; "." is the folder
    flags: int


class Close(msgspec.Struct, tag="close", array_like=True, frozen=True):
    """A descriptor is given back."""

    at: float
    descriptor: int


class Write(msgspec.Struct, tag="write", array_like=True, frozen=True):
    """Bytes were written at a place of a file."""

    at: float
    descriptor: int
    offset: int
    data: bytes


class Truncate(msgspec.Struct, tag="truncate", array_like=True, frozen=True):
    """A file was made this long."""

    at: float
    descriptor: int
    size: int


class Sync(msgspec.Struct, tag="sync", array_like=True, frozen=True):
    """The kernel said that a file, or the entries of a folder, are on the disk."""

    at: float
    descriptor: int


class Rename(msgspec.Struct, tag="rename", array_like=True, frozen=True):
    """A path was given to what was at another one, taking the place of what was there."""

    at: float
    old: str
    new: str


class Remove(msgspec.Struct, tag="remove", array_like=True, frozen=True):
    """A file, or an empty folder, was removed."""

    at: float
    path: str


class Make(msgspec.Struct, tag="make", array_like=True, frozen=True):
    """A folder was made."""

    at: float
    path: str


Operation: TypeAlias = Open | Close | Write | Truncate | Sync | Rename | Remove | Make

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Operation).decode


def encode(operation: Operation) -> bytes:
    """Return a record of a journal."""
    payload = _encode(operation)
    return len(payload).to_bytes(4) + payload


def read(journal: Path) -> Iterator[Operation]:
    """Yield what a journal tells."""
    data = memoryview(journal.read_bytes())
    while data:
        length = int.from_bytes(data[:4])
        yield _decode(data[4 : 4 + length])
        data = data[4 + length :]
