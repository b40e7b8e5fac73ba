"""Where a job or a task stands, in the shapes and words of the pictures."""

from __future__ import annotations

from jobledger.core.lifecycle import JobState

from ..attempts import Attempt
from ..diagram.looks import Look
from ..diagram.outline import looks_of
from ..job_view import JobView
from ..progress import ProgressIndicator
from ..task_view import TaskView
from ..wording import one_line

MOST = 12  #: indicators, or attempts, that are shown one by one

#: the shape and colour of a job
JOB_LOOKS = {
    JobState.SUBMITTED: Look.QUEUED,
    JobState.RUNNING: Look.RUNNING,
    JobState.STARTED: Look.DELAYED,
    JobState.COMPLETED: Look.COMPUTED,
    JobState.FAILED: Look.FAILED,
    JobState.CANCELED: Look.CANCELED,
    JobState.DELETED: Look.ABANDONED,
}


def task_look(task: TaskView) -> Look:
    if task.reused:
        return Look.REUSED
    return Look.DELAYED if task.held_until is not None else Look(task.state.value)


def counts_by_look(view: JobView) -> dict[Look, int]:
    """Return how many tasks have each look, without looks that none has."""
    looks = looks_of(view)
    counts = {look: looks.count(look.value) for look in Look}
    return {look: count for look, count in counts.items() if count}


def job_title(view: JobView) -> str:
    state = view.state.name if view.state else "not known yet"
    return f"job {one_line(view.job.name)!r} ({view.job.id}): {state}"


def task_title(task: TaskView) -> str:
    return f"{one_line(task.display)} ({task.id}): {task.state.name}"


def label_of(indicator: ProgressIndicator) -> str:
    """Return what an indicator counts, nothing where it has no label."""
    return one_line(indicator.label or "", 60)


def shown_attempts(task: TaskView) -> tuple[list[Attempt], int]:
    """Return the latest attempts, and how many earlier ones are left out."""
    attempts = task.attempts
    return attempts[-MOST:], max(0, len(attempts) - MOST)
