"""What the messages of the feed say: one class for each type of message, as JSON objects by field name.

They say in plain JSON what events say in columns: tasks by number, times as text, inputs and results as they were given.
A field that has nothing to say is left out. Fields are only ever added, with a default: a reader ignores those it does
not know. The descriptions in the AsyncAPI document are the docstrings and comments of this file.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

#: RFC 3339, to the microsecond
Time: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of the data of several types of message."""


class ErrorData(Part, frozen=True):
    """Why an attempt failed."""

    reason: str  #: name of the exception's type
    message: str
    traceback: str = ""
    sealed: bytes | None = None  #: of a sealed job: message and traceback, encrypted; they are empty then


class ProgressData(Part, frozen=True):
    """One labelled count of work."""

    label: str  #: empty where the task gave none
    total: int
    done: int
    sealed: bytes | None = None  #: of a sealed job: the label, encrypted; it is empty then


class ObjectData(Part, frozen=True):
    """The name of an object in the object store `jobledger-<namespace>-objects`, which holds what is too large here."""

    name: str
    size: int = 0  #: bytes, where they are known


class PolicyData(Part, frozen=True):
    """What was asked for beyond running a task."""

    priority: int = 0  #: larger ones first
    not_before: Time | None = None
    on_failure: Literal["inherit", "halt", "continue"] = "inherit"
    timeout: float | None = None  #: seconds an attempt may run; without limit if left out
    retry_delay: float | None = None  #: seconds before the first retry; none if left out
    retry_backoff: float | None = (
        None  #: by which each further delay is longer than the one before; 1 if left out
    )
    retry_cap: float | None = None  #: seconds, the longest delay; without limit if left out
    retry_jitter: float | None = None  #: share of a delay by which it is spread; none if left out
    retry_on: tuple[str, ...] | None = None  #: exceptions that are tried again, by name; all if left out
    give_up: tuple[str, ...] = ()  #: exceptions that are not, by name
    concurrency_key: str = ""
    concurrency_limit: int = 0  #: how many tasks of this key run at a time, in all jobs
    reuse: bool = False  #: an earlier success of the same version and input will do


class SubmittedTask(Part, frozen=True):
    """One new task. Its input is in one of three fields, or in none where it has no fields."""

    task: int  #: its number in the job, from 0
    input: Any | UnsetType = UNSET  #: a task of one field: its value; of several: an object by field name
    input_base64: bytes | None = None  #: an input that is no JSON, such as one that is encrypted
    input_object: ObjectData | None = None


class SubmittedGroup(Part, frozen=True):
    """New tasks of one version and policy that wait for the same others."""

    version: str  #: of the code they need, as v<major>.<minor>
    tasks: list[SubmittedTask]
    depends_on: list[tuple[int, int]] = []  #: numbers of tasks as pairs [first, last], both included
    max_retries: int = 0  #: how many failed attempts are tried again
    optional: bool = False  #: a failure there, or below, does not fail the job
    policy: PolicyData | None = None


class OriginData(Part, frozen=True):
    """The point of another job's history from which a job was forked."""

    job: str
    position: int  #: of the last commit that was taken over
    version: int  #: of that commit in its job
    digest: str  #: SHA-256 of its stored payload, in hexadecimal digits


class TakenOverTask(Part, frozen=True):
    """A task that came to its end in the job this one was forked from, and does not run again here."""

    task: int  #: its number in this job
    source_task: int  #: its number there
    state: str  #: COMPUTED, FAILED_OPTIONAL or SKIPPED
    attempt: int = 0
    runner: str = ""
    claimed: Time | None = None
    started: Time | None = None
    stopped: Time | None = None
    display: str | None = None
    progress: list[ProgressData] | None = None
    result: Any | UnsetType = UNSET
    result_base64: bytes | None = None
    result_object: ObjectData | None = None
    error: ErrorData | None = None
    source_job: str = ""  #: whose result it took there instead of running
    source_job_task: int | None = None  #: the task of that job
    cause: int | None = None  #: number of the task because of which this one is SKIPPED


class Data(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a message says."""

    TYPE: ClassVar[str]  #: noun and verb: the last two tokens of the subject


# -- jobs -------------------------------------------------------------------------------------------------------------


class JobSubmitted(Data, frozen=True):
    """A user submitted a job. Its root tasks follow in `task.submitted`."""

    TYPE = "job.submitted"
    name: str
    tasks: int  #: how many root tasks it has
    by: str = ""  #: who asked, as user@host
    labels: dict[str, str] = {}
    continues: bool = False  #: a failed task halts only what depends on it
    deadline: Time | None = None
    force: bool = False  #: no result of an earlier job is reused
    idempotency_key: str = ""
    origin: OriginData | None = None  #: where it was forked from
    sealed: str = ""  #: name of the key that inputs, results and error texts are encrypted with


class JobCompleted(Data, frozen=True):
    """Every task is finished."""

    TYPE = "job.completed"
    name: str  #: of the job


class JobFailed(Data, frozen=True):
    """A task failed for good; what is queued is halted until the job is retried."""

    TYPE = "job.failed"
    name: str  #: of the job
    task: int  #: the first one that failed
    task_name: str = ""
    cluster: str = ""


class JobCanceled(Data, frozen=True):
    """A user canceled the job, or its last task; what is queued is halted until it is retried."""

    TYPE = "job.canceled"
    name: str  #: of the job
    command_id: str
    by: str = ""
    reason: str = ""
    grace: float | None = None  #: seconds after which running tasks are stopped; never if left out


class JobRetried(Data, frozen=True):
    """A user retried a job, or a part of it. The tasks that were reset follow in `task.retried`."""

    TYPE = "job.retried"
    name: str  #: of the job
    command_id: str
    tasks: int  #: how many failed, canceled and abandoned tasks were reset
    rescheduled: int  #: how many may run again: those reset, and those that were halted while queued
    by: str = ""
    task: int | None = None  #: the task it was asked for; the whole job if left out
    deadline: Time | None = None  #: the new one


class JobDeadlineExceeded(Data, frozen=True):
    """The job was not over at its deadline; it fails, and its running tasks are told to stop."""

    TYPE = "job.deadline_exceeded"
    name: str  #: of the job
    deadline: Time


class JobDeleted(Data, frozen=True):
    """A user deleted the job: nobody is shown it any more."""

    TYPE = "job.deleted"
    name: str  #: of the job
    command_id: str
    by: str = ""
    reason: str = ""


class JobErased(Data, frozen=True):
    """The key of a sealed job that was deleted is destroyed: nobody can read its inputs, results and errors any more."""

    TYPE = "job.erased"
    name: str  #: of the job
    key: str  #: its name


class JobForking(Data, frozen=True):
    """A part of what a fork will take over is in the log; the tasks follow once the job is submitted."""

    TYPE = "job.forking"
    part: int  #: counts from 0
    tasks: int  #: how many tasks that are over
    subtasks: int  #: how many tasks they submitted


class JobDamaged(Data, frozen=True):
    """A commit of the job in the log cannot be read. Names of its tasks are not known from here on."""

    TYPE = "job.damaged"
    reason: str
    bytes: int  #: of the stored message


# -- tasks ------------------------------------------------------------------------------------------------------------


class TaskSubmitted(Data, frozen=True):
    """Tasks came into being: with their job, or with the end of the attempt that submitted them."""

    TYPE = "task.submitted"
    groups: list[SubmittedGroup]
    parent: int | None = None  #: the task that submitted them; left out for root tasks


class TaskStaged(Data, frozen=True):
    """A running attempt submitted more subtasks than fit one message of the log: a chunk of them.

    They come into being, and are published with their inputs, with the `task.computed` of the same attempt, or never.
    """

    TYPE = "task.staged"
    task: int
    attempt: int
    start: int  #: place of the first one among the subtasks of the attempt, from 0
    tasks: int  #: how many


class TaskTakenOver(Data, frozen=True):
    """Tasks of a fork that came to their end in the job it was forked from."""

    TYPE = "task.taken_over"
    tasks: list[TakenOverTask]


class TaskClaimed(Data, frozen=True):
    """A runner took these tasks; each begins the attempt of this number. They are RUNNING."""

    TYPE = "task.claimed"
    runner: str
    attempt: int  #: counts from 1
    tasks: list[int]


class TaskProgressed(Data, frozen=True):
    """News of a running attempt."""

    TYPE = "task.progressed"
    task: int
    attempt: int
    started: Time
    display: str | None = None
    progress: list[ProgressData] | None = None


class TaskComputed(Data, frozen=True):
    """An attempt ran to its end: the task is COMPUTED. Its subtasks follow in `task.submitted`."""

    TYPE = "task.computed"
    task: int
    attempt: int
    started: Time
    stopped: Time
    subtasks: int = 0  #: how many it submitted
    display: str | None = None
    progress: list[ProgressData] | None = None
    result: Any | UnsetType = UNSET  #: what it returned; left out for nothing
    result_base64: bytes | None = None  #: a result that is no JSON, such as one that is encrypted
    result_object: ObjectData | None = None
    reuse_key: str = ""  #: by which later tasks find this success, in hexadecimal digits


class TaskReused(Data, frozen=True):
    """An earlier success of the same code version and input was taken: the task is COMPUTED."""

    TYPE = "task.reused"
    task: int
    attempt: int
    started: Time
    stopped: Time
    source_job: str
    source_task: int
    result: Any | UnsetType = UNSET
    result_base64: bytes | None = None
    result_object: ObjectData | None = None


class TaskAttemptFailed(Data, frozen=True):
    """An attempt failed and a retry is left: the task is QUEUED again."""

    TYPE = "task.attempt_failed"
    task: int
    attempt: int
    started: Time
    stopped: Time
    error: ErrorData
    display: str | None = None
    progress: list[ProgressData] | None = None
    retry_at: Time | None = None  #: not to be claimed before


class TaskFailed(Data, frozen=True):
    """An attempt failed and no retry is left: the task is FAILED."""

    TYPE = "task.failed"
    task: int
    attempt: int
    started: Time
    stopped: Time
    error: ErrorData
    display: str | None = None
    progress: list[ProgressData] | None = None


class TaskFailedOptional(Data, frozen=True):
    """As `task.failed`, inside an optional subtree: the task is FAILED_OPTIONAL, and the job goes on."""

    TYPE = "task.failed_optional"
    task: int
    attempt: int
    started: Time
    stopped: Time
    error: ErrorData
    display: str | None = None
    progress: list[ProgressData] | None = None


class TaskReleased(Data, frozen=True):
    """The runner gave a task back without a result: it is QUEUED again."""

    TYPE = "task.released"
    task: int
    attempt: int
    reason: str


class TaskLeaseExpired(Data, frozen=True):
    """No sign of life from the runner for the length of its lease: the task is QUEUED again."""

    TYPE = "task.lease_expired"
    task: int
    attempt: int
    runner: str


class TaskCancelRequested(Data, frozen=True):
    """A user canceled a task with its subtree. What became of queued tasks follows; running ones are asked to stop."""

    TYPE = "task.cancel_requested"
    task: int  #: the one that was canceled
    running: list[int]  #: the running ones of this cluster and name that are asked to stop
    command_id: str
    by: str = ""
    reason: str = ""
    grace: float | None = None  #: seconds after which they are stopped; never if left out
    affected: int = 0  #: how many tasks it had an effect on, of whatever name


class TaskCanceled(Data, frozen=True):
    """A running attempt that was asked to stop did so, or ended without success: the task is CANCELED."""

    TYPE = "task.canceled"
    task: int
    attempt: int
    started: Time
    stopped: Time
    display: str | None = None
    progress: list[ProgressData] | None = None
    error: ErrorData | None = None  #: what it failed with, if it did


class TaskCanceledQueued(Data, frozen=True):
    """Queued tasks of a subtree that was canceled: they are CANCELED."""

    TYPE = "task.canceled_queued"
    tasks: list[int]
    cause: int  #: the task that was canceled


class TaskSkipped(Data, frozen=True):
    """Tasks that will not run, because `cause` failed inside their optional subtree: they are SKIPPED."""

    TYPE = "task.skipped"
    tasks: list[int]
    cause: int


class TaskAbandoned(Data, frozen=True):
    """Tasks that cannot run any more, because they depend on `cause`: they are ABANDONED."""

    TYPE = "task.abandoned"
    tasks: list[int]
    cause: int


class TaskRetried(Data, frozen=True):
    """Tasks that had failed, or were canceled or abandoned, and were reset by a retry: they are QUEUED again."""

    TYPE = "task.retried"
    tasks: list[int]
    command_id: str


# -- what is not known here -------------------------------------------------------------------------------------------


class Unknown(Data, frozen=True):
    """An event that a later version of jobledger wrote. Its type ends with its tag: `jobledger.unknown.<tag>`."""

    TYPE = "unknown"
    tag: Any
    fields: list[Any]  #: as they are stored; bytes as base64
