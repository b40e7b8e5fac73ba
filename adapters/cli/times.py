"""Times as people type them: `90`, `15m`, `2h` and `2026-05-01T12:00`; and positions of the log.

Each function is a converter for an option. Its error names the value and what could be written instead.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeAlias

from cyclopts import Parameter, Token

_UNITS = {"": 1, "ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_LENGTH = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(ms|[smhdw]?)")
_POSITION = re.compile(r"#?(\d{1,19})", re.ASCII)
_LONGEST = 100 * 365 * 86400  # seconds; what is longer is a typing error
_LENGTHS = "seconds, or a number with a unit, such as 90s, 15m, 2h or 3d"
_MOMENTS = "an ISO 8601 time such as 2026-05-01T12:00 (UTC unless it names a zone)"


def _seconds(kind: Any, tokens: Sequence[Token]) -> float:
    text = tokens[0].value
    length = _length(text)
    if length is None:
        raise ValueError(f"{text!r} is no length of time: write {_LENGTHS}")
    return length


def _past(kind: Any, tokens: Sequence[Token]) -> datetime:
    return _moment(tokens[0].value, -1, "ago")


def _point(kind: Any, tokens: Sequence[Token]) -> int | datetime:
    return point_from(tokens[0].value)


def point_from(text: str) -> int | datetime:
    """Return the position of the log, or the time, that is meant. Errors: ValueError."""
    text = text.strip()
    position = _POSITION.fullmatch(text)
    if position:
        return int(position[1])
    try:
        return _moment(text, -1, "ago")
    except ValueError:
        raise ValueError(
            f"{text!r} is neither a position of the log, such as 4711 or #4711, nor a time: write {_MOMENTS}, or how long "
            "ago: a number with a unit, such as 90s, 15m, 2h or 3d"
        ) from None


def _future(kind: Any, tokens: Sequence[Token]) -> datetime:
    return _moment(tokens[0].value, 1, "from now")


def _length(text: str) -> float | None:
    match = _LENGTH.fullmatch(text.strip())
    length = float(match[1]) * _UNITS[match[2]] if match else math.inf
    return length if length <= _LONGEST else None


def _moment(text: str, direction: int, meant: str) -> datetime:
    length = _length(text)
    if length is not None:
        return datetime.now(UTC) + direction * timedelta(seconds=length)
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is no time: write {_MOMENTS}, or how long {meant}: {_LENGTHS}") from None
    return moment.replace(tzinfo=moment.tzinfo or UTC)


#: a length of time, in seconds
Seconds: TypeAlias = Annotated[float, Parameter(converter=_seconds, metavar="SECONDS")]
#: a moment; a length of time counts back from now
Past: TypeAlias = Annotated[datetime, Parameter(converter=_past, metavar="TIME")]
#: a moment; a length of time counts from now on
Future: TypeAlias = Annotated[datetime, Parameter(converter=_future, metavar="TIME")]
#: a position of the log, or a moment; a length of time, which needs a unit here, counts back from now
At: TypeAlias = Annotated[int | datetime, Parameter(converter=_point, metavar="POSITION|TIME")]
#: the same, for what is shown as it was then
AsOf: TypeAlias = Annotated[
    At | None,
    Parameter(
        name="--at",
        help="As of a position of the log (4711 or #4711), a time, or so long ago (2h), instead of now.",
    ),
]
