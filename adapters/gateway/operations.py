"""What can be asked for: each operation is one function of a session and a request; `OPERATIONS` lists them.

Errors of each: Problem, and the errors of the client (`problems.problem_of`).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import msgspec

from jobledger.core.errors import ArgumentError, ErasedError, NotFoundError
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.core.results import ResultError
from jobledger.projections.job_view import JobView
from jobledger.projections.task_view import TaskView

from .. import protocol as p
from ..client.clusters import require
from ..client.follow.following import FOLLOW, FOLLOW_MARGIN
from ..client.query.queries import page
from ..client.read.reading import Reading
from ..client.requests import do, follow
from ..client.results import read_value
from ..client.submit.submitting import fitted, submit_sealed
from . import replies, translation
from . import requests as r
from .fields import LARGEST_PAGE
from .problems import Problem

if TYPE_CHECKING:
    from .session import ApiSession

#: share of the server's largest message that a reply fills at most
_SHARE = 0.75
_OVERHEAD = 300  # bytes of a result beside its value, and of one that is named, rounded up


class Operation(NamedTuple):
    """One thing that can be asked for."""

    request: type[Any]
    reply: type[Any]
    run: Callable[[ApiSession, Any], Awaitable[Any]]
    waits: bool = False  #: it may take as long as the request's `timeout`


# -- commands ---------------------------------------------------------------------------------------------------


async def submit(session: ApiSession, request: r.Submit) -> replies.Submitted:
    command = translation.submit_command(request, session.names.namespace, session.now())
    for number, task in enumerate(request.tasks):
        try:
            await require(session, task.cluster)
        except NotFoundError as error:
            raise Problem("cluster_not_found", str(error), f"tasks[{number}].cluster") from error
    try:
        if request.encrypt:
            await submit_sealed(session, command)
        else:
            await do(session, await fitted(session, command))
    except ArgumentError as error:
        if isinstance(error.__cause__, ErasedError):
            raise Problem("conflict", str(error), "idempotency_key") from error
        raise Problem("too_large", str(error), "tasks") from error
    return replies.Submitted(job=command.job_id, name=command.name)


async def cancel(session: ApiSession, request: r.Cancel) -> replies.Canceled:
    done = await do(session, translation.cancel_command(request))
    return replies.Canceled(job=str(request.job), task=request.task, affected=done.count)


async def retry(session: ApiSession, request: r.Retry) -> replies.Retried:
    done = await do(session, translation.retry_command(request, session.now()))
    return replies.Retried(job=str(request.job), task=request.task, rescheduled=done.count)


async def delete(session: ApiSession, request: r.Delete) -> replies.Deleted:
    await do(session, translation.delete_command(request))
    return replies.Deleted(job=str(request.job))


# -- one job ----------------------------------------------------------------------------------------------------


async def find(session: ApiSession, request: r.Find) -> replies.Job:
    return replies.job_of_view(await _view(session, request.job))


async def wait(session: ApiSession, request: r.Wait) -> replies.Job:
    until = time.monotonic() + request.timeout
    while True:
        left = max(0.0, until - time.monotonic())
        question = p.FollowJob(str(request.job), settled=True, wait=min(FOLLOW, left))
        patience = left + session.patience  # an engine that is replaced meanwhile is outlasted
        status = await follow(session, question, margin=FOLLOW_MARGIN, patience=patience)
        if status.settled or not left:
            return replies.job_of_view(await _view(session, request.job, at_least=status.version))


async def read_tasks(session: ApiSession, request: r.ReadTasks) -> replies.Tasks:
    view = await _view(session, request.job)
    tasks = view.tasks.filter([TaskState[name] for name in request.states] or None)
    room = await _room(session)
    found: list[replies.Task] = []
    first = -1 if request.after is None else request.after
    for number in tasks.numbers:
        if number <= first:
            continue
        task = replies.task_of(TaskView(view, number))
        room -= len(msgspec.json.encode(task)) + 1
        if len(found) == request.limit or (room < 0 and found):
            return replies.Tasks(job=view.job.id, tasks=found, next=found[-1].task)
        found.append(task)
    return replies.Tasks(job=view.job.id, tasks=found, next=None)


async def read_results(session: ApiSession, request: r.ReadResults) -> replies.Results:
    view = await _view(session, request.job)
    first = -1 if request.after is None else request.after
    largest = left = await _room(session)
    found: list[replies.Result] = []
    for task in _with_results(view, request.task):
        if task.number <= first:
            continue
        size = _size_of(task, largest)
        if found and (size > left or len(found) == LARGEST_PAGE):
            return replies.Results(job=view.job.id, results=found, next=found[-1].task)
        left -= size
        found.append(await _result(session, view, task, largest))
    return replies.Results(job=view.job.id, results=found, next=None)


def _with_results(view: JobView, number: int | None) -> list[TaskView]:
    """Return the tasks whose results are meant. Errors: Problem where they have none, or not yet."""
    assert view.state is not None
    if number is None:
        if view.state is not JobState.COMPLETED:
            raise Problem(
                "no_result",
                f"job {view.job.id} is {view.state.name}: a job has a result once it is COMPLETED. "
                + ("Read its `error`, or the result of one task" if view.settled else "Wait for it"),
            )
        return list(view.roots)
    if number >= len(view.tasks):
        raise Problem(
            "task_not_found", f"job {view.job.id} has no task {number}, only {len(view.tasks)} so far", "task"
        )
    task = view.tasks[number]
    if task.state is not TaskState.COMPUTED:
        raise Problem(
            "no_result",
            f"task {number} of job {view.job.id} is {task.state.name}: it has a result once it is COMPUTED",
            "task",
        )
    return [task]


def _size_of(task: TaskView, largest: int) -> int:
    """Return how many bytes the result of a task takes in a reply, about."""
    value = task.value
    if value is None or value.size > largest:
        return _OVERHEAD
    return _OVERHEAD + (value.size or len(value.data))


async def _result(session: ApiSession, view: JobView, task: TaskView, largest: int) -> replies.Result:
    value = task.value
    if value is not None and value.size > largest:
        if view.job.options.sealed:
            raise Problem(
                "too_large", f"the result of {value.size:,} bytes is encrypted, and fits no reply", "task"
            )
        bucket = session.names.objects_bucket
        return replies.Result(
            task=task.number, object=replies.ObjectName(bucket=bucket, name=value.object, size=value.size)
        )
    try:
        found = await read_value(session, value, whose=f"task {task.id}", opened=task.opened)
    except ResultError as error:
        raise Problem("damaged", f"a runner reported what is no JSON: {error}", "task") from error
    return replies.Result(task=task.number, value=found)


async def _view(session: ApiSession, job: UUID, *, at_least: int = 0) -> JobView:
    async with session.reading:
        return await Reading(session, str(job), at_least=at_least).refresh()


# -- all jobs ---------------------------------------------------------------------------------------------------


async def list_jobs(session: ApiSession, request: r.ListJobs) -> replies.Jobs:
    found = await page(session, translation.wanted_jobs(request), behind=request.after, limit=request.limit)
    room = await _room(session)
    jobs: list[replies.Job] = []
    for row in found.rows:
        job = replies.job_of_row(row)
        room -= len(msgspec.json.encode(job)) + 1
        if room < 0 and jobs:
            return replies.Jobs(jobs=jobs, next=found.rows[len(jobs) - 1].place)
        jobs.append(job)
    return replies.Jobs(jobs=jobs, next=found.next)


async def _room(session: ApiSession) -> int:
    return int(await session.max_payload() * _SHARE)


OPERATIONS: dict[str, Operation] = {
    "submit": Operation(r.Submit, replies.Submitted, submit),
    "cancel": Operation(r.Cancel, replies.Canceled, cancel),
    "retry": Operation(r.Retry, replies.Retried, retry),
    "delete": Operation(r.Delete, replies.Deleted, delete),
    "find": Operation(r.Find, replies.Job, find),
    "wait": Operation(r.Wait, replies.Job, wait, waits=True),
    "tasks": Operation(r.ReadTasks, replies.Tasks, read_tasks),
    "results": Operation(r.ReadResults, replies.Results, read_results),
    "list": Operation(r.ListJobs, replies.Jobs, list_jobs),
}
