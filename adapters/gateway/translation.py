"""Requests in words -> the commands the engine takes: the same checks, defaults and packing as for the Python client."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from msgspec import UNSET

from jobledger.core.commands import CancelJob, CancelTask, DeleteJob, RetryJob, SubmitJob
from jobledger.core.errors import ArgumentError
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.core.options import Concurrency, Retry, TaskPolicy, spec_policy
from jobledger.core.submission import NewTask, TaskSpec, columns
from jobledger.core.task import TaskIdentifier
from jobledger.projections.jobs import JobFilter

from ..client import arguments
from ..client.ids import new_id
from ..client.query.selection import job_filter
from ..client.submit.submission import job_command
from . import requests as r
from .decoding import compact
from .problems import Problem

#: who is shown to have asked where a request does not say
_NOBODY = "JSON API"


def submit_command(request: r.Submit, namespace: str, now: int) -> SubmitJob:
    """Return the command that submits a job. Units: `now` is µs since 1970 UTC. Errors: Problem."""
    tasks = [_new_task(task, number, now) for number, task in enumerate(request.tasks)]
    with _about(None):
        (packed,) = columns(tasks)
        return job_command(
            namespace,
            request.name,
            packed,
            labels=request.labels,
            idempotency_key=request.idempotency_key,
            deadline=request.deadline,
            continues=request.on_failure == "continue",
            force=request.force,
            by=request.by or _NOBODY,
            trace=request.traceparent or "",
            now=now,
        )


def cancel_command(request: r.Cancel) -> CancelJob | CancelTask:
    """Return the command that cancels a job or a task of it. Errors: Problem."""
    with _about("grace"):
        grace = arguments.grace(request.grace)
    job, key, by = str(request.job), _command_id(request), request.by or _NOBODY
    if request.task is None:
        return CancelJob(job, key, by, request.reason, grace)
    return CancelTask(job, key, request.task, by, request.reason, grace)


def retry_command(request: r.Retry, now: int) -> RetryJob:
    """Return the command that resumes a job or a task of it. Errors: Problem."""
    with _about("deadline"):
        deadline = arguments.moment("deadline", request.deadline, now)
    task = -1 if request.task is None else request.task
    return RetryJob(str(request.job), _command_id(request), request.by or _NOBODY, task, deadline)


def delete_command(request: r.Delete) -> DeleteJob:
    """Return the command that deletes a job."""
    by = request.by or _NOBODY
    return DeleteJob(str(request.job), _command_id(request), by, request.reason, request.force)


def wanted_jobs(request: r.ListJobs) -> JobFilter:
    """Return which jobs are meant. Errors: Problem."""
    with _about(None):
        return job_filter(
            None if request.since is request.before is None else (request.since, request.before),
            {
                "job_states": [JobState[name] for name in request.states] or None,
                "task_states": [TaskState[name] for name in request.task_states] or None,
                "name": request.name,
                "clusters": request.clusters or None,
                "labels": request.labels,
                "tasks": request.tasks or None,
            },
        )


def _new_task(given: r.NewTask, number: int, now: int) -> NewTask:
    field = f"tasks[{number}]"
    for place, other in enumerate(given.depends_on):
        if other >= number:
            raise Problem(
                "invalid_argument",
                f"{field}.depends_on[{place}]={other} is no task before this one: tasks are counted from 0, and depend on "
                "earlier ones of the same list",
                f"{field}.depends_on[{place}]",
            )
    data = b"" if given.input is UNSET else compact(bytes(given.input), f"{field}.input")
    return NewTask(_spec(given, field, now), data, frozenset(given.depends_on))


def _spec(given: r.NewTask, field: str, now: int) -> TaskSpec:
    with _about(f"{field}.version"):
        identifier = TaskIdentifier.parse(given.name, given.version)
    with _about(f"{field}.retry"):
        retry = None if given.retry is None else _retry(given.retry)
    with _about(field):
        limit = given.concurrency
        policy = TaskPolicy(
            priority=given.priority,
            retry=retry,
            timeout=given.timeout,
            start=given.start,
            on_failure=given.on_failure,
            concurrency=None if limit is None else Concurrency(limit.key, limit.limit),
            reuse=given.reuse,
        )
        return TaskSpec(
            identifier.name,
            identifier.major,
            identifier.minor,
            arguments.cluster_name(given.cluster),
            given.max_retries or (0 if retry is None else retry.max),
            given.optional,
            spec_policy(policy, now=now),
        )


def _retry(given: r.RetryPolicy) -> Retry:
    limits = {} if given.cap is None else {"cap": given.cap}
    return Retry(
        given.max,
        delay=given.delay,
        backoff=given.backoff,
        jitter=given.jitter,
        on=None if given.on is None else tuple(given.on),
        give_up=tuple(given.give_up),
        **limits,
    )


def _command_id(request: r.Cancel | r.Retry | r.Delete) -> str:
    """Return the id by which the job knows a request again: by its key, if it says the same as before."""
    if request.idempotency_key is None:
        return new_id().hex
    said = type(request).__name__.encode() + b"\n" + msgspec.json.encode(request)
    return hashlib.sha256(said).hexdigest()[:32]


@contextmanager
def _about(field: str | None) -> Iterator[None]:
    """What the client's checks find wrong in here is wrong with this field; None: they name it themselves."""
    try:
        yield
    except (ArgumentError, OverflowError) as error:  # a time in the year 1 or 9999 may have none in UTC
        said = str(error) if field is None else f"{field}: {error}"
        raise Problem("invalid_argument", said, field) from error
