"""What can be asked of a job, in the imperative. `decisions.decide` answers with events or with a refusal.

The same structs travel from clients and runners to the engine, as MessagePack arrays with stable tags. Every command
can be repeated safely: by its `command_id`, by the id of the job it creates, or by task and attempt.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from .events import Error, JobOptions, Progress, TasksTakenOver, Value
from .limits import (
    MAX_BY,
    MAX_COMMAND_ID,
    MAX_JOB_ID,
    MAX_REASON,
    MAX_REUSE_KEY,
    MAX_SHOWN,
    MOST_LABELS,
)
from .submission import Submission

# What is longer than any client or runner makes it is refused where bytes are decoded, and that costs nothing.
CommandId: TypeAlias = Annotated[str, Meta(max_length=MAX_COMMAND_ID)]
By: TypeAlias = Annotated[str, Meta(max_length=MAX_BY)]
Reason: TypeAlias = Annotated[str, Meta(max_length=MAX_REASON)]
Display: TypeAlias = Annotated[str, Meta(max_length=MAX_SHOWN)]
Counts: TypeAlias = Annotated[list[Progress], Meta(max_length=MOST_LABELS)]


class _Command(msgspec.Struct, array_like=True, frozen=True, gc=False):
    # Without the garbage collector's notice: what came from bytes is in no cycle. See `events`.
    job_id: str


class SubmitJob(_Command, tag=1, frozen=True):
    """Create a job. The client chooses the id, so that asking twice makes one job."""

    name: str
    tasks: Submission
    by: By = ""
    options: JobOptions | None = None


class CancelJob(_Command, tag=2, frozen=True):
    """Halt a job: nothing queued is claimed any more."""

    command_id: CommandId
    by: By = ""
    reason: Reason = ""
    grace: int = -1  #: µs after which running tasks are stopped; -1: never, they are only told


class RetryJob(_Command, tag=3, frozen=True):
    """Resume a job: run what failed or was canceled, and what was never reached."""

    command_id: CommandId
    by: By = ""
    task: int = -1  #: only this task and what is below it; -1: the whole job
    deadline: int = 0  #: µs since 1970 UTC: the job's deadline from now on; 0 for none


class ClaimTasks(_Command, tag=4, frozen=True):
    """Hand ready tasks to a runner."""

    runner: str
    specs: list[int]  #: which of the job's kinds of task the runner can run
    limit: int  #: how many tasks at most
    slots: dict[str, int] = {}  #: how many more tasks may run, by concurrency key; each key in it is limited
    tasks: list[
        int
    ] = []  #: which ones, chosen by `next_ready` of the job as it is; []: that is still to be done


class StageSubtasks(_Command, tag=5, frozen=True):
    """Record one chunk of the subtasks of an attempt that is about to report."""

    task: int
    attempt: int
    tasks: Submission


class ReportComputed(_Command, tag=6, frozen=True):
    """An attempt ran to its end."""

    task: int
    attempt: int
    started: int
    stopped: int
    subtasks: Submission | None = None
    display: Display | None = None
    progress: Counts | None = None
    result: Value | None = None
    reuse_key: Annotated[bytes, Meta(max_length=MAX_REUSE_KEY)] | None = None


class ReportFailed(_Command, tag=7, frozen=True):
    """An attempt failed."""

    task: int
    attempt: int
    started: int
    stopped: int
    error: Error
    display: Display | None = None
    progress: Counts | None = None
    final: bool = False  #: the runner says that another try is no use, by the task's policy


class ReleaseTask(_Command, tag=8, frozen=True):
    """The runner gives a task back: it is shutting down, or has no code for it after all."""

    task: int
    attempt: int
    reason: Reason


class ExpireLease(_Command, tag=9, frozen=True):
    """The runner that holds this attempt has been silent for the length of its lease."""

    task: int
    attempt: int
    alone: bool = False  #: the runner held nothing else, and nothing else explains that it was lost


class CancelTask(_Command, tag=10, frozen=True):
    """Cancel a task with its subtree: what is queued of it never runs, what is running is told."""

    command_id: CommandId
    task: int
    by: By = ""
    reason: Reason = ""
    grace: int = -1  #: µs after which running tasks are stopped; -1: never, they are only told


class DeleteJob(_Command, tag=11, frozen=True):
    """Hide a settled job for good."""

    command_id: CommandId
    by: By = ""
    reason: Reason = ""
    force: bool = False  #: cancel it first where it is not settled


class ReportCanceled(_Command, tag=12, frozen=True):
    """An attempt stopped because it was asked to."""

    task: int
    attempt: int
    started: int
    stopped: int
    display: Display | None = None
    progress: Counts | None = None


class ReportReused(_Command, tag=13, frozen=True):
    """Nothing ran: an earlier success of the same code version and input was found."""

    task: int
    attempt: int
    started: int
    stopped: int
    source_job: Annotated[str, Meta(max_length=MAX_JOB_ID)]
    source_task: int
    result: Value | None = None


class ReportProgress(_Command, tag=14, frozen=True):
    """News of a running attempt, which goes on."""

    task: int
    attempt: int
    started: int
    progress: Counts | None = None
    display: Display | None = None


class ExpireJob(_Command, tag=15, frozen=True):
    """The clock says that the job's deadline may have passed."""


class TakeOver(_Command, tag=16, frozen=True):
    """Record one part of what a job that is about to be forked takes over. `ForkJob` follows, with the last one."""

    part: TasksTakenOver


class ForkJob(_Command, tag=17, frozen=True):
    """Create a job that goes on where another one was. The client has read what that was, and vouches for it."""

    name: str
    tasks: Submission  #: the root tasks
    by: str
    options: JobOptions  #: with the `origin`
    last: TasksTakenOver  #: the last part of what it takes over, which may be empty


class EraseJob(_Command, tag=18, frozen=True):
    """The engine says that the key of a deleted job is destroyed."""


#: what a runner may say of an attempt it holds
Report: TypeAlias = (
    StageSubtasks
    | ReportComputed
    | ReportFailed
    | ReleaseTask
    | ReportCanceled
    | ReportReused
    | ReportProgress
)
#: what a client may ask
Request: TypeAlias = SubmitJob | CancelJob | RetryJob | CancelTask | DeleteJob | TakeOver | ForkJob
Command: TypeAlias = Report | Request | ClaimTasks | ExpireLease | ExpireJob | EraseJob
