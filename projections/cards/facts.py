"""What a card tells of a job or a task, as lines of a label and a text: the same in HTML and in plain text."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from jobledger.core.errors import JobLedgerError
from jobledger.core.events import Value
from jobledger.core.lifecycle import HALTED, TaskState

from ..attempts import Attempt
from ..job_view import JobView
from ..policies import policy_words
from ..sealed import instead
from ..sentences import origin_words
from ..task_view import TaskView
from ..utc import micros, stamp
from ..wording import by, counted, duration, named, one_line, said

_MOST = 12  # labels or results that are shown before the rest is only counted


class Fact(NamedTuple):
    label: str
    text: str


def job_facts(view: JobView) -> Iterator[Fact]:
    """Yield what is worth telling of a job beside its name, state and tasks."""
    job, stats = view.job, view.execution_stats
    yield Fact("submitted", f"{stamp(view.submitted_at)}{by(job.by)}")
    if view.origin is not None:
        yield Fact("forked from", origin_words(view.origin))
    if view.labels:
        labels = [f"{one_line(key, 60)}={one_line(value, 60)}" for key, value in view.labels.items()]
        yield Fact("labels", _listed(labels))
    if view.started_at:
        yield Fact("started", stamp(view.started_at))
        at_a_time = f", {stats.parallelism:.1f} tasks at a time" if stats.parallelism >= 0.05 else ""
        elapsed, compute = (duration(micros(time)) for time in (stats.elapsed_time, stats.compute_time))
        yield Fact("ran for" if view.settled else "runs for", f"{elapsed}, computing {compute}{at_a_time}")
    if view.finished_at:
        yield Fact("finished", stamp(view.finished_at))
    elif view.deadline:
        yield Fact("deadline", stamp(view.deadline))
    if view.canceled is not None:
        yield Fact("canceled", _by_and_why(view.canceled.by, view.canceled.reason))
    if view.deleted is not None:
        yield Fact("deleted", _by_and_why(view.deleted.by, view.deleted.reason))
    if job.state in HALTED and not view.settled:
        yield Fact("not settled", f"{counted(job.counts[TaskState.RUNNING.value], 'task')} still running")
    waiting = _waiting(view)
    if waiting is not None:
        yield waiting
    if view.error is not None:
        failed = job.failed_task
        where = "" if failed is None else f" ({named(failed, job.spec_of(failed).name)})"
        yield Fact("error", f"{one_line(str(view.error))}{where}")
    results = [text for text in map(_result, view.roots[:_MOST]) if text is not None]
    if results:
        yield Fact("result", _listed(results))


def task_facts(task: TaskView) -> Iterator[Fact]:
    """Yield what is worth telling of a task beside its name and state, and its attempts."""
    yield Fact("task", f"{task.identifier} on cluster {task.cluster!r}")
    words = policy_words(task._spec)
    if words:
        yield Fact("policy", "; ".join(words))
    if task.parent is not None:
        yield Fact(
            "submitted", f"{stamp(task.submitted_at)} by {named(task.parent.number, task.parent.name)}"
        )
    else:
        yield Fact("submitted", stamp(task.submitted_at))
    if task.waiting is not None:
        yield Fact("queued" if task.state is TaskState.QUEUED else "why", task.waiting)
    for label, at in (("started", task.started_at), ("finished", task.finished_at)):
        if at is not None:
            yield Fact(label, stamp(at))
    spent = {
        "blocked": task.blocked_duration,
        "pending": task.pending_duration,
        "executing": task.execution_duration,
    }
    yield Fact("time", ", ".join(f"{duration(round(1e6 * time))} {what}" for what, time in spent.items()))
    if task.cancel_requested is not None:
        yield Fact("asked to stop", _by_and_why(*task.cancel_requested))
    if task.origin is not None:
        yield Fact("taken over", f"from task {one_line(str(task.origin))}")
    if task.source is not None:
        yield Fact("reused", f"the result of task {one_line(str(task.source))}")
    if task.error is not None:
        yield Fact("error", said(task.error))
    result = _result(task)
    if result is not None:
        yield Fact("result", result)


def attempt_line(attempt: Attempt) -> str:
    """Return one run of a task in a line."""
    text = f"attempt {attempt.number} {attempt.outcome.value} on {one_line(attempt.runner, 80)}"
    if attempt.started_at and attempt.stopped_at:
        text += f" in {duration(_between(attempt.started_at, attempt.stopped_at))}"
    elif attempt.started_at:
        text += f" since {stamp(attempt.started_at)}"
    told = said(attempt.error) if attempt.error else one_line(attempt.reason)
    return f"{text}: {told}" if told else text


def _waiting(view: JobView) -> Fact | None:
    """Tell what a job waits for of which nothing runs."""
    job = view.job
    if job.state in HALTED or job.counts[TaskState.RUNNING.value] or not job.counts[TaskState.QUEUED.value]:
        return None
    ready = view.graph.ready
    number = next((n for n in (ready.find(1), ready.find(2)) if n >= 0), -1)
    if number < 0:
        number = view.graph.status.find(TaskState.QUEUED.value)
    task = view.tasks[number]
    return Fact("queued", f"{named(number, task.name)}: {task.waiting}")


def _between(start: datetime, stop: datetime) -> int:
    return max(0, micros(stop - start))


def _by_and_why(who: str, reason: str) -> str:
    return f"{by(who).lstrip()}{': ' if who and reason else ''}{one_line(reason)}" or "yes"


def _result(task: TaskView) -> str | None:
    """Tell what a task returned; of a sealed job without its key, and of what was not sealed with it, only that."""
    try:
        return None if task.value is None else _shown(task.value)
    except JobLedgerError as problem:
        return instead(problem)


def _shown(value: Value) -> str:
    if value.object:
        return f"{value.size:,} bytes in the object store"
    return one_line(value.data[:2000].decode("utf-8", "replace"))


def _listed(texts: list[str]) -> str:
    more = len(texts) - _MOST
    return ", ".join(texts[:_MOST]) + (f" and {more} more" if more > 0 else "")
