"""Jobs as readers see them, from what a driver wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from jobledger.core.errors import JobLedgerError
from jobledger.projections.job_view import JobView
from jobledger.projections.task_view import TaskView

from .histories import JOB, JobDriver
from .random_history import Placed, committed


def view_of(
    history: JobDriver | Iterable[Placed],
    view: JobView | None = None,
    *,
    clock: Callable[[], int] | None = None,
    fetch: Callable[[str], bytes] | None = None,
) -> JobView:
    """Return the view of what a driver wrote, or of these commits; a view that is given is brought up to date."""
    view = JobView(JOB, clock=clock, fetch=fetch) if view is None else view
    for commit in committed(history) if isinstance(history, JobDriver) else history:
        view.apply(*commit)
    return view


def facts(view: JobView) -> dict[str, Any]:
    """Return everything a reader can see of a job and its tasks: every property there is."""
    return _facts(view) | {"tasks": [_facts(task) for task in view.tasks]}


def _facts(shown: JobView | TaskView) -> dict[str, Any]:
    kind = type(shown)
    names = [name for name in dir(kind) if isinstance(getattr(kind, name), property) and name[0] != "_"]
    return {name: _fact(shown, name) for name in names}


def _fact(shown: JobView | TaskView, name: str) -> Any:
    try:
        value = getattr(shown, name)
    except JobLedgerError as error:  # a result in the object store
        return str(error)
    return list(value.numbers) if hasattr(value, "numbers") else value
