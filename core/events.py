"""What can have happened to a job: immutable facts, in the past tense.

Each event is a MessagePack array whose first element is its tag. Tags are never reused; fields are only ever
appended, with a default; what an old history leaves out takes the default. Times are integers: microseconds since
1970-01-01 UTC, by the clock of whoever saw the thing happen. Task numbers count from 0 in the order of submission.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from .submission import Submission


class Error(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Why an attempt failed. Texts are valid Unicode, whatever the exception said.

    >>> class Copy(Task):
    ...     def execute(self, context: ExecutionContext) -> None:
    ...         raise OSError("the disk is full")
    >>> job = InlineClient().run(Copy())
    ERROR: Task Copy failed with exception: OSError('the disk is full') ...
    >>> job.tasks[0].error
    Error(reason='OSError', message='the disk is full', traceback='Traceback (most recent call last):...', sealed=b'')
    """

    reason: str  #: name of the exception's type
    message: str
    traceback: str = ""
    sealed: bytes = b""  #: of a sealed job: message and traceback, encrypted; they are "" then


class Progress(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One labelled count of work, as an attempt left it."""

    label: str  #: "" where the task gave none
    total: int
    done: int
    sealed: bytes = b""  #: of a sealed job: the label, encrypted; it is "" then


class Value(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a task returned, as JSON: itself, or the name of the object that holds it.

    >>> class Add(Task):
    ...     left: int
    ...     right: int
    ...
    ...     def execute(self, context: ExecutionContext) -> int:
    ...         return self.left + self.right
    >>> InlineClient().run(Add(1, 2)).tasks[0].value
    Value(data=b'3', object='', size=0)
    """

    data: bytes = b""
    object: str = ""  #: in the object store; "" where `data` is the value
    size: int = 0  #: bytes of the object


class Origin(msgspec.Struct, array_like=True, frozen=True):
    """The point of another job's history from which a job was forked.

    >>> origin = client.jobs().fork(job).origin
    >>> origin.job == str(job.id), origin.position == job.history[-1].position
    (True, True)
    >>> origin
    Origin(job='...', position=..., version=3, digest=b...)
    """

    job: str
    position: int  #: of the last commit that was taken over
    version: int  #: of that commit in its job
    digest: bytes  #: SHA-256 of its stored payload: what the fork vouches for


class JobOptions(msgspec.Struct, array_like=True, frozen=True):
    """What was asked for with a job beyond its tasks. New fields are appended, with a default."""

    labels: dict[str, str] = {}
    continues: bool = (
        False  #: a failed task halts only what depends on it, unless its own policy says otherwise
    )
    deadline: int = 0  #: µs since 1970 UTC at which the job fails if it is not over; 0 for none
    force: bool = False  #: no result of an earlier job is reused
    key: str = ""  #: the user's idempotency key
    trace: str = ""  #: W3C traceparent of the submission
    origin: Origin | None = None  #: where it was forked from; None for a job that begins at its beginning
    sealed: str = (
        ""  #: name of the key that inputs, results and error texts are encrypted with; "" where they are not
    )


class TakenOver(msgspec.Struct, array_like=True, frozen=True):
    """A task that came to its end in the job this one was forked from, and does not run again here."""

    task: int  #: its number in this job
    source: int  #: its number there
    state: int  #: a TaskState value: COMPUTED, FAILED_OPTIONAL or SKIPPED
    attempt: int = 0  #: the last one
    runner: int = 0  #: that had it: index into `TasksTakenOver.runners`
    claimed: int = 0
    started: int = 0
    stopped: int = 0
    display: str | None = None
    progress: list[Progress] | None = None
    result: Value | None = None
    error: Error | None = None  #: of one that is FAILED_OPTIONAL
    source_job: str = ""  #: whose result it took instead of running, as `TaskReused` has it; "" where it ran
    source_task: int = 0
    cause: int = -1  #: number, in this job, of the task because of which one is SKIPPED


class SubtasksOf(msgspec.Struct, array_like=True, frozen=True):
    """A chunk of the subtasks that a task submitted, in a job that takes it over."""

    task: int
    tasks: Submission


class _Event(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Base of all events.

    The garbage collector does not look at them (`gc=False`): they are made by the hundred thousand, from bytes, and can
    be in no cycle. An engine spends 4.4 instead of 5.5 µs on a short task without its looks (Python 3.11).
    """


class JobSubmitted(_Event, tag=1, frozen=True):
    """A user submitted a job. Always its first event, but for the `TasksTakenOver` of a fork, which lead up to it."""

    name: str
    tasks: Submission  #: the root tasks
    by: str = ""  #: who asked, as user@host
    options: JobOptions | None = None


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
    result: Value | None = None  #: what `execute` returned; None for None
    reuse_key: bytes | None = None  #: by which later tasks find this success


class AttemptFailed(_Event, tag=5, frozen=True):
    """An attempt failed and a retry is left. Leads back to QUEUED."""

    task: int
    attempt: int
    started: int
    stopped: int
    error: Error
    display: str | None = None
    progress: list[Progress] | None = None
    retry_at: int = 0  #: not to be claimed before; 0: at once


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
    alone: bool = (
        False  #: nothing but this task explains that the runner was lost: it held no other, and no other was
    )


class JobCompleted(_Event, tag=11, frozen=True):
    """Every task is finished."""


class JobFailed(_Event, tag=12, frozen=True):
    """A task failed for good; what is queued, if anything, is halted until the job is retried."""

    task: int  #: the first in order of submission, where several failed before the job did


class JobCanceled(_Event, tag=13, frozen=True):
    """A user canceled the job, or the last task that was left of it; what is queued is halted until it is retried."""

    command_id: str  #: of the command that asked, so that its repetition is recognised
    by: str = ""
    reason: str = ""
    grace: int = -1  #: µs after which running tasks are stopped; -1: never, they are only told


class JobRetried(_Event, tag=14, frozen=True):
    """A user retried a job, or a part of it: tasks that did not succeed are queued with a fresh count of retries."""

    command_id: str
    tasks: list[int]  #: the failed, canceled and abandoned tasks that were reset, as ranges
    rescheduled: int  #: how many tasks may run again: those reset and those that were halted while queued
    by: str = ""
    task: int = -1  #: the task it was asked for; -1: the whole job
    deadline: int = 0  #: µs since 1970 UTC: the new deadline of the job; 0 for none


class CancelRequested(_Event, tag=15, frozen=True):
    """A user canceled a task with its subtree. What became of the queued ones follows; the running ones are told."""

    task: int
    running: list[int]  #: the running tasks that are asked to stop, as ranges
    command_id: str
    by: str = ""
    reason: str = ""
    grace: int = -1  #: µs after which they are stopped; -1: never, they are only told
    affected: int = 0  #: how many tasks it had an effect on, those that depend on it included


class TasksCanceled(_Event, tag=16, frozen=True):
    """Queued tasks of a subtree that was canceled. Leads to CANCELED."""

    tasks: list[int]  #: as ranges
    cause: int  #: the task that was canceled


class TaskCanceled(_Event, tag=17, frozen=True):
    """A running attempt that was asked to stop did so, or ended without success. Leads to CANCELED."""

    task: int
    attempt: int
    started: int
    stopped: int
    display: str | None = None
    progress: list[Progress] | None = None
    error: Error | None = None  #: what it failed with, if it did


class TasksAbandoned(_Event, tag=18, frozen=True):
    """Tasks that cannot run any more, because they depend on `cause`, which failed or was canceled. Leads to ABANDONED."""

    tasks: list[int]  #: as ranges
    cause: int


class TaskReused(_Event, tag=19, frozen=True):
    """An earlier success of the same code version and input was found and taken. Leads to COMPUTED."""

    task: int
    attempt: int
    started: int
    stopped: int
    source_job: str
    source_task: int
    result: Value | None = None


class TaskProgressed(_Event, tag=20, frozen=True):
    """News of a running attempt. It changes no state."""

    task: int
    attempt: int
    started: int
    progress: list[Progress] | None = None
    display: str | None = None


class DeadlineExceeded(_Event, tag=21, frozen=True):
    """The job was not over at its deadline; it fails, and its running tasks are told to stop."""

    deadline: int


class JobDeleted(_Event, tag=22, frozen=True):
    """A user deleted the job: nobody is shown it any more. Its events stay in the log."""

    command_id: str
    by: str = ""
    reason: str = ""


class TasksTakenOver(_Event, tag=23, frozen=True):
    """A part of what a fork takes over from the job it comes from.

    The parts are written before `JobSubmitted`. They take effect with it, all together, or never: there is no job
    before that.
    """

    plan: (
        bytes  #: SHA-256 of all that is taken over; part 0 of another plan does away with the parts before it
    )
    part: int  #: counts from 0
    tasks: list[TakenOver]  #: parents before their children
    subtasks: list[SubtasksOf] = []  #: of computed tasks, in order; never in a later part than the task
    runners: list[str] = []


class JobErased(_Event, tag=25, frozen=True):
    """The key of a sealed job that was deleted is destroyed: nobody can read its inputs, results and errors any more."""

    key: str  #: its name


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
    | CancelRequested
    | TasksCanceled
    | TaskCanceled
    | TasksAbandoned
    | TaskReused
    | TaskProgressed
    | DeadlineExceeded
    | JobDeleted
    | TasksTakenOver
    | JobErased
)
