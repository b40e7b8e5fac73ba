"""Tables for people: a row is one line. On a terminal they fit its width, and states have colours."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence

from rich.cells import cell_len, set_cell_size

_GAP = "  "
_BOLD = "1"
#: how the names of states are coloured
STATES = {
    "COMPLETED": "32",
    "COMPUTED": "32",
    "FAILED": "1;31",
    "FAILED_OPTIONAL": "31",
    "CANCELED": "33",
    "ABANDONED": "33",
    "SKIPPED": "33",
    "RUNNING": "36",
    "running": "32",  # a server
    "ok": "32",  # what the doctor found
    "warning": "33",
    "failed": "1;31",
    "unknown": "35",
}
#: columns of other people's words, which may be cut; and to how many characters
_WORDS = {"name": 16, "display": 16, "waiting": 24, "error": 24, "labels": 24, "description": 24}
_LEAST = 3  # columns that are always there


def table(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> str:
    """Return a line of headings and one for each row. Shape: the first columns matter most.

    On a terminal that is too narrow words are cut, and then the last columns left out: what is copied stays whole.
    """
    widths = {name: max(cell_len(_title(name)), *(cell_len(row[name]) for row in rows)) for name in columns}
    if sys.stdout.isatty():
        widths = _fitted(widths, shutil.get_terminal_size().columns)
    lines = [_line([(_title(name), _BOLD, width) for name, width in widths.items()])]
    lines += [
        _line([(row[name], _style(name, row[name]), width) for name, width in widths.items()]) for row in rows
    ]
    return "\n".join(lines)


def listing(facts: Mapping[str, str]) -> str:
    """Return a line for each fact: its name and what it is, wrapped nowhere."""
    width = max((cell_len(_title(name)) for name in facts), default=0)
    indent = "\n" + " " * (width + len(_GAP))
    return "\n".join(
        _line([(_title(name), _BOLD, width), (text.replace("\n", indent), _style(name, text), 0)])
        for name, text in facts.items()
    )


def styled_state(text: str, width: int) -> str:
    """Return a state in its colour, in so many cells of the terminal."""
    return _styled(_cut(text, width), STATES.get(text, ""))


def _fitted(widths: dict[str, int], room: int) -> dict[str, int]:
    def needed() -> int:
        return sum(widths.values()) + len(_GAP) * (len(widths) - 1)

    if needed() <= room:
        return widths
    widths = {name: min(width, _WORDS.get(name, width)) for name, width in widths.items()}
    while needed() > room and len(widths) > _LEAST:
        widths.popitem()
    return widths


def _line(cells: Sequence[tuple[str, str, int]]) -> str:
    padded = [_styled(_cut(text, width), style) for text, style, width in cells[:-1]]
    text, style, width = cells[-1]
    return _GAP.join([*padded, _styled(_cut(text, width).rstrip(" "), style)]).rstrip(" ")


def _cut(text: str, width: int) -> str:
    """Return the text in exactly so many cells of the terminal; as it is for 0."""
    if not width:
        return text
    return set_cell_size(text, width) if cell_len(text) <= width else f"{set_cell_size(text, width - 1)}…"


def _styled(text: str, style: str) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if style and text and coloured() else text


def _style(name: str, text: str) -> str:
    return STATES.get(text, "") if name == "state" else ""


def _title(name: str) -> str:
    return name.replace("_", " ")


def coloured() -> bool:
    """Whether there is a terminal that is to show colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
