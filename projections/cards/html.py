"""Cards in HTML: one element with its own style sheet, without scripts, links, fonts or ids; light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from ..attempts import Attempt
from ..diagram.looks import Look
from ..job_view import JobView
from ..progress import ProgressIndicator
from ..task_view import TaskView
from ..wording import cleaned, counted, one_line
from .facts import Fact, attempt_line, job_facts, task_facts
from .standing import JOB_LOOKS, MOST, counts_by_look, label_of, shown_attempts, task_look
from .style import STYLE, icon

_TRACEBACK = 20_000  # characters from its end, which says most


def job_card(view: JobView, now: int | None = None) -> str:
    """Return a job as HTML, as of `now` (µs since 1970 UTC; the view's own clock unless given)."""
    view = view if now is None else view.at(now)
    if view.state is None:
        return _card(_head(Look.QUEUED, f"job {view.job.id}", "not known yet", ""))
    look = JOB_LOOKS[view.state]
    parts = [
        _head(look, one_line(view.job.name), view.state.name, view.job.id),
        _bar(view.percent, f"{view.percent:.1f} %", look),
        *map(_indicator, view.progress[:MOST]),
        _rest(len(view.progress) - MOST, "more label"),
        _chips(view),
        _table(job_facts(view)),
        _traceback("traceback", view.error.traceback if view.error else ""),
    ]
    return _card(*parts)


def task_card(task: TaskView, now: int | None = None) -> str:
    """Return a task as HTML, as of `now` (as for `job_card`)."""
    task = task if now is None else task.at(now)
    attempts, left_out = shown_attempts(task)
    parts = [
        _head(task_look(task), cleaned(task.display), task.state.name, task.id),
        _table(task_facts(task)),
        _rest(left_out, "earlier attempt"),
        *map(_attempt, attempts),
    ]
    return _card(*parts)


def _card(*parts: str) -> str:
    return f'<div class="jobledger-card"><style>{STYLE}</style>{"".join(parts)}</div>'


def _head(look: Look, name: str, state: str, id_: str) -> str:
    title = escape(name).replace("\n", "<br>")
    badge = f'<span class="b b{look.value}">{icon(look)}{escape(state)}</span>'
    return f'<div class="h"><span class="t">{title}</span>{badge}<code>{escape(one_line(id_))}</code></div>'


def _bar(percent: float, text: str, look: Look) -> str:
    fill = f'<i class="f{look.value}" style="width:{min(100.0, max(0.0, percent)):.1f}%"></i>'
    return f'<div class="p"><span class="r">{fill}</span><span>{escape(text)}</span></div>'


def _indicator(one: ProgressIndicator) -> str:
    percent = 100.0 * one.done / one.total if one.total > 0 else 0.0
    return _bar(percent, f"{one.done:,} of {one.total:,} {label_of(one)}".rstrip(), Look.RUNNING)


def _chips(view: JobView) -> str:
    chips = [
        f"<span>{icon(look)}{count:,} {escape(look.words)}</span>"
        for look, count in counts_by_look(view).items()
    ]
    return f'<div class="c">{"".join(chips)}</div>'


def _table(facts: Iterable[Fact]) -> str:
    return f"<table>{''.join(_rows(facts))}</table>"


def _rows(facts: Iterable[Fact]) -> Iterator[str]:
    for label, text in facts:
        yield f"<tr><th>{escape(label)}</th><td>{escape(text)}</td></tr>"


def _attempt(attempt: Attempt) -> str:
    line = attempt_line(attempt)
    trace = attempt.error.traceback if attempt.error else ""
    return _traceback(line, trace) if trace else f'<div class="a">{escape(line)}</div>'


def _traceback(summary: str, text: str) -> str:
    if not text:
        return ""
    shown = cleaned(text[-_TRACEBACK:], _TRACEBACK)
    return f"<details><summary>{escape(summary)}</summary><pre>{escape(shown)}</pre></details>"


def _rest(number: int, noun: str) -> str:
    return f'<div class="a">and {counted(number, noun)}</div>' if number > 0 else ""
