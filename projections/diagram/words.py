"""What a picture may say: text of strangers made harmless, cut to size, and measured without a font at hand."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

from jobledger.core.lifecycle import TaskState

from .collapse import Node

TIMES = "\N{MULTIPLICATION SIGN}"
MAX_TEXT = 1024  # characters of a display text
MAX_LINES = 6
MAX_WIDTH = 36.0  # em of a line: about 60 letters

SYMBOLS = {
    TaskState.QUEUED: "○",
    TaskState.RUNNING: "▶",
    TaskState.COMPUTED: "✓",
    TaskState.FAILED: "✗",
    TaskState.SKIPPED: "»",
    TaskState.FAILED_OPTIONAL: "▲",
}
_BREAKS = "\n\x0b\x0c\x85\u2028\u2029"
# they change the direction of what follows them, beyond the text they are in
_TURNS = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def said(state: TaskState) -> str:
    """Return the state in small letters: "failed optional"."""
    return state.name.lower().replace("_", " ")


def cleaned(text: str) -> str:
    """Return at most MAX_TEXT characters that any XML document and any terminal can hold; lines end with ``\\n``."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(map(_harmless, text[:MAX_TEXT])).strip("\n")


def _harmless(char: str) -> str:
    if " " <= char <= "~":
        return char
    if char in _BREAKS:
        return "\n"
    if char == "\t":
        return " "
    if char in _TURNS:
        return ""
    kind = unicodedata.category(char)
    if kind == "Cs" or ord(char) & 0xFFFE == 0xFFFE:  # half a character, or none
        return "\ufffd"
    return "" if kind == "Cc" else char


def lines_of(node: Node) -> list[str]:
    """Return what a node is called, as lines that fit, with the count of its tasks if there are several."""
    lines = [shortened(line, MAX_WIDTH, width) for line in cleaned(node.text).split("\n")] or [""]
    if len(lines) > MAX_LINES:
        lines = [*lines[: MAX_LINES - 1], "…"]
    if node.rest:
        return [f"… {node.count:,} {'more task' if node.count == 1 else 'more tasks'}"]
    if node.count > 1:
        lines[-1] += f" {TIMES} {node.count:,}"
    return lines


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
