"""Why a task does not run yet, in words."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from jobledger.core import ranges
from jobledger.core.lifecycle import HALTED, JobState, TaskState
from jobledger.core.submission import NO_DEPENDENCIES

if TYPE_CHECKING:
    from .job_view import JobView

_NAMED = 3  # tasks named before "and N more"


def why_waiting(view: JobView, number: int) -> str | None:
    """Return what this task waits for; None unless it is QUEUED. What it says first is what to look at first."""
    job = view.job
    graph = job.graph
    if graph.status[number] != TaskState.QUEUED.value:
        return None
    if job.state in HALTED:
        return _halted(view)
    if not graph.ready[number]:
        return _dependencies(view, number)
    spec = job.spec_of(number)
    text = f"ready: waits for a runner of cluster {spec.cluster!r} with task {spec.identifier}"
    last = view.ended.get(number)
    if last:
        text += f", to make attempt {job.attempt[number] + 1}: {_shorten(_ended(view, number))}"
    return text


def _halted(view: JobView) -> str:
    job = view.job
    if job.state == JobState.CANCELED.value:
        canceled = view.canceled
        by = f" by {canceled.by}" if canceled and canceled.by else ""
        reason = f" ({_shorten(canceled.reason)})" if canceled and canceled.reason else ""
        why = f"it was canceled{by}{reason}"
    else:
        failed = job.failed_task
        why = "a task failed" if failed is None else f"task {failed} ({job.spec_of(failed).name}) failed"
    return f"the job is halted: {why}. Retry the job to go on"


def _dependencies(view: JobView, number: int) -> str:
    graph = view.job.graph
    index = graph.dependencies[number]
    members = [] if index == NO_DEPENDENCIES else graph.members[index]
    open_ = (task for task in ranges.numbers(members) if not graph.is_complete(task))
    named = [_member(view, task) for task in islice(open_, _NAMED)]
    more = sum(1 for _ in open_)
    others = f" and {more} more" if more else ""
    return f"waits for {'task' if len(named) == 1 else 'tasks'} {', '.join(named)}{others}"


def _member(view: JobView, task: int) -> str:
    job = view.job
    state = job.state_of(task)
    finished = state in (TaskState.COMPUTED, TaskState.FAILED_OPTIONAL)
    # finished and yet not complete
    subtree = ", its subtasks are not complete" if finished else ""
    return f"{task} ({job.spec_of(task).name}, {state.name}{subtree})"


def _ended(view: JobView, number: int) -> str:
    last = view.ended[number][-1]
    said = f"{last.error.reason}: {last.error.message}" if last.error else last.reason
    return f"the one before {last.outcome.value}{': ' if said else ''}{said}"


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else line[:199] + "…"
