"""Whatever users attach to lines and spans, as data that can be stored. Nothing here raises."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import date, time
from enum import Enum
from os import PathLike
from typing import Any
from uuid import UUID

_MAX_TEXT = 4096  # characters of one value
_MAX_ITEMS = 64  # of one collection, and attributes of one line
_MAX_DEPTH = 4
_WIDEST = range(-(2**63), 2**64)  # whole numbers MessagePack can hold


def attributes(given: Mapping[Any, Any]) -> dict[str, Any]:
    """Return attributes as they are stored: names are text, values plain data."""
    return {text(name): plain(value) for name, value in list(given.items())[:_MAX_ITEMS]}


def plain(value: Any, depth: int = 0) -> Any:
    """Return `value` as MessagePack can hold it: numbers, text and collections of them; anything else as its text.

    >>> plain({"size": (1, 2.5), "raw": b"x", "big": 2**70})
    {'size': [1, 2.5], 'raw': 'x', 'big': '1180591620717411303424'}
    """
    kind = type(value)
    if value is None or kind is bool or kind is float:
        return value
    if kind is str:
        return text(value)
    if kind is int:
        return value if value in _WIDEST else str(value)
    try:
        return _converted(value, depth)
    except Exception:  # noqa: BLE001  the objects of users may raise anything
        return f"<{kind.__name__}>"


def _converted(value: Any, depth: int) -> Any:
    if isinstance(value, Enum):
        return plain(value.value, depth)
    if isinstance(value, bytes | bytearray):
        return text(bytes(value[:_MAX_TEXT]).decode("utf-8", "backslashreplace"))
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, UUID | PathLike | str):
        return text(value)
    if isinstance(value, Mapping | list | tuple | AbstractSet) and depth < _MAX_DEPTH:
        items = list(value.items() if isinstance(value, Mapping) else value)[:_MAX_ITEMS]
        if isinstance(value, Mapping):
            return {text(key): plain(one, depth + 1) for key, one in items}
        return [plain(one, depth + 1) for one in items]
    if getattr(value, "ndim", None) == 0:  # a number of numpy and its kin
        return plain(value.item(), _MAX_DEPTH)
    return text(repr(value))


def text(value: object) -> str:
    """Return text that can be stored, of at most 4096 characters: half characters become question marks."""
    try:
        return cut(str(value), _MAX_TEXT).encode("utf-8", "replace").decode()
    except Exception:  # noqa: BLE001  as above
        return f"<{type(value).__name__}>"


def cut(shown: str, limit: int) -> str:
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
