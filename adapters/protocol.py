"""What clients, runners and the engine say to each other over NATS requests: MessagePack arrays.

| subject (`Names`) | request | reply |
|---|---|---|
| `command` | a `core.commands` request, or `FollowJob` | `Reply` |
| `exchange(…)` | `Exchange` | `Reply` with `Exchanged` |
| `heartbeat(…)` | `Heartbeat` | `Reply` with `HeartbeatSeen` |
| `results_for(…)` | `ReadResults` | `Reply` with `Results` |

The subjects of the last three name the runner: its cluster, the user it logged in as, and a session that is unique to its
process and start. The engine takes from nobody else what is said about the attempts that a runner has claimed.

An engine says on the subjects `hello` and `farewell`, as `Presence`, which partition it begins to serve, and leaves.
It also says on the subject `halted` of each cluster that a job has tasks for, as `Halted`, that the job, or which tasks of
it, were halted while they are claimed: what has not begun is to be given back, what runs is to be told where it was
canceled.

Every request may be sent again after a lost answer: commands and reports are idempotent, and an exchange that says
what the runner `holds` gets back what it does not know it was given.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta

from jobledger.core.commands import (
    CancelJob,
    CancelTask,
    DeleteJob,
    ForkJob,
    Report,
    ReportProgress,
    RetryJob,
    SubmitJob,
    TakeOver,
)
from jobledger.core.errors import JobLedgerError
from jobledger.core.events import Value
from jobledger.core.limits import MOST_HELD, MOST_IDENTIFIERS
from jobledger.core.submission import TaskSpec
from jobledger.core.undecodable import UNDECODABLE

#: the place of a task in the order of its job, first ones smallest: minus its priority, minus its depth, its number
Order: TypeAlias = tuple[float, int, int]


class AttemptRef(NamedTuple):
    """One attempt of one task."""

    job_id: str
    task: int
    attempt: int


Held: TypeAlias = Annotated[list[AttemptRef], Meta(max_length=MOST_HELD)]

# -- requests ---------------------------------------------------------------------------------------------------


class FollowJob(msgspec.Struct, array_like=True, frozen=True, tag=50):
    """Answer as soon as the job has a version above `after`, or is settled where `settled` is asked for."""

    job_id: str
    after: int = 0  #: version the asker has seen
    settled: bool = False  #: only a settled job is news
    wait: float = 10.0  #: seconds after which to answer anyway

    def is_news(self, status: JobStatus) -> bool:
        return status.settled if self.settled else status.version > self.after


class ReadResults(msgspec.Struct, array_like=True, frozen=True, tag=51):
    """What did the tasks return that this one depends on? Answered with `Results`."""

    job_id: str
    task: int
    after: int = -1  #: only of tasks above this number: the answer before was not complete


class Exchange(msgspec.Struct, array_like=True, frozen=True):
    """A runner reports what it finished and asks for more."""

    cluster: str
    #: name, major, minor of each registered task class
    identifiers: Annotated[list[tuple[str, int, int]], Meta(max_length=MOST_IDENTIFIERS)]
    reports: list[Report] = []
    limit: int = 0  #: how many tasks it can take
    wait: float = 0.0  #: seconds to hold the request open while nothing is ready; 0: answer at once
    holds: Held | None = None  #: after a lost answer: every attempt it knows it has
    in_order: bool = False  #: it does one task at a time, and wants to know what may come in between


class Heartbeat(msgspec.Struct, array_like=True, frozen=True):
    """A sign of life, which extends the runner's lease."""

    holds: Held  #: every attempt it has claimed and not reported
    running: list[ReportProgress] = []  #: of those, what is new since the sign of life before


CommandRequest: TypeAlias = (
    SubmitJob | CancelJob | RetryJob | CancelTask | DeleteJob | TakeOver | ForkJob | FollowJob
)


# -- what the engine tells runners ------------------------------------------------------------------------------


class Halted(msgspec.Struct, array_like=True, frozen=True):
    """A job, or some tasks of it, go no further."""

    job_id: str
    tasks: list[int] | None = None  #: as ranges; None: all
    canceled: bool = False  #: running ones are told that they are not wanted any more
    reason: str = ""
    grace: int = -1  #: µs after which running ones are stopped; -1: never


class Presence(msgspec.Struct, array_like=True, frozen=True):
    """An engine has begun to serve a partition (on `hello`), or has left it (on `farewell`)."""

    engine: str  #: its id
    partition: Annotated[int, Meta(ge=0)] = 0


# -- replies ----------------------------------------------------------------------------------------------------


class Refused(msgspec.Struct, array_like=True, frozen=True, tag=1):
    """The request is not possible; asking again will not help. Codes: `core.decisions.Refusal`."""

    code: str
    message: str


class Unavailable(msgspec.Struct, array_like=True, frozen=True, tag=2):
    """The log could not be written just now. Nothing is known to have happened: send the same request again."""

    message: str


class Done(msgspec.Struct, array_like=True, frozen=True, tag=3):
    """A command took effect, or had done so before."""

    position: int  #: of the job's newest commit in the log
    version: int  #: of the job
    count: int = 0  #: tasks rescheduled by a retry; those a cancel or a deletion had an effect on


class JobStatus(msgspec.Struct, array_like=True, frozen=True, tag=4):
    """Where a job stands."""

    position: int
    version: int
    state: int  #: a JobState value
    settled: bool
    counts: list[int]  #: tasks by TaskState value


class ClaimedTask(NamedTuple):
    task: int
    attempt: int
    spec: int  #: index into `ClaimedJob.specs`
    input: bytes
    depth: int = 0  #: 0 for root tasks


class ClaimedJob(msgspec.Struct, array_like=True, frozen=True):
    """Tasks of one job that were claimed for the runner, in the order in which to run them."""

    job_id: str
    job_name: str
    specs: list[TaskSpec]
    tasks: list[ClaimedTask]
    #: numbers of those tasks whose input is the name of an object in the object store
    references: list[int] = []
    trace: str = ""  #: W3C traceparent of the submission
    force: bool = False  #: results of earlier jobs are not to be reused
    sealed: str = ""  #: name of the key of a job that is sealed
    places: list[
        tuple[int, int]
    ] = []  #: and of each of its tasks the parent, and the position among its subtasks


class RefusedReport(NamedTuple):
    report: int  #: index into `Exchange.reports`
    code: str
    message: str


class Exchanged(msgspec.Struct, array_like=True, frozen=True, tag=5):
    """Every report not listed as refused is in the log."""

    refused: list[RefusedReport]
    jobs: list[ClaimedJob]
    lease: float  #: seconds without a sign of life after which the claims expire
    halted: list[str] = []  #: of the jobs reported on, those of which nothing more is to be begun
    #: where asked for, of the jobs reported on or handed out: the place of the first task that waits for others
    waits: dict[str, Order] = {}


class HeartbeatSeen(msgspec.Struct, array_like=True, frozen=True, tag=6):
    lost: list[AttemptRef]  #: attempts the runner holds which are over: someone else has them, or nobody may
    #: what was told on `halted` about what the runner holds: it may not have heard it
    halted: list[Halted] = []


class Results(msgspec.Struct, array_like=True, frozen=True, tag=7):
    """What tasks returned, in order of their numbers; those that returned nothing have None."""

    values: list[tuple[int, Value | None]]
    complete: bool = True  #: ask again after the last one for the others


#: what whoever asks gets to see in the end
Answer: TypeAlias = Refused | Done | JobStatus | Exchanged | HeartbeatSeen | Results
Reply: TypeAlias = Answer | Unavailable

encode = msgspec.msgpack.Encoder().encode
decode_command = msgspec.msgpack.Decoder(CommandRequest).decode
decode_exchange = msgspec.msgpack.Decoder(Exchange).decode
decode_heartbeat = msgspec.msgpack.Decoder(Heartbeat).decode
decode_results_request = msgspec.msgpack.Decoder(ReadResults).decode
decode_reply = msgspec.msgpack.Decoder(Reply).decode
_decode_presence = msgspec.msgpack.Decoder(Presence).decode
decode_halted = msgspec.msgpack.Decoder(Halted).decode


def presence(data: bytes) -> Presence:
    """Return what an engine says of itself; of another version, that it is about the only partition."""
    try:
        return _decode_presence(data)
    except UNDECODABLE:
        return Presence("")


def unreadable(error: Exception) -> JobLedgerError:
    """Return what an answer that cannot be decoded is to whoever asked."""
    return JobLedgerError(
        f"the answer of the engine cannot be read: {error}. What was asked for may or may not have happened. Use one "
        "version of jobledger on all sides"
    )
