"""Valid bytes, and what a careless or a malicious sender may make of them.

Two ways: `damaged` knows nothing of what the bytes mean, `lied_about` changes one value in a MessagePack or JSON document
and leaves the rest well-formed, so that what is behind the first checks is reached as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Literal

import msgspec

from .hostile import VALUES

_HEADERS = (  # MessagePack headers that promise more than there is
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xdb\x7f\xff\xff\xff",
    b"\xdc\xff\xff",
    b"\xde\xff\xff",
    b"\xc9\xff\xff\xff\xff\x00",
    b"\xd7\xff" + b"\xff" * 8,
)
_JSON = (b"[" * 200, b'{"a":' * 200, b"NaN", b"1e999", b"9" * 400, b'"\\ud800"', b"\xff\xfe", b"\0", b'""""')
_DEEP = 100_000  # arrays in each other: more than any recursion takes


def damaged(data: bytes, random: Random, others: Sequence[bytes] = ()) -> bytes:
    """Return the bytes after one to four accidents; `others` are what pieces may come from."""
    for _ in range(random.choice((1, 1, 2, 4))):
        data = random.choice(_ACCIDENTS)(data, random, others)
    return data


def lied_about(data: bytes, random: Random, *, json: bool = False) -> bytes:
    """Return a MessagePack (or JSON) document in which up to three values have become others of any kind."""
    code: Any = msgspec.json if json else msgspec.msgpack
    tree = code.decode(data)
    for _ in range(random.choice((1, 1, 2, 3))):
        tree = _replaced(tree, random, [value for value in VALUES if not (json and isinstance(value, bytes))])
    return bytes(code.encode(tree))


def _replaced(tree: Any, random: Random, values: Sequence[Any]) -> Any:
    if isinstance(tree, list) and tree and random.random() < 0.9:
        roll, index = random.random(), random.randrange(len(tree))
        if roll < 0.05:
            return tree[:index]
        if roll < 0.1:
            return [*tree, random.choice(values)]
        if roll < 0.15:
            return [*tree[:index], tree[index], *tree[index:]]
        return [*tree[:index], _replaced(tree[index], random, values), *tree[index + 1 :]]
    if isinstance(tree, dict) and tree and random.random() < 0.9:
        key = random.choice(list(tree))
        if random.random() < 0.1:
            return {other: value for other, value in tree.items() if other != key}
        return {**tree, key: _replaced(tree[key], random, values)}
    alike = [value for value in values if type(value) is type(tree)]
    # mostly of the same kind: others are refused by the first look at them
    return random.choice(alike if alike and random.random() < 0.7 else values)


def _flip(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    if not data:
        return b"\x01"
    place = random.randrange(len(data))
    return data[:place] + bytes((data[place] ^ (1 << random.randrange(8)),)) + data[place + 1 :]


def _overwrite(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    place = random.randrange(len(data) + 1)
    piece = random.choice((b"\0", b"\xff", b"\xc1", b"\x80", b"\x90", random.randbytes(3), *_HEADERS, *_JSON))
    return data[:place] + piece + data[place + len(piece) :]


def _insert(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    place = random.randrange(len(data) + 1)
    return data[:place] + random.choice((random.randbytes(4), *_HEADERS, *_JSON)) + data[place:]


def _truncate(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _cut(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    start, stop = _stretch(data, random)
    return data[:start] + data[stop:]


def _double(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    start, stop = _stretch(data, random)
    return data[:stop] + data[start:stop] * random.choice((1, 1, 3)) + data[stop:]


def _splice(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    other = random.choice(others) if others else data
    start, stop = _stretch(other, random)
    place = random.randrange(len(data) + 1)
    return data[:place] + other[start:stop] + data[place:]


def _length(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """Some integer, wherever it stands, is a little or very much larger or smaller."""
    if len(data) < 8:
        return data
    size = random.choice((1, 2, 4, 8))
    place = random.randrange(len(data) - size + 1)
    order: Literal["big", "little"] = "big" if random.random() < 0.5 else "little"
    value: int = int.from_bytes(data[place : place + size], order)
    changed: int = (
        random.choice((value + 1, value - 1, value * 2, 0, 256**size - 1, 256**size // 2)) % 256**size
    )
    return data[:place] + changed.to_bytes(size, order) + data[place + size :]


def _bury(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    place = random.randrange(len(data) + 1)
    return data[:place] + random.choice((b"\x91", b"\x81\xa0", b"[", b'{"":')) * _DEEP + data[place:]


def _stretch(data: bytes, random: Random) -> tuple[int, int]:
    start = random.randrange(len(data) + 1)
    return start, min(len(data), start + random.choice((1, 2, 8, 64, 512)))


_ACCIDENTS: tuple[Callable[[bytes, Random, Sequence[bytes]], bytes], ...] = (
    *(_flip, _flip, _overwrite, _overwrite, _insert, _truncate, _cut, _double, _splice, _length, _length),
    _bury,
)
