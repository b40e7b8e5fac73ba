"""Work comes in and is handed out: submissions, claims, and what a running task says before its end."""

from __future__ import annotations

from itertools import groupby

from .. import commands as c
from .. import events as e
from .. import ranges
from ..job import Job
from ..lifecycle import HALTED
from .bounds import check_bounds, check_options
from .refusal import Refusal, check_current, check_same, check_tasks


def submit(job: Job, command: c.SubmitJob, now: int) -> list[e.Event]:
    if job.state:
        check_same(job, command)
        return []
    if not command.name:
        raise Refusal("invalid", "a job needs a name")
    if job.taken_over:
        raise Refusal("conflict", f"job {job.id} is being forked: submit under another id")
    if command.options is not None and command.options.origin is not None:
        raise Refusal("invalid", "a job that comes from another one is forked, not submitted")
    check_tasks(command.tasks, 0)
    check_options(command)
    check_bounds(job, command.tasks)
    return [e.JobSubmitted(command.name, command.tasks, command.by, command.options)]


def claim(job: Job, command: c.ClaimTasks, now: int) -> list[e.Event]:
    if job.state in HALTED or not job.state:
        return []
    chosen = command.tasks or job.graph.next_ready(command.specs, command.limit, command.slots)
    tasks = sorted(chosen, key=job.attempt.__getitem__)
    return [
        e.TasksClaimed(command.runner, attempt + 1, ranges.pack(group))
        for attempt, group in groupby(tasks, key=job.attempt.__getitem__)
    ]


def stage(job: Job, command: c.StageSubtasks, now: int) -> list[e.Event]:
    check_current(job, command)
    staged = job.staged_count(command.task)
    if command.tasks.start < staged:
        return []
    check_tasks(command.tasks, staged)
    check_bounds(job, command.tasks)
    return [e.SubtasksStaged(command.task, command.attempt, command.tasks)]


def progressed(job: Job, command: c.ReportProgress, now: int) -> list[e.Event]:
    check_current(job, command)
    return [
        e.TaskProgressed(command.task, command.attempt, command.started, command.progress, command.display)
    ]
