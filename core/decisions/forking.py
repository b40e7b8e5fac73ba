"""A job is to begin where another one was."""

from __future__ import annotations

from .. import commands as c
from .. import events as e
from ..job import Job
from ..job.forking import left_to_run
from ..limits import MOST_TASKS
from .bounds import check_bounds, check_options
from .refusal import Refusal, check_same, check_tasks


def take_over(job: Job, command: c.TakeOver, now: int) -> list[e.Event]:
    """A part 0 begins anew: whoever wrote the parts before it has gone, or was given something else to do."""
    part = command.part
    if job.state or (part.plan == job.plan and part.part < len(job.taken_over)):
        return []
    _check_follows(job, part)
    _check_size(job, part)
    return [part]


def fork(job: Job, command: c.ForkJob, now: int) -> list[e.Event]:
    last, options = command.last, command.options
    if job.state:
        check_same(job, command)
        if options.key and (job.plan, job.options.origin) != (last.plan, options.origin):
            raise Refusal(
                "conflict",
                f"idempotency key {options.key!r} belongs to job {job.id}, which was forked from something else, or "
                "with other inputs: pass another key, or the same again",
            )
        return []
    if not command.name or options.origin is None:
        raise Refusal("invalid", "a fork needs a name, and the job it comes from")
    check_tasks(command.tasks, 0)
    _check_follows(job, last)
    _check_size(job, last)
    check_options(command)
    check_bounds(job, command.tasks)
    try:
        left = left_to_run(command.tasks, [*job.taken_over[: last.part], last])
    except ValueError as error:
        raise Refusal("invalid", f"malformed fork: {error}") from error
    events: list[e.Event] = [last, e.JobSubmitted(command.name, command.tasks, command.by, options)]
    return events if left else [*events, e.JobCompleted()]


def _check_follows(job: Job, part: e.TasksTakenOver) -> None:
    if part.part and (part.plan != job.plan or part.part != len(job.taken_over)):
        raise Refusal(
            "conflict",
            f"part {part.part} of what job {job.id} takes over does not follow what is known of it: somebody else "
            "forks a job to the same id. Fork once more",
        )


def _check_size(job: Job, part: e.TasksTakenOver) -> None:
    """Refuse to take over more than a job may have, at the part with which it becomes that."""
    known = job.taken_over[: part.part]
    size = sum(len(chunk.tasks) for one in (*known, part) for chunk in one.subtasks)
    if size > MOST_TASKS:
        raise Refusal(
            "invalid", f"job {job.id} would take over {size:,} tasks, a job has at most {MOST_TASKS:,}"
        )
    for chunk in part.subtasks:
        try:
            chunk.tasks.check()
        except ValueError as error:
            raise Refusal("invalid", f"malformed fork: {error}") from error
        check_bounds(job, chunk.tasks)
