"""What makes a command impossible, and the checks that find it out."""

from __future__ import annotations

from typing import Any

from .. import commands as c
from ..job import Job
from ..lifecycle import JobState, TaskState
from .sameness import differences

_DELETED, _RUNNING = JobState.DELETED.value, TaskState.RUNNING.value


class Refusal(Exception):
    """The command is not possible in the state at hand. The job is unchanged.

    `code` is for programs: "stale" (the attempt is over), "not_retryable", "not_deletable", "conflict" (an idempotency
    key belongs to another submission), "invalid", "unknown_job" or "unknown_task". An engine also refuses what the log has
    no room for ("log_full").
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def check_exists(job: Job) -> None:
    if not job.state:
        raise Refusal("unknown_job", f"there is no job {job.id}")
    if job.state == _DELETED:
        raise Refusal("unknown_job", f"job {job.id} was deleted")


def check_task(job: Job, task: int) -> None:
    if not 0 <= task < len(job.graph):
        raise Refusal("unknown_task", f"job {job.id} has no task {task}, only {len(job.graph)} so far")


def check_same(job: Job, command: c.SubmitJob | c.ForkJob) -> None:
    """A submission may be repeated; another one under the same idempotency key is a mistake."""
    if not (command.options and command.options.key):
        return
    key = command.options.key
    if job.state == _DELETED:
        raise Refusal(
            "conflict",
            f"idempotency key {key!r} belongs to job {job.id}, which was deleted: pass another key",
        )
    check_tasks(command.tasks, 0)
    if found := differences(job, command):
        raise Refusal(
            "conflict",
            f"idempotency key {key!r} belongs to job {job.id} ({job.name!r}), which was submitted with "
            f"{', '.join(found)}: pass another key, or the same again",
        )


def check_tasks(tasks: Any, start: int) -> None:
    try:
        tasks.check()
    except ValueError as error:
        raise Refusal("invalid", f"malformed submission: {error}") from error
    if tasks.start != start:
        raise Refusal("invalid", f"a chunk of subtasks begins at {tasks.start} instead of {start}")


def already(job: Job, report: Any, *states: int) -> bool:
    """Whether this attempt has ended in one of these states: the report is a repetition."""
    task = report.task
    return (
        0 <= task < len(job.attempt)
        and 0 < report.attempt == job.attempt[task]
        and job.graph.status[task] in states
    )


def is_current(job: Job, report: Any) -> bool:
    """Whether the report speaks of the running attempt of a task of a job that exists. Attempts count from 1."""
    task = report.task
    return task in job.claimed_by and job.attempt[task] == report.attempt and job.state != _DELETED


def check_holder(job: Job, report: Any, runner: str) -> None:
    """Refuse what is said of a running attempt by anyone but the runner that claimed it."""
    holder = job.claimed_by.get(report.task)
    if holder != runner and holder is not None and job.attempt[report.task] == report.attempt:
        raise Refusal("stale", f"attempt {report.attempt} of task {report.task} is not of runner {runner}")


def check_current(job: Job, report: Any) -> None:
    """Refuse unless the report speaks of the running attempt: a runner that lost its lease changes nothing."""
    check_exists(job)
    task = report.task
    if not 0 <= task < len(job.attempt):
        raise Refusal("invalid", f"job {job.id} has no task {task}")
    if job.attempt[task] != report.attempt or job.graph.status[task] != _RUNNING:
        raise Refusal(
            "stale",
            f"attempt {report.attempt} of task {task} is over: the task is {job.state_of(task).name} "
            f"at attempt {job.attempt[task]}",
        )
