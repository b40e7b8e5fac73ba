"""Forking a job: a new one that goes on where an old one was."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from jobledger.core.commands import ForkJob, TakeOver
from jobledger.core.errors import ArgumentError, NotFoundError
from jobledger.core.events import JobOptions, Origin
from jobledger.core.limits import MAX_JOB_NAME
from jobledger.core.options import OnFailure
from jobledger.core.task import Task
from jobledger.projections.forking import Fork, TasksWereRunning, plan_fork, quiet_points
from jobledger.projections.job_view import JobView
from jobledger.projections.task_view import TaskView

from .. import arguments
from ..arguments import JobOrId, When
from ..clusters import require
from ..ids import new_id, whoami
from ..logs.telemetry import traceparent
from ..read.reading import Reading
from ..requests import do
from ..results import refer_inputs
from ..submit.submission import checked_key, checked_labels, keyed_id
from ..submit.submitting import check_size
from .edits import edits_of
from .past import At, PastJob, PastReading, moment_of

if TYPE_CHECKING:
    from ..session import Session

#: another input of a task: a task with it, or the input as JSON data, as `task.input_json` shows it
NewInput: TypeAlias = Task | Any
#: by the task or its number; each alone, too: keys of a mapping are invariant to type checkers
NewInputs: TypeAlias = (
    Mapping[int, NewInput] | Mapping[TaskView, NewInput] | Mapping[int | TaskView, NewInput]
)

_COPIES = 8  # objects that are copied side by side


async def fork(
    session: Session,
    job_or_id: JobOrId,
    at: At | None = None,
    tasks: NewInputs | None = None,
    name: str | None = None,
    *,
    labels: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
    deadline: When | None = None,
    on_failure: OnFailure | None = None,
    force: bool | None = None,
    requeue_running: bool = False,
) -> Reading:
    """Start a new job that goes on where this one was, or had been at a moment of the past. Return the new job.

    What was computed is kept, with its result, display, progress and times, and does not run again. What had failed, was
    canceled or abandoned, or was queued, is queued, as if it had never been tried. The old job is left as it is; the new
    one does not need it, and `job.origin` and `task.origin` say where it and its tasks come from.

    Shape:  `at` is a position of the log or an aware time, both included; None: now, or the moment of a `job.at(…)`.
            `tasks` gives tasks other inputs, by the task or its number: a task of the same name, or JSON data as
            `task.input_json` shows it, which nobody checks before a runner does. Such a task runs again, as does
            whatever depends on it; what they had submitted is left out, for they will submit it anew.
            `requeue_running`: what ran at that moment runs in the new job from its beginning; without it, such a moment
            is refused. `name`, `labels`, `on_failure` and `force` are those of the old job unless given. A fork that is
            asked for again with the same `idempotency_key` is the same job.
    Units:  `deadline` as for `submit`; that of the old job does not count.
    Errors: NotFoundError for a job that was not there at that moment, or was deleted; ArgumentError for a moment at which
            tasks ran, for a task that was not there, or will be submitted anew, for a task of another name, and for an
            `idempotency_key` that belongs to something else; InputError (an ArgumentError and a TypeError) for an input
            that does not fit its task. Nothing is started in these cases.

    >>> class Half(Task):
    ...     number: int
    ...
    ...     def execute(self, context: ExecutionContext) -> float:
    ...         return self.number / 2
    >>> job = client.jobs().submit("halving", [Half(3), Half(5)])
    >>> client.runner(tasks=[Half]).run_all()
    >>> fork = client.jobs().fork(job, tasks={1: Half(8)})
    >>> [task.state.name for task in fork.tasks], fork.origin.job == str(job.id)
    (['COMPUTED', 'QUEUED'], True)
    >>> client.runner(tasks=[Half]).run_all()
    >>> fork.wait().result, job.result
    ([1.5, 4.0], [1.5, 2.5])
    """
    old_id = arguments.job_id(job_or_id)
    key = "" if idempotency_key is None else checked_key(idempotency_key)
    job_id = str(keyed_id(session.names.namespace, key) if key else new_id())
    if name is not None:
        arguments.checked_text("name", name, limit=MAX_JOB_NAME, example="fork(job, name='second try')")
    given = None if labels is None else checked_labels(labels)
    until = arguments.moment("deadline", deadline, session.now())
    continues = None if on_failure is None else arguments.on_failure(on_failure) == "continue"
    forced = None if force is None else arguments.flag("force", force)
    arguments.flag("requeue_running", requeue_running)

    reading = _reading(session, job_or_id, at)
    view = await reading.refresh()
    old = view.job
    if old.options.sealed:
        raise ArgumentError(
            f"job {old_id} is sealed: its inputs and results are encrypted with a key that no other job has, and can "
            "not be taken over. Submit its tasks anew"
        )
    edits = await edits_of(session, view, tasks, job_id)
    try:  # on a thread: with 100,000 tasks it takes a while
        planned = await asyncio.to_thread(plan_fork, view, job_id, edits, requeue_running=requeue_running)
    except TasksWereRunning as error:
        raise ArgumentError(f"{error}. {await _quiet(session, view)}") from None
    for cluster in sorted(planned.clusters):
        await require(session, cluster)
    if session.has_objects and not (key and await _exists(session, job_id)):
        await _copy_values(session, planned, old_id, job_id)
    options = JobOptions(
        labels=old.options.labels if given is None else given,
        continues=old.options.continues if continues is None else continues,
        deadline=until,
        force=old.options.force if forced is None else forced,
        key=key,
        trace=traceparent(job_id),
        origin=Origin(old_id, *reading.last_read),
    )
    command = ForkJob(job_id, name or old.name, planned.roots, whoami(), options, planned.parts[-1])
    return await _write(session, planned, command)


def _reading(session: Session, given: JobOrId, at: At | None) -> Reading:
    """Return the job as it was at the moment that is meant. Errors: ArgumentError, if that is said twice."""
    if isinstance(given, PastJob):
        if at is not None:
            raise ArgumentError(
                f"at={at!r} and {given!r:.100} each name a moment: leave out at, or pass the job as it is now"
            )
        return given._reading
    job_id = arguments.job_id(given)
    return Reading(session, job_id) if at is None else PastReading(session, job_id, moment_of(session, at))


async def _quiet(session: Session, view: JobView) -> str:
    """Say where the job could be forked instead."""
    commits = await session.read(view.job.id)
    found = await asyncio.to_thread(quiet_points, view.job.id, commits, view.position)
    points = " and at ".join(f"position {position}" for position in found)
    return f"Nothing was running at {points}" if points else "So far, something was running at any point"


async def _write(session: Session, planned: Fork, command: ForkJob) -> Reading:
    """Have the parts written, and then the job: there is none until all is there."""
    command = await refer_inputs(session, command)
    most = await session.max_payload()
    check_size(command, len(planned.roots), most)
    for part in planned.parts[:-1]:
        await do(session, TakeOver(command.job_id, part))
    done = await do(session, command)
    return Reading(session, command.job_id, name=command.name, at_least=done.version)


# -- what it has of its own ----------------------------------------------------------------------------------------


async def _exists(session: Session, job_id: str) -> bool:
    try:
        await Reading(session, job_id).refresh()
    except NotFoundError:
        return False
    return True


async def _copy_values(session: Session, planned: Fork, old_id: str, job_id: str) -> None:
    """Give the fork its own large values, and what the tasks kept in the cache of the server: those of the old job go
    when that is deleted."""
    from ... import objects
    from ...nats import values

    link = await session.link()
    turns = asyncio.Semaphore(_COPIES)

    async def copy(name: str) -> None:
        async with turns:
            await link.work(
                lambda client: objects.copy(client, session.names, name, job_id), patience=session.patience
            )

    await asyncio.gather(*map(copy, planned.objects))
    if any(part.tasks for part in planned.parts):
        await link.work(
            lambda client: values.copy(client, session.names, old_id, job_id), patience=session.patience
        )
