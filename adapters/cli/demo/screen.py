"""How the demo looks: colours and a moving bar on a terminal, plain lines everywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TypeAlias

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from jobledger.data import TaskState

States: TypeAlias = Mapping[TaskState, int]
_QUOTED = 200  # characters of a line that others wrote, where the width is not known
_EVERY = 1.0  # seconds between two lines of progress, where nothing can move


class Screen:
    """May be written to from several threads, also while the bar moves."""

    def __init__(self) -> None:
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # a path may have letters the terminal has not
        # Text is never wrapped by us: what is copied from here is to stay whole.
        self._console = Console(highlight=False, markup=False, soft_wrap=True)
        self._moves = self._console.is_terminal and not self._console.is_dumb_terminal

    def say(self, text: str = "", style: str | None = None) -> None:
        self._console.print(text, style=style)

    def title(self, text: str, style: str = "bold") -> None:
        self.say()
        self.say(text, style)

    def facts(self, facts: Mapping[str, str]) -> None:
        """Show names and what they stand for, one pair a line."""
        width = max(map(len, facts))
        for name, value in facts.items():
            self.say(f"  {name:<{width}}  {value}")

    def numbers(self, numbers: Mapping[str, int]) -> None:
        """Show numbers and what they count, one pair a line."""
        width = max(len(f"{number:,}") for number in numbers.values())
        for what, number in numbers.items():
            self.say(f"  {number:>{width},}  {what}")

    def quote(self, text: str) -> None:
        """Show one line of what others say, a runner or the log, as much of it as fits."""
        if self._moves:
            self._console.print(f"  {text}", style="dim", soft_wrap=False, no_wrap=True, overflow="ellipsis")
        else:
            self.say(f"  {text if len(text) <= _QUOTED else text[: _QUOTED - 3] + '...'}")

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str | int]]) -> None:
        """Show rows of one text and several numbers."""
        table = Table(box=None, padding=(0, 2), header_style="dim")
        for index, head in enumerate(heads):
            table.add_column(head, justify="right" if index else "left", no_wrap=True)
        for row in rows:
            table.add_row(*(f"{cell:,}" if isinstance(cell, int) else cell for cell in row))
        self._console.print(table, soft_wrap=False)

    @contextmanager
    def progress(self) -> Iterator[Callable[[States], None]]:
        """Give a function that shows how many tasks are in which state."""
        if self._moves:
            # As narrow as the narrowest of usual terminals.
            columns = TextColumn("  tasks"), BarColumn(24), TextColumn("{task.fields[states]}")
            with Progress(*columns, console=self._console) as progress:
                bar = progress.add_task("", states="")

                def show(states: States) -> None:
                    computed, total = states[TaskState.COMPUTED], sum(states.values())
                    progress.update(bar, completed=computed, total=total, states=in_words(states))

                yield show
        else:
            yield self._lines()

    def _lines(self) -> Callable[[States], None]:
        shown, next_at = "", 0.0

        def show(states: States) -> None:
            nonlocal shown, next_at
            text, now = in_words(states), time.monotonic()
            at_rest = not states[TaskState.RUNNING]
            if text != shown and (now >= next_at or at_rest):
                self.say(f"  tasks: {text}")
                shown, next_at = text, now + _EVERY

        return show


def in_words(states: States) -> str:
    """Return the numbers of tasks by state.

    >>> in_words({TaskState.QUEUED: 2, TaskState.RUNNING: 0, TaskState.COMPUTED: 5})
    '2 queued, 5 computed'
    """
    return ", ".join(f"{number} {state.name.lower()}" for state, number in states.items() if number)
