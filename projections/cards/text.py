"""Cards in plain text: for terminals, logs, and notebooks without HTML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..diagram.words import SYMBOLS
from ..job_view import JobView
from ..task_view import TaskView
from ..wording import counted, one_line
from .facts import Fact, attempt_line, job_facts, task_facts
from .standing import MOST, counts_by_look, job_title, label_of, shown_attempts, task_look, task_title

_BAR = 24  # characters


def job_text(view: JobView, now: int | None = None) -> str:
    """Return a job in some lines of text, as of `now` (µs since 1970 UTC; the view's own clock unless given)."""
    view = view if now is None else view.at(now)
    return "\n".join([job_title(view), *_indented(_job_lines(view))])


def task_text(task: TaskView, now: int | None = None) -> str:
    """Return a task in some lines of text, as of `now` (as for `job_text`)."""
    task = task if now is None else task.at(now)
    lines = [*task_facts(task), *_attempts(task)]
    return "\n".join([f"{SYMBOLS[task_look(task)]} {task_title(task)}", *_indented(lines)])


def _job_lines(view: JobView) -> Iterator[Fact]:
    if view.state is None:
        return
    yield Fact("progress", f"{_bar(view.percent)} {view.percent:.1f} %")
    indicators = view.progress
    for one in indicators[:MOST]:
        yield Fact("", f"{one.done:,} of {one.total:,} {label_of(one)}")
    if len(indicators) > MOST:
        yield Fact("", f"and {counted(len(indicators) - MOST, 'more label')}")
    counts = [f"{SYMBOLS[look]} {count:,} {look.words}" for look, count in counts_by_look(view).items()]
    yield Fact("tasks", ", ".join(counts))
    yield from job_facts(view)


def _attempts(task: TaskView) -> Iterator[Fact]:
    attempts, left_out = shown_attempts(task)
    if left_out:
        yield Fact("", f"{counted(left_out, 'earlier attempt')}, not shown")
    for attempt in attempts:
        yield Fact("", attempt_line(attempt))


def _bar(percent: float) -> str:
    full = int(_BAR * percent / 100)
    return f"[{'#' * full}{'.' * (_BAR - full)}]"


def _indented(facts: Iterable[Fact]) -> Iterator[str]:
    for label, text in facts:
        yield f"  {label:<13} {one_line(text, 400)}".rstrip()
