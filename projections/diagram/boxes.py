"""How large a node is drawn: by its words."""

from __future__ import annotations

from dataclasses import dataclass

from .collapse import Node
from .looks import Look
from .words import lines_of, width

FONT = 13.0  # px, as all lengths here
SMALL = 11.0
LINE = 17.0
SMALL_LINE = 16.0
ICON = 16.0
PAD = 10.0
GAP = 7.0  # between an icon and its text
STACK = 4.0  # by which the sheet below a counted node sticks out
_MIN_WIDTH = 64.0


@dataclass(frozen=True, slots=True)
class Box:
    """The words of one node, and how much room they take."""

    lines: list[str]
    note: str  #: small line below, or empty
    chips: list[tuple[Look, str]]  #: counts by look, if they are mixed
    width: float
    height: float


def box_of(node: Node, *, whole: bool = False) -> Box:
    """Return what is drawn for a node; with `whole` all of its text."""
    lines = lines_of(node, whole=whole)
    mixed = len(node.looks) > 1
    chips = [(look, f"{count:,}") for look, count in node.looks.items()] if mixed else []
    note = "some wait for others" if node.chained else ""
    inner = max(width(line) for line in lines) * FONT + (0.0 if mixed else ICON + GAP)
    inner = max(inner, width(note) * SMALL, sum(map(chip_width, chips)))
    height = LINE * len(lines) + SMALL_LINE * bool(note) + (LINE + 2) * bool(chips)
    return Box(lines, note, chips, round(max(_MIN_WIDTH, inner + 2 * PAD)), round(height + 14))


def chip_width(chip: tuple[Look, str]) -> float:
    """Return the room of a small icon and a number beside it."""
    return 18.0 + width(chip[1]) * SMALL + 8.0
