"""The words that lines for people share, and the texts of strangers in them: made harmless, and cut to size."""

from __future__ import annotations

import unicodedata

from jobledger.core.events import Error

MAX_TEXT = 1024  # characters of a display text
_LINE = 200  # characters of a text that a line shows
_BREAKS = "\n\x0b\x0c\x85\u2028\u2029"
# they change the direction of what follows them, beyond the text they are in
_TURNS = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def one_line(text: str, limit: int = _LINE) -> str:
    """Return the text without line breaks, cut to size.

    >>> one_line("first\\n  second", limit=9)
    'first se…'
    """
    line = " ".join(text[: 10 * limit].split())
    if not line.isprintable():
        line = cleaned(line, 10 * limit)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def cleaned(text: str, limit: int = MAX_TEXT) -> str:
    """Return at most `limit` characters that any XML document and any terminal can hold; lines end with ``\\n``."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(map(_harmless, text[:limit])).strip("\n")


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


def by(who: str) -> str:
    """Return " by ada@host", or nothing."""
    return f" by {one_line(who)}" if who else ""


def because(reason: str) -> str:
    """Return ": reason", or nothing."""
    return f": {one_line(reason)}" if reason else ""


def said(error: Error) -> str:
    """Return an error as it is told in passing: "KeyError: 'x'"."""
    return one_line(f"{error.reason}: {error.message}" if error.message else error.reason)


def named(number: int, name: str) -> str:
    """Return how a task is called: "task 3 (Load)", or "task 3" where its name is not known."""
    return f"task {number} ({one_line(name, 100)})" if name else f"task {number}"


def counted(number: int, noun: str) -> str:
    """Return a number of things: "1 task", "1,200 tasks"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(microseconds: int) -> str:
    """Return a length of time in a unit that fits.

    >>> [duration(n) for n in (-5, 87, 12_345, 1_234_567, 75_000_000, 7_260_000_000, 200_000_000_000)]
    ['0 µs', '87 µs', '12.3 ms', '1.235 s', '1 min 15 s', '2 h 1 min', '2 d 7 h']
    """
    if microseconds < 1000:
        return f"{max(0, microseconds)} µs"  # a clock that was set back makes no time negative
    if microseconds < 1_000_000:
        return f"{microseconds / 1e3:.1f} ms"
    if microseconds < 60_000_000:
        return f"{microseconds / 1e6:.3f} s"
    seconds = microseconds // 1_000_000
    for large, small, size, part in (("d", "h", 86400, 3600), ("h", "min", 3600, 60), ("min", "s", 60, 1)):
        if seconds >= size:
            return f"{seconds // size} {large} {seconds % size // part} {small}"
    raise AssertionError(microseconds)
