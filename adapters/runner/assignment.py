"""One attempt that this runner has claimed, and all those it has."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

from jobledger.core import ranges
from jobledger.core.commands import ReportProgress
from jobledger.core.submission import TaskSpec

from ..protocol import AttemptRef, ClaimedJob, Halted
from ..sealing.seal import UNSEALED, Seal

if TYPE_CHECKING:
    from .attempt.context import RunningContext
    from .processes.worker import RemoteContext, Worker

#: job id, task, attempt: an `AttemptRef`, as the plain tuple that is quicker to make a thousand times
Key: TypeAlias = tuple[str, int, int]
#: which of the ready tasks of a job is first: the least one
Order: TypeAlias = tuple[float, int, int]


class Cause(Enum):
    """Who wants an attempt to stop."""

    TASK = "its task was canceled"
    JOB = "its job was canceled"
    TIME_LIMIT = "its time limit has passed"
    LOST = "the attempt is over for the engine: another runner may run the task"


class Notice(NamedTuple):
    """What an attempt that is to stop was told."""

    cause: Cause
    reason: str
    stop_at: float = math.inf  #: when it is stopped by force, by time.monotonic


def order_of(spec: TaskSpec, depth: int, task: int) -> Order:
    """Return the place of a task among the ready ones of its job."""
    return (-spec.asked.priority, -depth, task)


class Assignment(msgspec.Struct, eq=False, gc=False):
    """One attempt of one task: claimed by this runner, and not over until its last report is in the log.

    They are made by the thousand, and the garbage collector would walk through all of them again and again: without its
    notice (`gc=False`) a short task takes 1.0 µs less (Python 3.11). What they refer to in a circle, their context, is
    let go when they end.
    """

    job_id: str
    job_name: str
    task: int
    attempt: int
    spec: TaskSpec
    input: bytes
    depth: int = 0
    by_reference: bool = False  #: the input is the name of an object in the object store
    indirect: bool = False  #: the input is that, or sealed
    trace: str = ""  #: W3C traceparent of the job's submission
    force: bool = False  #: results of earlier jobs are not to be reused
    sealed: str = ""  #: name of the key of a job that is sealed
    place: tuple[int, int] = (
        -1,
        0,
    )  #: in a sealed job: its parent, and its position among the subtasks of that
    seal: Seal = UNSEALED  #: through which goes what is read and left behind
    began: float = math.inf  #: by time.monotonic
    started: int = 0  #: µs since 1970 UTC; 0 until a worker takes it
    stopped: int = 0  #: µs since 1970 UTC
    #: encoded, in the order in which to send them, one after another's answer
    reports: Sequence[bytes] = ()
    submits: bool = False  #: whether the reports carry subtasks
    refusals: int = 0  #: how often the engine refused the whole exchange that its report made up
    failed: bool = False  #: the attempt ended with an error
    lost: bool = False  #: the attempt is over for the engine: whatever comes of it is not wanted
    notice: Notice | None = None  #: it is to stop
    mercy: float = math.inf  #: it was stopped by force, and is left behind if it has not ended by then
    context: RunningContext | RemoteContext | None = None  #: while a worker runs it
    worker: Worker | None = None  #: whose process has it, running or not begun
    told: ReportProgress | None = None  #: the last news of it that the engine has

    @property
    def key(self) -> Key:
        return (self.job_id, self.task, self.attempt)

    @property
    def order(self) -> Order:
        """Its place among the ready tasks of its job: as the engine has it, so that both agree."""
        return order_of(self.spec, self.depth, self.task)

    def notify(self, notice: Notice) -> None:
        """The attempt is to stop. What it was told first stays, but for what is more precise or earlier."""
        before = self.notice
        if before is not None:
            cause = Cause.TASK if notice.cause is Cause.TASK else before.cause
            stop_at = min(before.stop_at, notice.stop_at)
            notice = Notice(cause, before.reason or notice.reason, stop_at)
        self.notice = notice
        if self.worker is not None:
            self.worker.told(self, notice)

    def __repr__(self) -> str:
        return f"attempt {self.attempt} of task {self.task} ({self.spec.name}) of job {self.job_id}"


class Assignments:
    """All attempts this runner has claimed and not settled, whether waiting, running, or waiting to be reported.

    An attempt may be handed out twice: the engine does so where it was told what the runner holds, and another
    answer with the attempt was on its way. Such a repetition may even arrive after the attempt has been settled;
    `recount` keeps what was settled in mind for as long as that can happen.
    """

    def __init__(self) -> None:
        self.held: dict[Key, Assignment] = {}
        self._settled: set[Key] = set()
        self._recounts = 0

    def __len__(self) -> int:
        return len(self.held)

    def __iter__(self) -> Iterator[Assignment]:
        return iter(self.held.values())

    @property
    def refs(self) -> list[AttemptRef]:
        """Every attempt held, as the engine is told."""
        return list(self.held)  # type: ignore[arg-type]  # msgspec writes a tuple as it writes a NamedTuple

    def all_among(self, refs: Iterable[AttemptRef]) -> bool:
        """Whether nothing else is held than these."""
        return self.held.keys() <= set(refs)

    def admit(self, jobs: Iterable[ClaimedJob]) -> list[Assignment]:
        """Take what the engine handed out; return what of it is new, in order."""
        held, settled = self.held, self._settled
        new = []
        for job in jobs:
            job_id, name, specs = job.job_id, job.job_name, job.specs
            references = frozenset(job.references)
            special = bool(references or job.trace or job.force)
            places = dict(zip((one.task for one in job.tasks), job.places, strict=True)) if job.sealed else {}
            for task, attempt, spec, data, depth in job.tasks:
                key = (job_id, task, attempt)
                if key not in held and key not in settled:
                    held[key] = assignment = Assignment(job_id, name, task, attempt, specs[spec], data, depth)
                    if special:
                        assignment.trace, assignment.force = job.trace, job.force
                        if task in references:
                            assignment.by_reference = assignment.indirect = True
                    if places:
                        assignment.sealed, assignment.place = job.sealed, places[task]
                        assignment.indirect = True
                    new.append(assignment)
        return new

    def settle(self, *assignments: Assignment) -> None:
        """Their last reports are in the log, or were refused: they are over."""
        held = self.held
        for assignment in assignments:
            held.pop(assignment.key, None)
        if self._recounts:
            self._settled.update(assignment.key for assignment in assignments)

    def lose(self, refs: Iterable[AttemptRef]) -> list[Assignment]:
        """The engine says these are over. Return those that were not finished; what is finished awaits its answer."""
        lost = []
        for ref in refs:
            assignment = self.held.get((ref.job_id, ref.task, ref.attempt))
            if assignment is not None and not assignment.reports:
                assignment.lost = True
                assignment.notify(Notice(Cause.LOST, Cause.LOST.value))
                lost.append(assignment)
                self.settle(assignment)
        return lost

    def notify(self, halted: Halted) -> None:
        """Tell what is running of a job, or of some of its tasks, that it was canceled."""
        cause = Cause.JOB if halted.tasks is None else Cause.TASK
        wanted = None if halted.tasks is None else set(ranges.numbers(halted.tasks))
        stop_at = math.inf if halted.grace < 0 else time.monotonic() + halted.grace / 1e6
        for assignment in self.held.values():
            if assignment.job_id == halted.job_id and (wanted is None or assignment.task in wanted):
                assignment.notify(Notice(cause, halted.reason, stop_at))

    def begin_recount(self) -> None:
        """A request that tells the engine what is held is about to leave."""
        self._recounts += 1

    def end_recount(self) -> None:
        """It was answered."""
        self._recounts -= 1
        if not self._recounts:
            self._settled.clear()
