"""Colours and shapes. Each look has a shape of its own, so that nobody needs to tell the colours apart; they are close to
the palette of Okabe and Ito, which most people with a colour vision deficiency can."""

from __future__ import annotations

from .looks import Look

_RING = "M8 2.2A5.8 5.8 0 1 1 8 13.8A5.8 5.8 0 1 1 8 2.2Z"
_DISC = "M8 1A7 7 0 1 1 8 15A7 7 0 1 1 8 1Z"

#: in a field of 16 by 16, as paths: what is filled, and what is drawn upon it in the colour of the ground
SHAPES: dict[Look, tuple[str, str]] = {
    Look.QUEUED: ("", _RING),
    Look.DELAYED: ("", f"{_RING}M8 4.8V8.2L10.6 9.8"),  # a clock
    Look.RUNNING: ("M3.4 1.6L14.2 8L3.4 14.4Z", ""),  # a triangle that points onward
    Look.COMPUTED: (_DISC, "M4.6 8.3L7 10.7L11.4 5.7"),  # with a check
    Look.REUSED: (_DISC, "M11.3 6.2A3.7 3.7 0 1 0 11.7 8.8M11.6 3.8V6.4H9"),  # with an arrow that turns back
    Look.FAILED: (  # an octagon with a cross
        "M5.1 1H10.9L15 5.1V10.9L10.9 15H5.1L1 10.9V5.1Z",
        "M5.3 5.3L10.7 10.7M10.7 5.3L5.3 10.7",
    ),
    Look.SKIPPED: ("", "M3 3.2L7.6 8L3 12.8M8.4 3.2L13 8L8.4 12.8"),  # two chevrons
    Look.FAILED_OPTIONAL: ("M8 1.2L15.4 14.6H0.6Z", "M8 5.6V9.9M8 12.1V12.5"),  # a warning triangle
    Look.CANCELED: ("M1.8 1.8H14.2V14.2H1.8Z", "M4.8 8H11.2"),  # a square with a bar
    Look.ABANDONED: ("", "M8 1.6L14.4 8L8 14.4L1.6 8Z"),  # an empty diamond
}
#: drawn as lines in the look's own colour
HOLLOW = frozenset({Look.QUEUED, Look.DELAYED, Look.SKIPPED, Look.ABANDONED})
#: a node of this look has a broken outline
_BROKEN = frozenset({Look.DELAYED, Look.REUSED})

LIGHT = {
    "ground": "#ffffff",
    "text": "#1f2328",
    "quiet": "#59636e",
    "line": "#9aa4af",
    "wait": "#6f42c1",
    "frame": "#f6f8fa",
    "plain": "#f6f8fa",
}
DARK = {
    "ground": "#14171c",
    "text": "#e6e9ed",
    "quiet": "#9da7b3",
    "line": "#5c6672",
    "wait": "#b794f6",
    "frame": "#1b1f26",
    "plain": "#22272e",
}
#: strong and pale, on light and on dark ground
TONES: dict[Look, tuple[tuple[str, str], tuple[str, str]]] = {
    Look.QUEUED: (("#6e7781", "#f6f8fa"), ("#9da7b3", "#22272e")),
    Look.DELAYED: (("#6e7781", "#f6f8fa"), ("#9da7b3", "#22272e")),
    Look.RUNNING: (("#0072b2", "#e1f0fa"), ("#56b4e9", "#12303f")),
    Look.COMPUTED: (("#00815f", "#e0f5ee"), ("#2cc79a", "#11332a")),
    Look.REUSED: (("#00815f", "#f1faf6"), ("#2cc79a", "#16261f")),
    Look.FAILED: (("#c44601", "#fdebdf"), ("#ff8a4c", "#41210f")),
    Look.SKIPPED: (("#a8558a", "#f9ecf4"), ("#dd9cc4", "#37222f")),
    Look.FAILED_OPTIONAL: (("#a87400", "#fdf4d8"), ("#f0c24b", "#3a2e0e")),
    Look.CANCELED: (("#39424c", "#e8ecf0"), ("#c9d3dd", "#30373f")),
    Look.ABANDONED: (("#845a3d", "#f5ece5"), ("#d1a384", "#35281f")),
}


def style(theme: str) -> str:
    """Return the style sheet; every rule begins with the class of its theme, for a page that shows several."""
    if theme == "auto":
        return f"{_rules('auto', dark=False)}@media(prefers-color-scheme:dark){{{_rules('auto', dark=True)}}}"
    return _rules(theme, dark=theme == "dark")


def _rules(theme: str, *, dark: bool) -> str:
    tones = DARK if dark else LIGHT
    rules = {
        "text": f"fill:{tones['text']};font:13px system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif",
        "text.s": f"fill:{tones['quiet']};font-size:11px",
        "text.h": "font-weight:600",
        ".g": f"fill:{tones['ground']}",
        ".l": f"fill:none;stroke:{tones['line']};stroke-width:1.4",
        ".w": f"fill:none;stroke:{tones['wait']};stroke-width:1.5;stroke-dasharray:5 4",
        ".a": f"fill:{tones['wait']}",
        ".f": f"fill:{tones['frame']};stroke:{tones['line']};stroke-width:1;stroke-dasharray:2 3",
        ".n": f"fill:{tones['plain']};stroke:{tones['line']};stroke-width:1.4",
        ".i": f"fill:none;stroke:{tones['ground']};stroke-width:2;stroke-linecap:round;stroke-linejoin:round",
    }
    for look, by_ground in TONES.items():
        strong, pale = by_ground[dark]
        broken = ";stroke-dasharray:4 2.5" if look in _BROKEN else ""
        rules[f".n{look.value}"] = f"fill:{pale};stroke:{strong}{broken}"
        rules[f".c{look.value}"] = f"fill:{strong}"
        rules[f".o{look.value}"] = f"stroke:{strong}"
    return "".join(f".jobledger-{theme} {where}{{{what}}}" for where, what in rules.items())
