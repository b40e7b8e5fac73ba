"""What a picture may say: cut to size, and measured without a font at hand."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence

from ..wording import cleaned
from .collapse import Node
from .looks import Look

TIMES = "\N{MULTIPLICATION SIGN}"
MAX_LINES = 6  # of a node, among many nodes
ALL_LINES = 64  # of a node, where there is room for whole texts
MAX_WIDTH = 36.0  # em of a line: about 60 letters

SYMBOLS = {
    Look.QUEUED: "○",
    Look.DELAYED: "◷",
    Look.RUNNING: "▶",
    Look.COMPUTED: "✓",
    Look.REUSED: "↺",
    Look.FAILED: "✗",
    Look.SKIPPED: "»",
    Look.FAILED_OPTIONAL: "▲",
    Look.CANCELED: "■",
    Look.ABANDONED: "◇",
}


def lines_of(node: Node, *, whole: bool = False) -> list[str]:
    """Return what a node is called, as lines that fit, with the count of its tasks if there are several.

    Shape:  `whole` breaks what is too long into several lines, instead of cutting it.
    """
    if node.rest:
        return [f"… {node.count:,} {'more task' if node.count == 1 else 'more tasks'}"]
    given = cleaned(node.text).split("\n")
    most = ALL_LINES if whole else MAX_LINES
    if whole:
        lines = [part for line in given for part in _wrapped(line)]
    else:
        lines = [shortened(line, MAX_WIDTH, width) for line in given[:most]]
    if len(lines) > most or len(given) > most:
        lines = [*lines[: most - 1], "…"]
    if node.count > 1:
        lines[-1] += f" {TIMES} {node.count:,}"
    return lines


def _wrapped(line: str) -> Iterator[str]:
    """Yield the parts of a line that fit, broken at spaces where there are any."""
    while width(line) > MAX_WIDTH:
        cut = len(shortened(line, MAX_WIDTH, width)) - 1  # an ellipsis takes the place of a letter
        space = line.rfind(" ", 1, cut + 1)
        cut = space if space > 0 else max(1, cut)
        yield line[:cut]
        line = line[cut:].lstrip(" ")
    yield line


def shortened(text: str, limit: float, measure: Callable[[str], float]) -> str:
    """Return `text` if it measures no more than `limit`, else its beginning and an ellipsis."""
    if measure(text) <= limit:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if measure(text[:middle] + "…") <= limit:
            low = middle
        else:
            high = middle - 1
    while low and unicodedata.combining(text[low]):  # no mark is cut from its letter
        low -= 1
    return text[:low].rstrip() + "…"


def listed(names: Sequence[str], most: int = 3) -> str:
    """Return "a, b, c and 2 more"."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def width(text: str) -> float:
    """Return how wide a line may come out, in em: by the widest of the fonts that are likely."""
    return sum(map(_width, text))


def _width(char: str) -> float:
    if char in _NARROW:
        return 0.4
    if char in _WIDE:
        return 1.0
    if char < "\x7f":
        return 0.76 if char.isupper() else 0.64
    kind = unicodedata.category(char)
    if kind in ("Mn", "Me"):
        return 0.0
    return 1.1 if unicodedata.east_asian_width(char) in "WF" or kind == "So" else 0.84


_NARROW = frozenset(" ijlftrI.,:;'|!()[]{}/\\-`\"·")
_WIDE = frozenset("mwMW@%…—")
