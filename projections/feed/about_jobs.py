"""What the feed tells of jobs."""

from __future__ import annotations

from jobledger.core import events as e
from jobledger.core import ranges
from jobledger.core.job.state import NO_OPTIONS
from jobledger.core.lifecycle import TaskState

from ..utc import utc, utc_or_none
from . import data as d
from . import tasks
from .context import JobContext, Kind
from .facts import Fact, Facts, chunks, error_or_none, grace_seconds, progress_data, several


def job_submitted(context: JobContext, event: e.JobSubmitted) -> Facts:
    options = event.options or NO_OPTIONS
    yield Fact(
        None,
        d.JobSubmitted(
            event.name,
            len(event.tasks),
            event.by,
            options.labels,
            options.continues,
            utc_or_none(options.deadline),
            options.force,
            options.key,
            _origin(options.origin),
            options.sealed,
        ),
    )


def taken_over(context: JobContext, part: e.TasksTakenOver) -> Facts:
    by_kind: dict[Kind | None, list[d.TakenOverTask]] = {}
    for one in part.tasks:
        told = d.TakenOverTask(
            one.task,
            one.source,
            _state(one.state),
            one.attempt,
            part.runners[one.runner] if one.runner < len(part.runners) else "",
            utc_or_none(one.claimed),
            utc_or_none(one.started),
            utc_or_none(one.stopped),
            one.display,
            progress_data(one.progress),
            **tasks.result(one.result),
            error=error_or_none(one.error),
            source_job=one.source_job,
            source_job_task=one.source_task if one.source_job else None,
            cause=one.cause if one.cause >= 0 else None,
        )
        by_kind.setdefault(context.kind_of(one.task), []).append(told)
    for kind, told_of in by_kind.items():
        for some in chunks(told_of, tasks.TARGET_TASKS // 100):
            yield Fact(kind, d.TaskTakenOver(some))


def forking(context: JobContext, event: e.TasksTakenOver) -> Facts:
    subtasks = sum(len(chunk.tasks) for chunk in event.subtasks)
    yield Fact(None, d.JobForking(event.part, len(event.tasks), subtasks))


def job_completed(context: JobContext, event: e.JobCompleted) -> Facts:
    yield Fact(None, d.JobCompleted(context.name))


def job_failed(context: JobContext, event: e.JobFailed) -> Facts:
    kind = context.kind_of(event.task)
    yield Fact(
        None, d.JobFailed(context.name, event.task, kind.name if kind else "", kind.cluster if kind else "")
    )


def job_canceled(context: JobContext, event: e.JobCanceled) -> Facts:
    grace = grace_seconds(event.grace)
    yield Fact(None, d.JobCanceled(context.name, event.command_id, event.by, event.reason, grace))


def job_retried(context: JobContext, event: e.JobRetried) -> Facts:
    yield Fact(
        None,
        d.JobRetried(
            context.name,
            event.command_id,
            ranges.count(event.tasks),
            event.rescheduled,
            event.by,
            event.task if event.task >= 0 else None,
            utc_or_none(event.deadline),
        ),
    )
    for kind, some in several(context, event.tasks) if event.tasks else ():
        yield Fact(kind, d.TaskRetried(some, event.command_id))


def deadline_exceeded(context: JobContext, event: e.DeadlineExceeded) -> Facts:
    yield Fact(None, d.JobDeadlineExceeded(context.name, utc(event.deadline)))


def job_deleted(context: JobContext, event: e.JobDeleted) -> Facts:
    yield Fact(None, d.JobDeleted(context.name, event.command_id, event.by, event.reason))


def job_erased(context: JobContext, event: e.JobErased) -> Facts:
    yield Fact(None, d.JobErased(context.name, event.key))


def _origin(origin: e.Origin | None) -> d.OriginData | None:
    if origin is None:
        return None
    return d.OriginData(origin.job, origin.position, origin.version, origin.digest.hex())


def _state(number: int) -> str:
    return TaskState(number).name if number in TaskState._value2member_map_ else str(number)
