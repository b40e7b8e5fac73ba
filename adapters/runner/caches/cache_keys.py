"""What keys and values of a cache may be: the same for every cache.

A key is names joined by `/`, each fit to become the name of a file, or a part of an object's name or of a subject.

>>> key_names(("job",), "raw/scene 1.tif")
('job', 'raw', 'scene 1.tif')
>>> file_name("scene 1.tif")
'scene%201.tif'
"""

from __future__ import annotations

from typing import NoReturn
from urllib.parse import quote

from jobledger.core.errors import ArgumentError, NotFoundError

#: bytes of one name between slashes, once percent-encoded: file systems end at 255
MAX_NAME = 200
#: the same of a whole key with all groups it is in, two more for each name: names of objects end at 1024 bytes, and
#: begin with a prefix
MAX_KEY = 700

Names = tuple[str, ...]


def key_names(prefix: Names, key: object) -> Names:
    """Return the groups the key is in and its own name. Errors: ArgumentError."""
    if not isinstance(key, str):
        raise ArgumentError(
            f"a cache key is text, not {key!r}: nothing was read or stored. Pass str(…) of it"
        )
    names = tuple(key.split("/"))
    if not {"", ".", ".."}.isdisjoint(names):
        _refuse(
            key, "has an empty part, or one of dots: it is a name, not a path. Write it like 'group/name'"
        )
    try:
        encoded = [file_name(name) for name in (*prefix, *names)]
    except UnicodeEncodeError:
        _refuse(key, "holds half a character (a lone surrogate). Encode the text it came from first")
    if max(map(len, encoded)) > MAX_NAME or sum(len(name) + 2 for name in encoded) > MAX_KEY:
        _refuse(
            key,
            f"is too long: {MAX_NAME} bytes between slashes and {MAX_KEY} in all can be kept, where a character other "
            "than an ASCII letter, digit or one of _.-~ counts 3 for each of its bytes. Use a digest of it",
        )
    return (*prefix, *names)


def _refuse(key: str, reason: str) -> NoReturn:
    shown = repr(key) if len(key) <= 80 else f"{key[:80]!r}…"
    raise ArgumentError(f"the cache key {shown} {reason}. Nothing was read or stored")


def file_name(name: str) -> str:
    """Return a file name for it: never hidden, never `..`, never ending in `+`."""
    quoted = quote(name, safe="")
    return "%2E" + quoted[1:] if quoted.startswith(".") else quoted


def group_name(name: str) -> str:
    """Return a name for a group, so that a group and a key may be called the same: no `file_name` ends so."""
    return file_name(name) + "+"


def checked_value(key: str, value: object) -> bytes:
    """Return the value as bytes of its own. Errors: ArgumentError for anything but bytes."""
    if not isinstance(value, bytes | bytearray | memoryview):
        raise ArgumentError(
            f"the value for the cache key {key!r} is a {type(value).__name__}, not bytes: it was not stored. "
            "Encode it, such as json.dumps(value).encode()"
        )
    return bytes(value)


def missing_key(prefix: Names, key: str) -> NotFoundError:
    """Return the error for a key that is not there."""
    place = f" in group {'/'.join(prefix)!r}" if prefix else ""
    return NotFoundError(
        f"the cache has no key {key!r}{place}. A task that reads it must depend on the one that stores it, and their "
        "runners must share the cache"
    )
