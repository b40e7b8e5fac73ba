"""Why a task does not run, in words. What a text says first is what to look at first."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from jobledger.core import ranges
from jobledger.core.decisions import is_suspect
from jobledger.core.graph import WAITING
from jobledger.core.lifecycle import HALTED, JobState, TaskState
from jobledger.core.submission import NO_DEPENDENCIES

from .dismissals import cause_of
from .utc import stamp, utc
from .wording import because, by, named, one_line, said

if TYPE_CHECKING:
    from .job_view import JobView

_NAMED = 3  # tasks named before "and N more"

#: what could be done about a task that was given up
_REMEDIES = {
    TaskState.SKIPPED.value: "",
    TaskState.CANCELED.value: ". Retry it, or the job, to run it after all",
    TaskState.ABANDONED.value: ". Retry that task, or the job, to go on",
}


def why_waiting(view: JobView, number: int) -> str | None:
    """Return what keeps this task from running; None while it runs, and once it is computed or failed."""
    graph = view.job.graph
    status = graph.status[number]
    if status in _REMEDIES:
        return _given_up(view, number) + _REMEDIES[status]
    if status != TaskState.QUEUED.value:
        return None
    if view.job.state in HALTED:
        return _halted(view)
    if graph.ready[number] == WAITING:
        return _dependencies(view, number)
    return _held(view, number) or _ready(view, number)


def _given_up(view: JobView, number: int) -> str:
    cause = cause_of(view, number)
    assert cause is not None
    state = view.job.state_of(number)
    if cause.task == number and state is TaskState.CANCELED:
        return cause.text
    return f"{state.name.lower()}, because {'it was ' if cause.task == number else ''}{cause.text}"


def _halted(view: JobView) -> str:
    job = view.job
    if view.deleted is not None:
        return f"the job was deleted{by(view.deleted.by)}{because(view.deleted.reason)}"
    if job.state == JobState.CANCELED.value:
        canceled = view.canceled
        reason = f" ({one_line(canceled.reason)})" if canceled and canceled.reason else ""
        why = f"it was canceled{by(canceled.by) if canceled else ''}{reason}"
    elif job.failed_task is not None:
        why = f"{named(job.failed_task, job.spec_of(job.failed_task).name)} failed"
    elif view.missed is not None:
        why = f"its deadline, {stamp(utc(view.missed.deadline))}, has passed"
    else:
        why = "a task failed"
    return f"the job is halted: {why}. Retry the job to go on"


def _dependencies(view: JobView, number: int) -> str:
    graph = view.job.graph
    index = graph.dependencies[number]
    members = [] if index == NO_DEPENDENCIES else graph.members[index]
    open_ = (task for task in ranges.numbers(members) if not graph.is_complete(task))
    tasks = [_member(view, task) for task in islice(open_, _NAMED)]
    more = sum(1 for _ in open_)
    others = f" and {more} more" if more else ""
    return f"waits for {'task' if len(tasks) == 1 else 'tasks'} {', '.join(tasks)}{others}"


def _member(view: JobView, task: int) -> str:
    job = view.job
    state = job.state_of(task)
    finished = state in (TaskState.COMPUTED, TaskState.FAILED_OPTIONAL)
    # finished and yet not complete
    subtree = ", its subtasks are not complete" if finished else ""
    return f"{task} ({job.spec_of(task).name}, {state.name}{subtree})"


def _held(view: JobView, number: int) -> str | None:
    """Return until when the task is held, and why; None if it is not."""
    until = view.held(number)
    if not until:
        return None
    if until <= view.job.spec_of(number).asked.not_before:
        return f"not before {stamp(utc(until))}, its start"
    return f"backing off until {stamp(utc(until))}{_next_attempt(view, number)}"


def _ready(view: JobView, number: int) -> str:
    spec = view.job.spec_of(number)
    asked = spec.asked
    key = one_line(asked.key, 60)
    if asked.key and view.job.slots.get(asked.key, 0) >= asked.limit:
        many = "1 task runs" if asked.limit == 1 else f"{asked.limit} tasks run"
        return f"waits for its turn: {many} under the key {key!r}, which is its limit"
    text = f"ready: waits for a runner of cluster {spec.cluster!r} with task {spec.identifier}"
    if is_suspect(view.job, number):
        text += (
            f", which holds nothing else, or few like it: {view.job.expiries[number]} runners were lost while they had it, and it "
            "may be what kills them"
        )
    if asked.key:
        text += f", and for a place under the key {key!r}, which has {asked.limit} in all jobs"
    return text + _next_attempt(view, number)


def _next_attempt(view: JobView, number: int) -> str:
    """Say what became of the attempt before, where there was one."""
    ended = view.ended.get(number)
    if not ended:
        return ""
    last = ended[-1]
    told = f": {said(last.error)}" if last.error else because(last.reason)
    return f", to make attempt {view.job.attempt[number] + 1}: the one before {last.outcome.value}{told}"
