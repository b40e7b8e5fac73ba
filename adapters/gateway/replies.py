"""What is replied, as JSON objects: `{"ok": …}` where a request was carried out, `{"error": …}` where it was not.

Fields are only ever added: readers pass over those they do not know. Times are ISO 8601 in UTC, lengths of time seconds.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from jobledger.projections.job_view import JobError, JobView
from jobledger.projections.jobs import JobRow
from jobledger.projections.task_view import TaskView

Id: TypeAlias = Annotated[str, Meta(description="Id of the job, a UUID.")]
Next: TypeAlias = Annotated[
    int | None, Meta(description="There is more: ask again with this as `after`. Null after the last one.")
]
Counts: TypeAlias = Annotated[
    dict[str, int], Meta(description="How many of its tasks are in each state, by its name.")
]
Time: TypeAlias = datetime | None


class _Reply(Struct, frozen=True, kw_only=True):
    pass


class Submitted(_Reply, frozen=True):
    """The job is in the log."""

    job: Id
    name: str


class Canceled(_Reply, frozen=True):
    """The cancel has taken effect, or there was nothing left to cancel."""

    job: Id
    task: int | None
    affected: Annotated[
        int,
        Meta(
            description="Of a task: how many tasks were canceled, abandoned, or told to stop. Of a job: 1 if this request "
            "halted it. 0 if there was nothing to cancel any more."
        ),
    ]


class Retried(_Reply, frozen=True):
    """The job goes on."""

    job: Id
    task: int | None
    rescheduled: Annotated[int, Meta(description="How many tasks may run again.")]


class Deleted(_Reply, frozen=True):
    """Nobody is shown the job any more."""

    job: Id


class Failure(_Reply, frozen=True):
    """Why a job, or an attempt of a task, failed."""

    reason: Annotated[str, Meta(description="Name of the error's type.")]
    message: str
    task: Annotated[int | None, Meta(description="Number of the task whose fault it is; null for none.")] = (
        None
    )
    traceback: Annotated[str, Meta(description="Where in the task's code, if that is told here.")] = ""


class Progress(_Reply, frozen=True):
    """What the tasks of a job count under one label."""

    label: str | None
    total: int
    done: int


class Job(_Reply, frozen=True):
    """Where a job stands."""

    id: Id
    name: str
    state: Annotated[
        str,
        Meta(description="SUBMITTED, RUNNING, STARTED, COMPLETED, FAILED or CANCELED: see docs/states.md."),
    ]
    settled: Annotated[
        bool,
        Meta(description="Whether it is completed, failed or canceled, and none of its tasks runs any more."),
    ]
    percent: Annotated[float, Meta(description="How far it has come, 0 to 100.")]
    tasks: Counts
    progress: list[Progress]
    error: Annotated[Failure | None, Meta(description="Why it failed; null unless it did.")]
    labels: dict[str, str]
    root_tasks: Annotated[list[str], Meta(description="Names of the tasks it began with, each once.")]
    clusters: Annotated[list[str], Meta(description="Clusters that its tasks known so far are for.")]
    on_failure: str
    submitted_by: str
    submitted_at: datetime
    started_at: Time
    finished_at: Annotated[Time, Meta(description="When it was settled.")]
    updated_at: datetime
    version: Annotated[int, Meta(description="Counts its commits, from 1.")]


class Task(_Reply, frozen=True):
    """Where a task stands."""

    task: Annotated[int, Meta(description="Its number in the job, from 0 in the order of submission.")]
    name: str
    version: str
    display: str
    state: Annotated[
        str,
        Meta(
            description="QUEUED, RUNNING, COMPUTED, FAILED, SKIPPED, FAILED_OPTIONAL, CANCELED or ABANDONED: see "
            "docs/states.md."
        ),
    ]
    attempt: Annotated[int, Meta(description="Its newest attempt, counted from 1; 0 before the first.")]
    parent: Annotated[int | None, Meta(description="The task that submitted it; null for a root task.")]
    cluster: str
    started_at: Time
    stopped_at: Time
    runner: Annotated[str | None, Meta(description="Who has it, or had it last.")]
    waiting: Annotated[str | None, Meta(description="Why it does not run, in words.")]
    error: Failure | None


class Tasks(_Reply, frozen=True):
    """Some tasks of a job."""

    job: Id
    tasks: list[Task]
    next: Next


class ObjectName(_Reply, frozen=True):
    """A value that is too large for a reply: read it from the object store of the NATS server."""

    bucket: str
    name: str
    size: Annotated[int, Meta(description="Bytes of JSON.")]


class Result(_Reply, frozen=True, omit_defaults=True):
    """What a task returned: `value`, or where it is too large, the `object` that holds it."""

    task: int
    value: Annotated[Any | UnsetType, Meta(description="Any JSON value; null where it returned nothing.")] = (
        UNSET
    )
    object: ObjectName | UnsetType = UNSET


class Results(_Reply, frozen=True):
    """What tasks returned, in the order of their numbers."""

    job: Id
    results: list[Result]
    next: Next


class Jobs(_Reply, frozen=True):
    """Some jobs, the newest first, as the view across jobs knows them."""

    jobs: list[Job]
    next: Next


class ErrorFacts(_Reply, frozen=True):
    """Why a request was not carried out."""

    code: Annotated[str, Meta(description="For programs: one of the codes of docs/commands.md.")]
    message: Annotated[str, Meta(description="For people: what is wrong, and the way out.")]
    field: Annotated[
        str | None, Meta(description="The field it is about, such as tasks[0].version; null for none.")
    ] = None
    temporary: Annotated[
        bool, Meta(description="Whether the same request may be carried out if it is sent again later.")
    ] = False


class Error(_Reply, frozen=True):
    """The request was not carried out."""

    error: ErrorFacts


def job_of_view(view: JobView) -> Job:
    """Return where a job stands, as its commits in the log say."""
    job = view.job
    return _job(
        view,
        id=job.id,
        name=job.name,
        root_tasks=list(dict.fromkeys(task.name for task in view.roots)),
        clusters=sorted({spec.cluster for spec in job.specs}),
        submitted_by=job.by,
    )


def job_of_row(row: JobRow) -> Job:
    """Return where a job stands, as the view across jobs knows it."""
    return _job(
        row,
        id=row.id,
        name=row.name,
        root_tasks=row.root_tasks,
        clusters=sorted(row.clusters),
        submitted_by=row.by,
    )


def _job(facts: JobView | JobRow, **named: Any) -> Job:
    state, error = facts.state, facts.error
    assert state is not None  # it has a first commit
    return Job(
        **named,
        state=state.name,
        settled=facts.settled,
        percent=round(facts.percent, 3),
        tasks={state.name: count for state, count in facts.tasks_by_state.items() if count},
        progress=[Progress(label=one.label, total=one.total, done=one.done) for one in facts.progress],
        error=None if error is None else _failure(error),
        labels=facts.labels,
        on_failure=facts.on_failure,
        submitted_at=facts.submitted_at,
        started_at=facts.started_at,
        finished_at=facts.finished_at,
        updated_at=facts.updated_at,
        version=facts.version,
    )


def _failure(error: JobError) -> Failure:
    number = error.task_id.rpartition("/")[2]
    return Failure(reason=error.reason, message=error.message, task=int(number) if number else None)


def task_of(task: TaskView) -> Task:
    """Return where a task stands."""
    parent, error = task.parent, task.error
    return Task(
        task=task.number,
        name=task.name,
        version=task.version,
        display=task.display,
        state=task.state.name,
        attempt=task.attempt,
        parent=None if parent is None else parent.number,
        cluster=task.cluster,
        started_at=task.started_at,
        stopped_at=task.stopped_at,
        runner=task.runner or None,
        waiting=task.waiting,
        error=None
        if error is None
        else Failure(reason=error.reason, message=error.message, task=task.number, traceback=error.traceback),
    )
