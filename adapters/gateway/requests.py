"""What can be asked for, as JSON objects: the words, and the limits of each, are those of the Python client.

A request is decoded strictly: no text where a number belongs, no field that is not known here. Fields are only ever
added, with a default. What a field says of itself here is shown where it is wrong, and in the AsyncAPI document.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from jobledger.core.clusters import DEFAULT_CLUSTER, MAX_SLUG
from jobledger.core.limits import MAX_JOB_NAME, MAX_LABEL_KEY, MAX_LABEL_VALUE, MAX_LABELS
from jobledger.core.options import LONGEST, MAX_KEY, MOST_PRIORITY, MOST_RETRIES
from jobledger.core.task import MAX_NAME as MAX_TASK_NAME

from ..client.query.selection import MAX_NAME as MAX_PART_OF_NAME
from .fields import (
    LONGEST_WAIT,
    MAX_TASKS,
    NUMBER,
    After,
    By,
    Deadline,
    JobId,
    JobStateName,
    Key,
    Limit,
    Moment,
    OneTask,
    Reason,
    Seconds,
    TaskNumber,
    TaskStateName,
    Words,
)


class _Request(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class RetryPolicy(_Request, frozen=True):
    """How failed attempts of a task are tried again."""

    max: Annotated[
        Annotated[int, Meta(ge=0, le=MOST_RETRIES)], Meta(description="How many are tried again at most.")
    ]
    delay: Annotated[Seconds, Meta(description="Seconds before the first retry.")] = 0.0
    backoff: Annotated[
        Annotated[float, Meta(ge=1, le=1000)],
        Meta(description="By which each further delay is longer than the one before, 1 to 1000."),
    ] = 1.0
    cap: Annotated[Seconds | None, Meta(description="The longest delay in seconds; null for no limit.")] = (
        None
    )
    jitter: Annotated[
        Annotated[float, Meta(ge=0, le=1)],
        Meta(description="Share of a delay by which it is spread, up or down, 0 to 1."),
    ] = 0.0
    on: Annotated[
        Words | None, Meta(description="Names of the errors that are worth another try; null for all.")
    ] = None
    give_up: Annotated[Words, Meta(description="Names of the errors after which no retry helps.")] = []


class ConcurrencyLimit(_Request, frozen=True):
    """How many tasks of one key run at a time, in all jobs of the namespace together."""

    key: Annotated[
        Annotated[str, Meta(min_length=1, max_length=MAX_KEY)],
        Meta(description=f"What they have in common, 1 to {MAX_KEY} characters."),
    ]
    limit: Annotated[
        Annotated[int, Meta(ge=1, le=NUMBER)], Meta(description="How many of them run at a time, from 1 up.")
    ] = 1


class NewTask(_Request, frozen=True):
    """A task to run: which code, with which input, where and how."""

    name: Annotated[
        Annotated[str, Meta(min_length=1, max_length=MAX_TASK_NAME)],
        Meta(
            description=f"Name of the task, as its class identifies itself: 1 to {MAX_TASK_NAME} characters."
        ),
    ]
    version: Annotated[
        Annotated[str, Meta(pattern=r"^v[0-9]{1,9}\.[0-9]{1,9}$")],
        Meta(
            description="Version of the task's code, such as v1.2; a runner with a newer minor version will do."
        ),
    ] = "v0.0"
    input: Annotated[
        Raw | UnsetType,
        Meta(
            description="Any JSON value: an object of its fields where the task has several, the bare value of the field "
            "where it has one. Left out where it has none."
        ),
    ] = UNSET
    depends_on: Annotated[
        list[TaskNumber],
        Meta(
            description="Places, from 0, of earlier tasks of this list that must be complete before it starts."
        ),
    ] = []
    cluster: Annotated[
        Annotated[str, Meta(min_length=1, max_length=MAX_SLUG)],
        Meta(description="Slug of the cluster whose runners may take it."),
    ] = DEFAULT_CLUSTER
    optional: Annotated[bool, Meta(description="Its failure, or one below it, does not fail the job.")] = (
        False
    )
    max_retries: Annotated[
        Annotated[int, Meta(ge=0, le=MOST_RETRIES)],
        Meta(
            description="How many failed attempts are tried again, from 0 up: short for a `retry` without delays."
        ),
    ] = 0
    retry: Annotated[
        RetryPolicy | None, Meta(description="How they are tried again; null: as `max_retries` says.")
    ] = None
    timeout: Annotated[
        Annotated[float, Meta(ge=0.001, le=LONGEST)] | None,
        Meta(description="Seconds an attempt may run before it fails; null: as long as it takes."),
    ] = None
    start: Annotated[
        Moment | Seconds | None,
        Meta(
            description="When it may run at the earliest: an ISO 8601 time with a zone, such as 2030-01-01T12:00:00Z, or "
            "seconds from now; null for at once."
        ),
    ] = None
    priority: Annotated[
        Annotated[int, Meta(ge=-MOST_PRIORITY, le=MOST_PRIORITY)],
        Meta(description="Larger ones run first."),
    ] = 0
    on_failure: Annotated[
        Literal["halt", "continue"] | None,
        Meta(description="What its failure does to the job: halt or continue; null: as the job says."),
    ] = None
    concurrency: Annotated[ConcurrencyLimit | None, Meta(description="The limit it counts under.")] = None
    reuse: Annotated[
        bool,
        Meta(description="Take the result of an earlier success of the same code and input, in any job."),
    ] = False


class Submit(_Request, frozen=True):
    """Submit a job: it is in the log when the reply comes, and its tasks wait for a runner."""

    name: Annotated[
        Annotated[str, Meta(pattern=r"\S", max_length=MAX_JOB_NAME)],
        Meta(description=f"What the job is called: 1 to {MAX_JOB_NAME} characters."),
    ]
    tasks: Annotated[
        Annotated[list[NewTask], Meta(min_length=1, max_length=MAX_TASKS)],
        Meta(description=f"What it begins with: 1 to {MAX_TASKS} tasks, which may submit others."),
    ]
    labels: Annotated[
        Annotated[
            dict[
                Annotated[str, Meta(pattern=r"\S", max_length=MAX_LABEL_KEY)],
                Annotated[str, Meta(max_length=MAX_LABEL_VALUE)],
            ],
            Meta(max_length=MAX_LABELS),
        ],
        Meta(
            description=f"Up to {MAX_LABELS} texts by which the job can be found, by their names: names of 1 to "
            f"{MAX_LABEL_KEY} characters, texts of up to {MAX_LABEL_VALUE}."
        ),
    ] = {}
    deadline: Deadline = None
    on_failure: Annotated[
        Literal["halt", "continue"],
        Meta(
            description="What the failure of a task does to the job, unless the task says otherwise: halt or continue."
        ),
    ] = "halt"
    force: Annotated[bool, Meta(description="Reuse no result, in the whole job.")] = False
    encrypt: Annotated[
        bool,
        Meta(
            description="Seal the job: its inputs, results and error texts are encrypted with a key of its own, which is "
            "destroyed when the job is deleted."
        ),
    ] = False
    idempotency_key: Key = None
    traceparent: Annotated[
        Annotated[str, Meta(pattern=r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")] | None,
        Meta(
            description="W3C traceparent of the span that submits it, such as "
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01: the job's tasks are traced below it."
        ),
    ] = None
    by: By = ""


class Cancel(_Request, frozen=True):
    """Cancel a job, or one task with its subtree: what is queued never runs, what runs is told."""

    job: JobId
    task: OneTask = None
    reason: Reason = ""
    grace: Annotated[
        Seconds | None,
        Meta(description="Seconds after which running tasks are stopped; null: they are only told."),
    ] = None
    idempotency_key: Key = None
    by: By = ""


class Retry(_Request, frozen=True):
    """Resume a failed or canceled job, or one task of it: what is computed is kept and not run again."""

    job: JobId
    task: OneTask = None
    deadline: Deadline = None
    idempotency_key: Key = None
    by: By = ""


class Delete(_Request, frozen=True):
    """Delete a settled job: nobody is shown it any more. Its history stays in the log."""

    job: JobId
    force: Annotated[bool, Meta(description="Also delete a job that is not settled: it is canceled.")] = False
    reason: Reason = ""
    idempotency_key: Key = None
    by: By = ""


class Find(_Request, frozen=True):
    """Say where a job stands, as of its newest commit in the log."""

    job: JobId


class Wait(_Request, frozen=True):
    """Reply as soon as a job is settled; or where it stands, when the time is over."""

    job: JobId
    timeout: Annotated[
        Annotated[float, Meta(ge=0, le=LONGEST_WAIT)],
        Meta(
            description=f"Seconds to wait, 0 to {LONGEST_WAIT:g}. Let your own request wait 10 seconds longer."
        ),
    ] = 30.0


class ReadTasks(_Request, frozen=True):
    """List the tasks of a job, in the order of their numbers."""

    job: JobId
    states: Annotated[
        list[TaskStateName], Meta(description="Only tasks in one of these states; [] for all.")
    ] = []
    limit: Limit = 100
    after: After = None


class ReadResults(_Request, frozen=True):
    """Read what the tasks returned that a job was submitted with, once it is COMPLETED; or what one task returned."""

    job: JobId
    task: Annotated[
        TaskNumber | None,
        Meta(
            description="Number of one task, whose result can be had once it is COMPUTED; null for all root tasks."
        ),
    ] = None
    after: After = None


class ListJobs(_Request, frozen=True):
    """List jobs, the newest first. All that is given must hold; of several values in one list, any will do."""

    states: Annotated[list[JobStateName], Meta(description="Where the job stands.")] = []
    task_states: Annotated[
        list[TaskStateName], Meta(description="Where at least one of its tasks stands.")
    ] = []
    name: Annotated[
        Annotated[str, Meta(max_length=MAX_PART_OF_NAME)],
        Meta(description=f"A part of its name, in upper or lower case: up to {MAX_PART_OF_NAME} characters."),
    ] = ""
    clusters: Annotated[Words, Meta(description="Slugs of clusters at least one of its tasks is for.")] = []
    labels: Annotated[
        dict[str, Words], Meta(description="By the name of a label, the values it may have.")
    ] = {}
    tasks: Annotated[Words, Meta(description="Names of tasks it has.")] = []
    since: Annotated[
        Moment | None, Meta(description="Submitted then or later: an ISO 8601 time with a zone.")
    ] = None
    before: Annotated[
        Moment | None, Meta(description="Submitted before then: an ISO 8601 time with a zone.")
    ] = None
    limit: Limit = 100
    after: After = None


Request: TypeAlias = Submit | Cancel | Retry | Delete | Find | Wait | ReadTasks | ReadResults | ListJobs
