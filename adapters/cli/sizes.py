"""Numbers of bytes as people type them: `500MB`, `10GB`, `64MiB`, `0`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

from cyclopts import Parameter, Token

_UNITS: dict[str, int] = {"": 1, "B": 1} | {
    f"{letter}{suffix}": base**power
    for power, letter in enumerate("KMGT", 1)
    for suffix, base in (("B", 1000), ("iB", 1024))
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)", re.ASCII | re.IGNORECASE)
_BY_LOWER = {unit.lower(): size for unit, size in _UNITS.items()}


def size_from(text: str) -> int:
    """Return the number of bytes that is meant. Errors: ValueError.

    >>> [size_from(text) for text in ("0", "1.5kB", "10GB", "64 MiB")]
    [0, 1500, 10000000000, 67108864]
    """
    found = _SIZE.fullmatch(text.strip())
    unit = _BY_LOWER.get(found[2].lower()) if found else None
    if found is None or unit is None:
        raise ValueError(
            f"{text!r} is no number of bytes: write a number with a unit, such as 500MB, 10GB or 64MiB"
        )
    return round(float(found[1]) * unit)


def _bytes(kind: Any, tokens: Sequence[Token]) -> int:
    return size_from(tokens[0].value)


#: a number of bytes
Bytes: TypeAlias = Annotated[int, Parameter(converter=_bytes, metavar="SIZE")]
#: how large a log may become
MaxBytes: TypeAlias = Annotated[
    Bytes | None,
    Parameter(
        help="How large the log may become, such as 10GB; 0: as large as the server has room for. It stays so until it is "
        "set again. Before it is full, new jobs are refused, so that what runs can end. Without it: as it is."
    ),
]
