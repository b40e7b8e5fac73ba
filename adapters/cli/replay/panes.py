"""What is shown of a job at one commit: the step itself, its tasks, or their tree, as lines of any number and width."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from jobledger.projections.diagram import Outline, tree
from jobledger.projections.steps import ReplayStep
from jobledger.projections.utc import stamp
from jobledger.projections.wording import counted, duration, one_line

from .. import output, tables

if TYPE_CHECKING:
    from jobledger.projections.job_view import JobView

_BOLD, _DIM, _REVERSE, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[7m", "\x1b[0m"
_STATE = re.compile(rf"\b({'|'.join(sorted(filter(str.isupper, tables.STATES), key=len, reverse=True))})\b")


def bold(text: str) -> str:
    return f"{_BOLD}{text}{_PLAIN}" if tables.coloured() else text


def dim(text: str) -> str:
    return f"{_DIM}{text}{_PLAIN}" if tables.coloured() else text


def reversed_(text: str) -> str:
    return f"{_REVERSE}{text}{_PLAIN}"


def states_coloured(text: str) -> str:
    """Return the text with the names of states in their colours."""
    if not tables.coloured():
        return text
    return _STATE.sub(lambda found: f"\x1b[{tables.STATES[found[0]]}m{found[0]}{_PLAIN}", text)


def fitted(text: str, width: int) -> str:
    """Return at most so many cells of a line, with nothing in it that commands the terminal."""
    text = output.printable(text).replace("\n", " ").replace("\t", " ")
    return text if cell_len(text) <= width else f"{set_cell_size(text, max(0, width - 1))}…"


def wrapped(text: str, width: int, indent: str = "  ") -> list[str]:
    """Return a text as lines that fit, with nothing in them that commands the terminal."""
    lines = textwrap.wrap(
        output.printable(text), max(10, width - 1), initial_indent=indent, subsequent_indent=f"{indent}  "
    )
    return [fitted(line, width) for line in lines]  # of wide characters half as many fit


def heading(view: JobView, step: ReplayStep, of: int, before: ReplayStep | None, width: int) -> list[str]:
    """Return the lines that stand above everything: the job, the commit, and who did it."""
    job = view.job
    name = fitted(f"{one_line(job.name, 60)}  {job.id}", width)
    counts = ", ".join(f"{count:,} {state.name}" for state, count in view.tasks_by_state.items() if count)
    state = view.state.name if view.state else "not submitted yet"
    where = f"commit {step.version:,} of {of:,}  ·  {stamp(step.at)}  ·  position {step.position:,}"
    if before is not None:
        passed = round((step.at - before.at).total_seconds() * 1e6)
        where += f"  ·  {duration(passed)} after the one before"
    who = [f"written by {step.writer}"]
    who += [f"asked for by {', '.join(step.users)}"] if step.users else []
    who += [f"runner {', '.join(step.runners)}"] if step.runners else []
    return [
        bold(name),
        states_coloured(fitted(f"{state}  ·  {view.percent:.0f} %  ·  {counts or 'no tasks'}", width)),
        fitted(where, width),
        dim(fitted("  ·  ".join(who), width)),
    ]


def step_lines(step: ReplayStep, width: int) -> list[str]:
    """Return what happened in a commit, and which states it changed."""
    lines = [bold("What happened")]
    for text in step.lines:
        lines += wrapped(text, width)
    lines += ["", bold("States")]
    for text in step.state_lines or ["no state changed"]:
        lines += map(states_coloured, wrapped(text, width))
    return lines


class TaskLines(Sequence[str]):
    """A line for each task of a job, made when it is to be seen."""

    def __init__(self, view: JobView, width: int) -> None:
        self._view = view
        self._width = width

    def __len__(self) -> int:
        return len(self._view.tasks) + 1

    def __getitem__(self, index: int | slice) -> str | list[str]:  # type: ignore[override]
        if isinstance(index, slice):
            return [self._line(one) for one in range(*index.indices(len(self)))]
        return self._line(index)

    def _line(self, index: int) -> str:
        if not index:
            return bold(fitted(counted(len(self._view.tasks), "task"), self._width))
        task = self._view.tasks[index - 1]
        told = f"  {task.number:>6}  {task.state.name:<15}  {one_line(task.display, 60)}"
        if task.attempt:
            told += f"  ·  attempt {task.attempt}"
        if task.error is not None:
            told += f"  ·  {one_line(f'{task.error.reason}: {task.error.message}', 200)}"
        elif task.waiting:
            told += f"  ·  {task.waiting}"
        return states_coloured(fitted(told, self._width))


def tree_lines(view: JobView, width: int) -> list[str]:
    """Return the tree of the tasks, as `job diagram` draws it."""
    return list(_tree(view, width))


def _tree(view: JobView, width: int) -> Iterator[str]:
    for pieces in tree(Outline.of(view)):
        line = fitted("".join(piece.text for piece in pieces), width)
        states = [piece.state for piece in pieces if piece.state is not None]
        if states and tables.coloured() and len(set(states)) == 1:
            style = tables.STATES.get(states[0].name, "2")
            yield f"\x1b[{style}m{line}{_PLAIN}"
        else:
            yield states_coloured(line)


def help_lines(width: int) -> list[str]:
    rows = (
        ("→  n  space", "the next commit"),
        ("←  p", "the commit before"),
        ("home  end", "the first commit, the last one"),
        ("g", "go to a position (4711), a time, so long ago (2h), or a commit (v12)"),
        ("/", "the next commit that touches a task (12)"),
        ("", "or by which the job or a task reaches a state (failed); empty: again"),
        ("t", "the tasks as of this commit, and back"),
        ("d", "their tree, and back"),
        ("↑  ↓  page up  page down", "scroll"),
        ("?", "this, and back"),
        ("q", "leave"),
    )
    return [bold("Keys"), *(fitted(f"  {keys:<26}{text}", width) for keys, text in rows)]
