"""What commands print: tables for people, JSON for programs. Only data goes to stdout.

Names, labels and messages come from other people's programs: where a person looks at them, characters that could
command the terminal are shown instead of sent.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

from cyclopts import Parameter

Format: TypeAlias = Literal["table", "json", "jsonl"]
Output: TypeAlias = Annotated[
    Format,
    Parameter(
        name=["--output", "-o"],
        show_default=True,
        help="A table for people; json, one value; or jsonl, one object a line, as they come.",
    ),
]


def rows(found: Iterable[Mapping[str, Any]], output: Format, *, columns: Sequence[str] = ()) -> None:
    """Print facts about several things. A table shows `columns` (all, if none are named); JSON shows everything."""
    if output == "jsonl":
        for one in found:
            _value(one)
    elif output == "json":
        _value(list(found), indent=1)
    else:
        _table(list(found), columns)


def facts(one: Mapping[str, Any], output: Format) -> None:
    """Print facts about one thing."""
    if output == "table":
        from .tables import listing

        # A person need not be told what there is not.
        shown = {name: printable(_shown(value)) for name, value in one.items()}
        _write(listing({name: text for name, text in shown.items() if text}))
    else:
        _value(one, indent=1 if output == "json" else None)


def stream(found: Iterable[tuple[str, Mapping[str, Any]]], output: Format) -> None:
    """Print what comes one by one, each as a line to read and as facts. JSON, being one value, comes at the end."""
    if output == "table":
        for text, _ in found:
            line(text)
    else:
        rows((one for _, one in found), output)


def value(data: Any) -> None:
    """Print any JSON data."""
    _value(data, indent=1)


def text(data: str) -> None:
    """Print text that a program reads, as it is."""
    _write(data)


def line(text: str) -> None:
    """Print a line to read."""
    _write(printable(text))


def say(text: str) -> None:
    """Tell a person something that is not data."""
    sys.stderr.write(f"{printable(text)}\n")


def printable(text: str) -> str:
    """Return text with nothing in it that commands a terminal; line breaks and tabs stay.

    >>> printable("red \\x1b[31m alert")
    'red \\\\x1b[31m alert'
    """
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one in "\n\t" else one.encode("unicode_escape").decode() for one in text
    )


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()  # who reads a pipe wants to see each line when it is there


def _value(data: Any, indent: int | None = None) -> None:
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    _write(json.dumps(_plain(data), ensure_ascii=encoding != "utf8", indent=indent))


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    if isinstance(value, str | int | float) or value is None:
        return value
    return str(value)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value.isoformat(' ', 'seconds').removesuffix('+00:00')}Z"
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.3f} s"
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{_shown(key)}={_shown(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value))
    return str(_plain(value))


def _table(found: list[Mapping[str, Any]], columns: Sequence[str]) -> None:
    from .tables import table

    if not found:
        say("nothing found")
        return
    names = columns or list(found[0])
    rows = [{name: printable(" ".join(_shown(one.get(name)).split())) for name in names} for one in found]
    _write(table(rows, names))
