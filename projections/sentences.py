"""One event in words: a line of English for each kind, saying who did what, to which tasks, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jobledger.core import events as e
from jobledger.core import ranges

from .utc import stamp, utc
from .wording import because, by, counted, duration, named, one_line, said

Names = Callable[[int], str]


def sentence(event: e.Event | e.UnknownEvent, name_of: Names) -> str:
    """Return what happened. `name_of` gives the name of a task by its number, "" where it is not known."""
    describe = SENTENCES.get(event.__class__)
    if describe is None:
        tag = getattr(event, "tag", "")
        return f"event {tag!r}, which a later version of jobledger wrote"
    return describe(event, name_of)


def _task(event: Any, names: Names) -> str:
    return named(event.task, names(event.task))


def _attempt(event: Any, names: Names) -> str:
    return f"{_task(event, names)} attempt {event.attempt}"


def several(packed: Sequence[int], names: Names) -> str:
    """Return how tasks are called that are given as ranges: one by its name, several by their number and numbers."""
    size = ranges.count(packed)
    if size == 1:
        return named(packed[0], names(packed[0]))
    shown = [str(a) if b == a + 1 else f"{a}-{b - 1}" for a, b in ranges.pairs(packed[:8])]
    return f"{counted(size, 'task')} ({', '.join(shown)}{', …' if len(packed) > 8 else ''})"


def _stopped(grace: int) -> str:
    """Say what becomes of running tasks that do not stop when they are told to."""
    if grace < 0:
        return ""
    return f", and stopped after {duration(grace)}" if grace else ", and stopped at once"


# -- the job ----------------------------------------------------------------------------------------------------


def _submitted(event: e.JobSubmitted, names: Names) -> str:
    text = (
        f"job {one_line(event.name)!r} submitted{by(event.by)} with {counted(len(event.tasks), 'root task')}"
    )
    if event.options is not None and event.options.deadline:
        text += f", to be over by {stamp(utc(event.options.deadline))}"
    if event.options is not None and event.options.sealed:
        text += f", sealed with key {one_line(event.options.sealed)}"
    if event.options is not None and event.options.origin is not None:
        text += f", forked from {origin_words(event.options.origin)}"
    return text


def origin_words(origin: e.Origin) -> str:
    """Return from which point of which job one was forked."""
    return f"job {one_line(origin.job)} as of its version {origin.version} (position {origin.position})"


def _taken_over(event: e.TasksTakenOver, names: Names) -> str:
    if not event.tasks and not event.subtasks:
        return f"a fork begins: part {event.part + 1}, nothing is taken over"
    size = counted(len(event.tasks), "finished task")
    return f"a fork begins: part {event.part + 1} of what it takes over, {size}"


def _job_completed(event: e.JobCompleted, names: Names) -> str:
    return "job completed"


def _job_failed(event: e.JobFailed, names: Names) -> str:
    return f"job failed of {_task(event, names)}; what is queued is halted"


def _job_canceled(event: e.JobCanceled, names: Names) -> str:
    grace = f"; running tasks are told{_stopped(event.grace)}" if event.grace >= 0 else ""
    return f"job canceled{by(event.by)}{because(event.reason)}{grace}"


def _deadline(event: e.DeadlineExceeded, names: Names) -> str:
    return f"job failed of its deadline, {stamp(utc(event.deadline))}; running tasks are told to stop"


def _job_retried(event: e.JobRetried, names: Names) -> str:
    what = "job retried" if event.task < 0 else f"{_task(event, names)} retried"
    reset = f", {several(event.tasks, names)} afresh" if event.tasks else ""
    text = f"{what}{by(event.by)}: {counted(event.rescheduled, 'task')} may run again{reset}"
    return text + (f"; to be over by {stamp(utc(event.deadline))}" if event.deadline else "")


def _job_deleted(event: e.JobDeleted, names: Names) -> str:
    return f"job deleted{by(event.by)}{because(event.reason)}"


def _job_erased(event: e.JobErased, names: Names) -> str:
    return f"job erased: key {one_line(event.key)} was destroyed; nobody can read its inputs, results and errors any more"


# -- attempts ---------------------------------------------------------------------------------------------------


def _claimed(event: e.TasksClaimed, names: Names) -> str:
    return (
        f"{several(event.tasks, names)} claimed by runner {one_line(event.runner)}, attempt {event.attempt}"
    )


def _progressed(event: e.TaskProgressed, names: Names) -> str:
    told = [
        f"{one_line(one.label, 40)}{' ' if one.label else ''}{one.done} of {one.total}"
        for one in event.progress or ()
    ]
    if event.display is not None:
        told.append(f"it displays {one_line(event.display)!r}")
    return f"{_attempt(event, names)} runs{': ' if told else ''}{one_line(', '.join(told))}"


def _staged(event: e.SubtasksStaged, names: Names) -> str:
    size = counted(len(event.tasks), "subtask")
    return f"{_attempt(event, names)} announced {size}, from its number {event.tasks.start} on"


def _computed(event: e.TaskComputed, names: Names) -> str:
    took = f"in {duration(event.stopped - event.started)}"
    more = f", submitting {counted(len(event.subtasks), 'subtask')}" if event.subtasks is not None else ""
    if event.subtasks is not None and event.subtasks.start:
        more += f" after the {event.subtasks.start:,} announced"
    return f"{_task(event, names)} computed by attempt {event.attempt} {took}{more}"


def _reused(event: e.TaskReused, names: Names) -> str:
    source = f"task {event.source_task} of job {one_line(event.source_job)}"
    return f"{_task(event, names)} did not run: the result of {source} was reused"


def _attempt_failed(event: e.AttemptFailed, names: Names) -> str:
    when = f"at {stamp(utc(event.retry_at))}" if event.retry_at else ""
    return f"{_attempt(event, names)} failed, to be retried{' ' if when else ''}{when}: {said(event.error)}"


def _failed(event: e.TaskFailed, names: Names) -> str:
    return f"{_task(event, names)} failed for good at attempt {event.attempt}: {said(event.error)}"


def _optional_failed(event: e.OptionalTaskFailed, names: Names) -> str:
    what = f"{_task(event, names)} failed at attempt {event.attempt}; it is optional, the job goes on"
    return f"{what}: {said(event.error)}"


def _released(event: e.TaskReleased, names: Names) -> str:
    return f"{_attempt(event, names)} given back by its runner{because(event.reason)}"


def _expired(event: e.LeaseExpired, names: Names) -> str:
    alone = ", which held nothing else" if event.alone else ""
    return f"{_attempt(event, names)} lost: no sign of life from runner {one_line(event.runner)}{alone}"


def _task_canceled(event: e.TaskCanceled, names: Names) -> str:
    how = f", failing with {said(event.error)}" if event.error is not None else ""
    return f"{_attempt(event, names)} stopped, because it was canceled{how}"


# -- tasks that are given up ------------------------------------------------------------------------------------


def _cancel_requested(event: e.CancelRequested, names: Names) -> str:
    told = ""
    if event.running:
        told = f"; {several(event.running, names)} told to stop{_stopped(event.grace)}"
    return f"cancel of {_task(event, names)} requested{by(event.by)}{because(event.reason)}{told}"


def _skipped(event: e.TasksSkipped, names: Names) -> str:
    return _given_up("skipped", event, names)


def _abandoned(event: e.TasksAbandoned, names: Names) -> str:
    return _given_up("abandoned", event, names)


def _given_up(what: str, event: Any, names: Names) -> str:
    cause = named(event.cause, names(event.cause))
    return f"{several(event.tasks, names)} {what}, because {cause} did not succeed"


def _tasks_canceled(event: e.TasksCanceled, names: Names) -> str:
    if list(event.tasks) == [event.cause, event.cause + 1]:
        return f"{several(event.tasks, names)} canceled before it ran"
    return f"{several(event.tasks, names)} canceled with {named(event.cause, names(event.cause))}"


SENTENCES: dict[type, Callable[[Any, Names], str]] = {
    e.TasksTakenOver: _taken_over,
    e.JobSubmitted: _submitted,
    e.SubtasksStaged: _staged,
    e.TasksClaimed: _claimed,
    e.TaskProgressed: _progressed,
    e.TaskComputed: _computed,
    e.TaskReused: _reused,
    e.AttemptFailed: _attempt_failed,
    e.TaskFailed: _failed,
    e.OptionalTaskFailed: _optional_failed,
    e.TasksSkipped: _skipped,
    e.TaskReleased: _released,
    e.LeaseExpired: _expired,
    e.CancelRequested: _cancel_requested,
    e.TasksCanceled: _tasks_canceled,
    e.TaskCanceled: _task_canceled,
    e.TasksAbandoned: _abandoned,
    e.JobCompleted: _job_completed,
    e.JobFailed: _job_failed,
    e.JobCanceled: _job_canceled,
    e.JobRetried: _job_retried,
    e.DeadlineExceeded: _deadline,
    e.JobDeleted: _job_deleted,
    e.JobErased: _job_erased,
}
