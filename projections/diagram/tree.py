"""The same job as a tree in text: a line per node, as pieces that know the state they speak of."""

from __future__ import annotations

from typing import NamedTuple

from jobledger.core.lifecycle import TaskState

from ..wording import cleaned
from .collapse import Node, collapsed
from .looks import Look
from .outline import Outline
from .words import SYMBOLS, lines_of, listed, shortened

_WIDE = 80  # characters of a text
_DEEPEST = 30  # levels that are indented


class Piece(NamedTuple):
    """Part of a line, and the state whose colour fits it."""

    text: str
    state: TaskState | None = None


def tree(outline: Outline) -> list[list[Piece]]:
    """Return the lines. They have no line breaks and no control characters in them."""
    nodes = collapsed(outline)
    total = len(outline.looks)
    state = outline.state.name if outline.state else "empty"
    name = shortened(cleaned(outline.name).replace("\n", " "), _WIDE, len)
    lines = [[Piece(f"{name} · {state} · {total:,} {'task' if total == 1 else 'tasks'}")]]
    roots = [index for index, node in enumerate(nodes) if node.parent < 0]
    waiting = [(index, "", index == roots[-1], 0) for index in reversed(roots)]
    while waiting:
        index, indent, last, depth = waiting.pop()
        lines.append([Piece(indent + ("└─ " if last else "├─ ")), *_pieces(nodes, nodes[index])])
        below = indent + ("   " if last else "│  ") if depth < _DEEPEST else indent
        children = nodes[index].children
        waiting += [(child, below, child == children[-1], depth + 1) for child in reversed(children)]
    return lines


def _pieces(nodes: list[Node], node: Node) -> list[Piece]:
    pieces = []
    looks = list(node.looks)
    if len(looks) == 1:
        pieces.append(Piece(SYMBOLS[looks[0]] + " ", looks[0].state))
    pieces.append(Piece(_title(node)))
    if len(looks) > 1:
        for number, (look, count) in enumerate(node.looks.items()):
            pieces.append(Piece(", " if number else ": "))
            pieces.append(Piece(f"{SYMBOLS[look]} {count:,} {look.words}", look.state))
    elif looks[0] is not Look.COMPUTED:
        pieces.append(Piece(f"  {looks[0].words}", looks[0].state))
    if node.chained:
        pieces.append(Piece("  (some wait for others)"))
    if node.after:
        pieces.append(Piece(f"  (after {listed([_title(nodes[index]) for index in node.after])})"))
    return pieces


def _title(node: Node) -> str:
    return shortened(" ".join(lines_of(node)), _WIDE, len)
