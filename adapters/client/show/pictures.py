"""Showing a job: as a picture in a notebook, as a tree of text anywhere else."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from jobledger.core.errors import ArgumentError
from jobledger.core.lifecycle import TaskState
from jobledger.projections.diagram import DIRECTIONS, THEMES, Piece

LAYOUTS = ("dagre", "elk")

_STYLES = {
    TaskState.QUEUED: "bright_black",
    TaskState.RUNNING: "bold blue",
    TaskState.COMPUTED: "green",
    TaskState.FAILED: "bold red",
    TaskState.SKIPPED: "magenta",
    TaskState.FAILED_OPTIONAL: "yellow",
    TaskState.CANCELED: "magenta",
    TaskState.ABANDONED: "magenta",
}


def check_options(direction: Any, layout: Any, sketchy: Any, theme: Any) -> None:
    """Raise ArgumentError unless a picture can be drawn this way."""
    _check_choice("direction", direction, DIRECTIONS)
    _check_choice("layout", layout, LAYOUTS)
    _check_choice("theme", theme, THEMES)
    if not isinstance(sketchy, bool):
        raise ArgumentError(f"sketchy={sketchy!r:.100} is neither True nor False: pass one of them")


def _check_choice(argument: str, given: Any, choices: tuple[str, ...]) -> None:
    if not isinstance(given, str) or given not in choices:
        listed = ", ".join(map(repr, choices[:-1]))
        raise ArgumentError(f"{argument}={given!r:.100} is not possible: pass {listed} or {choices[-1]!r}")


@dataclass(frozen=True, slots=True)
class Picture:
    """What is to be shown: a diagram where a notebook shows it, else a tree in text."""

    svg: str = ""
    tree: list[list[Piece]] = field(default_factory=list)

    def show(self) -> None:
        if self.svg:
            shown = import_module("IPython.display")  # it is there, but not among our dependencies
            shown.display(shown.SVG(self.svg))
        else:
            _print(self.tree)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook. A terminal with IPython is not, nor is IPython imported."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    return getattr(shell, "kernel", None) is not None


def _print(lines: list[list[Piece]]) -> None:
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.text import Text

        console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        for line in lines:
            styled = [(piece.text, _STYLES[piece.state] if piece.state else "") for piece in line]
            console.print(Text.assemble(*((_printable(text), style) for text, style in styled)))
    else:
        for line in lines:
            print(_printable("".join(piece.text for piece in line)))


def _printable(text: str) -> str:
    """Return `text` as standard output can write it: what it has no letters for becomes a question mark."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)
