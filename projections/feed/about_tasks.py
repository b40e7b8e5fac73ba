"""What the feed tells of tasks: of attempts, and of what an end, or a user, does to others."""

from __future__ import annotations

from jobledger.core import events as e

from ..utc import utc, utc_or_none
from . import data as d
from . import tasks
from .context import JobContext
from .facts import (
    Fact,
    Facts,
    attempt_times,
    chunks,
    error_data,
    error_or_none,
    grace_seconds,
    progress_data,
    several,
)

# -- attempts ---------------------------------------------------------------------------------------------------------


def staged(context: JobContext, event: e.SubtasksStaged) -> Facts:
    chunk = event.tasks
    yield Fact(context.kind_of(event.task), d.TaskStaged(event.task, event.attempt, chunk.start, len(chunk)))


def claimed(context: JobContext, event: e.TasksClaimed) -> Facts:
    for kind, some in several(context, event.tasks):
        yield Fact(kind, d.TaskClaimed(event.runner, event.attempt, some))


def progressed(context: JobContext, event: e.TaskProgressed) -> Facts:
    yield Fact(
        context.kind_of(event.task),
        d.TaskProgressed(
            event.task, event.attempt, utc(event.started), event.display, progress_data(event.progress)
        ),
    )


def computed(context: JobContext, event: e.TaskComputed) -> Facts:
    subtasks = context.staged_by(event.task) + (0 if event.subtasks is None else len(event.subtasks))
    yield Fact(
        context.kind_of(event.task),
        d.TaskComputed(
            *attempt_times(event),
            subtasks,
            event.display,
            progress_data(event.progress),
            **tasks.result(event.result),
            reuse_key=event.reuse_key.hex() if event.reuse_key else "",
        ),
    )


def reused(context: JobContext, event: e.TaskReused) -> Facts:
    yield Fact(
        context.kind_of(event.task),
        d.TaskReused(
            *attempt_times(event), event.source_job, event.source_task, **tasks.result(event.result)
        ),
    )


def attempt_failed(context: JobContext, event: e.AttemptFailed) -> Facts:
    yield Fact(
        context.kind_of(event.task),
        d.TaskAttemptFailed(
            *attempt_times(event),
            error_data(event.error),
            event.display,
            progress_data(event.progress),
            utc_or_none(event.retry_at),
        ),
    )


def failed(context: JobContext, event: e.TaskFailed) -> Facts:
    error = error_data(event.error)
    yield Fact(
        context.kind_of(event.task),
        d.TaskFailed(*attempt_times(event), error, event.display, progress_data(event.progress)),
    )


def failed_optional(context: JobContext, event: e.OptionalTaskFailed) -> Facts:
    error = error_data(event.error)
    yield Fact(
        context.kind_of(event.task),
        d.TaskFailedOptional(*attempt_times(event), error, event.display, progress_data(event.progress)),
    )


def canceled(context: JobContext, event: e.TaskCanceled) -> Facts:
    yield Fact(
        context.kind_of(event.task),
        d.TaskCanceled(
            *attempt_times(event), event.display, progress_data(event.progress), error_or_none(event.error)
        ),
    )


def released(context: JobContext, event: e.TaskReleased) -> Facts:
    yield Fact(context.kind_of(event.task), d.TaskReleased(event.task, event.attempt, event.reason))


def expired(context: JobContext, event: e.LeaseExpired) -> Facts:
    yield Fact(context.kind_of(event.task), d.TaskLeaseExpired(event.task, event.attempt, event.runner))


# -- what an end, or a user, does to others ---------------------------------------------------------------------------


def skipped(context: JobContext, event: e.TasksSkipped) -> Facts:
    for kind, some in several(context, event.tasks):
        yield Fact(kind, d.TaskSkipped(some, event.cause))


def canceled_queued(context: JobContext, event: e.TasksCanceled) -> Facts:
    for kind, some in several(context, event.tasks):
        yield Fact(kind, d.TaskCanceledQueued(some, event.cause))


def abandoned(context: JobContext, event: e.TasksAbandoned) -> Facts:
    for kind, some in several(context, event.tasks):
        yield Fact(kind, d.TaskAbandoned(some, event.cause))


def cancel_requested(context: JobContext, event: e.CancelRequested) -> Facts:
    own = context.kind_of(event.task)  # it hears of it in any case, and first
    running = context.by_kind(event.running)
    for kind, asked in {own: running.pop(own, []), **running}.items():
        for some in chunks(asked, tasks.TARGET_TASKS):
            yield Fact(
                kind,
                d.TaskCancelRequested(
                    event.task,
                    some,
                    event.command_id,
                    event.by,
                    event.reason,
                    grace_seconds(event.grace),
                    event.affected,
                ),
            )
