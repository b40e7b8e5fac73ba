"""Cards as notebooks take them: the same in HTML and in plain text, by MIME type."""

from __future__ import annotations

from html import escape
from typing import TypeAlias

from ..job_view import JobView
from ..task_view import TaskView
from .html import job_card, task_card
from .text import job_text, task_text

Bundle: TypeAlias = dict[str, str]

_NOTE = '<div style="font:12px system-ui,sans-serif;opacity:.7;margin:4px 14px;max-width:60em">{}</div>'


def job_bundle(view: JobView) -> Bundle:
    return {"text/html": job_card(view), "text/plain": job_text(view)}


def task_bundle(task: TaskView) -> Bundle:
    return {"text/html": task_card(task), "text/plain": task_text(task)}


def with_note(bundle: Bundle, note: str) -> Bundle:
    """Return a card with a line below it that is about the card, not about what it shows."""
    return {
        "text/html": bundle["text/html"] + _NOTE.format(escape(note)),
        "text/plain": f"{bundle['text/plain']}\n  {note}",
    }
