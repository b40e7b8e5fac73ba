"""What can have happened to a job: immutable facts, in the past tense.

Each event is a MessagePack array whose first element is its tag. Tags are never reused; fields are only ever
appended, with a default; what an old history leaves out takes the default. Times are integers: microseconds since
1970-01-01 UTC, by the clock of whoever saw the thing happen. Task numbers count from 0 in the order of submission.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from .submission import Submission


class Error(msgspec.Struct, array_like=True, frozen=True):
    """Why an attempt failed. Texts are valid Unicode, whatever the exception said."""

    reason: str  #: name of the exception's type
    message: str
    traceback: str = ""


class Progress(msgspec.Struct, array_like=True, frozen=True):
    """One labelled count of work, as an attempt left it."""

    label: str  #: "" where the task gave none
    total: int
    done: int


class _Event(msgspec.Struct, array_like=True, frozen=True):
    """Base of all events."""


class JobSubmitted(_Event, tag=1, frozen=True):
    """A user submitted a job. Always the first event of a job, and only there."""

    name: str
    tasks: Submission  #: the root tasks
    by: str = ""  #: who asked, as user@host


class SubtasksStaged(_Event, tag=2, frozen=True):
    """A running attempt submitted more subtasks than fit one message: a chunk of them.

    They come into being with the `TaskComputed` of the same attempt, or never.
    """

    task: int
    attempt: int
    tasks: Submission


class TasksClaimed(_Event, tag=3, frozen=True):
    """A runner took these tasks; each begins the attempt of this number. Leads to RUNNING."""

    runner: str
    attempt: int  #: counts from 1; the fence of every later report
    tasks: list[int]  #: as ranges


class TaskComputed(_Event, tag=4, frozen=True):
    """An attempt ran to its end, and its subtasks were submitted. Leads to COMPUTED."""

    task: int
    attempt: int
    started: int
    stopped: int
    subtasks: Submission | None = None  #: the last chunk, after any that were staged
    display: str | None = None
    progress: list[Progress] | None = None


class AttemptFailed(_Event, tag=5, frozen=True):
    """An attempt failed and a retry is left. Leads back to QUEUED."""

    task: int
    attempt: int
    started: int
    stopped: int
    error: Error
    display: str | None = None
    progress: list[Progress] | None = None


class TaskFailed(_Event, tag=6, frozen=True):
    """An attempt failed and no retry is left. Leads to FAILED."""

    task: int
    attempt: int
    started: int
    stopped: int
    error: Error
    display: str | None = None
    progress: list[Progress] | None = None


class OptionalTaskFailed(_Event, tag=7, frozen=True):
    """As `TaskFailed`, inside an optional subtree. Leads to FAILED_OPTIONAL; the job goes on."""

    task: int
    attempt: int
    started: int
    stopped: int
    error: Error
    display: str | None = None
    progress: list[Progress] | None = None


class TasksSkipped(_Event, tag=8, frozen=True):
    """Tasks that will not run, because `cause` failed inside their optional subtree. Leads to SKIPPED."""

    tasks: list[int]  #: as ranges
    cause: int


class TaskReleased(_Event, tag=9, frozen=True):
    """The runner gave a task back without a result; no retry is counted. Leads to QUEUED."""

    task: int
    attempt: int
    reason: str


class LeaseExpired(_Event, tag=10, frozen=True):
    """No sign of life from the runner for the length of its lease. Leads to QUEUED."""

    task: int
    attempt: int
    runner: str


class JobCompleted(_Event, tag=11, frozen=True):
    """Every task is finished."""


class JobFailed(_Event, tag=12, frozen=True):
    """A task failed for good; what is queued is halted until the job is retried."""

    task: int


class JobCanceled(_Event, tag=13, frozen=True):
    """A user canceled the job; what is queued is halted until the job is retried."""

    command_id: str  #: of the command that asked, so that its repetition is recognised
    by: str = ""
    reason: str = ""


class JobRetried(_Event, tag=14, frozen=True):
    """A user retried the job: its failed tasks are queued again with a fresh count of retries."""

    command_id: str
    tasks: list[int]  #: the failed tasks that were reset, as ranges
    rescheduled: int  #: how many tasks may run again: those reset and those that were halted while queued
    by: str = ""


class UnknownEvent(msgspec.Struct, frozen=True):
    """An event of a tag this version does not know: kept and shown, never dropped. It changes no state."""

    tag: Any
    fields: list[Any]


Event: TypeAlias = (
    JobSubmitted
    | SubtasksStaged
    | TasksClaimed
    | TaskComputed
    | AttemptFailed
    | TaskFailed
    | OptionalTaskFailed
    | TasksSkipped
    | TaskReleased
    | LeaseExpired
    | JobCompleted
    | JobFailed
    | JobCanceled
    | JobRetried
)
