"""One job in the engine's memory: its state, which may be ahead of the log, and what is still to be written."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Self, TypeAlias

from jobledger.core.codec import NO_PREVIOUS
from jobledger.core.errors import JobLedgerError
from jobledger.core.events import CancelRequested, Event, TaskComputed
from jobledger.core.job import Job
from jobledger.core.lifecycle import HALTED
from jobledger.core.submission import TaskSpec

from ..nats.log import StoredCommit
from ..protocol import Halted, JobStatus
from .growth import Growth
from .runners.waits import Waits


class NotWritten(JobLedgerError):
    """A decision did not reach the log, or is not known to have. The job was forgotten and will be read again."""


class TooLarge(NotWritten):
    """A decision takes more than one message holds: it was not made, and cannot be."""


class NoRoom(NotWritten):
    """The log did not take the first commit of a job. It is certain that there is no such job."""


#: called with None when something is in the log, or with why that is not known
Written: TypeAlias = Callable[[NotWritten | None], None]


class SpecKey(NamedTuple):
    """What a runner must offer to run a task of one kind, how urgent it is, and how many may run at a time."""

    cluster: str
    name: str
    major: int
    minor: int
    priority: int
    slot: str  #: the concurrency key, "" for none
    limit: int

    @classmethod
    def of(cls, spec: TaskSpec) -> Self:
        asked = spec.asked
        return cls(spec.cluster, spec.name, spec.major, spec.minor, asked.priority, asked.key, asked.limit)


class LiveJob:
    """A job this engine works on.

    Decisions are applied to `job` at once and gather in `decisions` until the commit before them is
    acknowledged; then all of them become the next commit. Nobody is told of a decision before its commit is
    acknowledged. If that fails the whole object is thrown away and the job is read again from the log.
    """

    def __init__(self, job: Job, last: StoredCommit | None = None) -> None:
        self.job = job
        self.position = last.position if last else 0  #: of the last acknowledged commit
        self.version = last.version if last else 0
        self.digest = last.digest if last else NO_PREVIOUS
        self.decisions: deque[list[Event]] = deque()  #: not yet written
        self.at = 0  #: the time of the commit that gathers
        self.writing = False
        self.decided = 0  #: how many decisions were made
        self.durable = 0  #: how many of them are acknowledged
        self.waiting: deque[tuple[int, Written]] = deque()  #: who waits for how many to be durable
        self.keys: dict[SpecKey, None] = {}  #: where the dispatcher lists this job, in order
        self._key_of: list[SpecKey] = []  # by kind; to make one takes 1 µs (Python 3.11)
        self._limits: dict[str, int] = {}  # by concurrency key, the smallest one that was asked for
        self.listed_since: dict[SpecKey, int] = {}  #: and since when without a break, in µs
        self.read_as_of = (
            last.commit.at if last else 0
        )  #: when it came to be as it was read, in µs; 0: it was not
        self.growth = Growth()
        self.halt_told: Halted | None = None  #: what runners were told when it was halted
        self.requests_told: dict[int, CancelRequested] = {}  #: what runners were told of tasks
        self.reusable: set[int] = set(
            job.reuse_keys
        )  #: tasks whose success is to be noted once they are complete
        self.reuse_keys_seen = len(job.reuse_keys)
        self.waits = Waits()
        self.alarm: asyncio.TimerHandle | None = None  #: when to look at it again; see `Timers`
        self.alarm_at: int | None = None
        self.parked: NotWritten | None = None  #: why what was decided waits for the log to have room for it
        self.dead = False  #: thrown away: whoever still holds it must ask for the job again

    def when_written(self, written: Written) -> None:
        """Have `written` called once every decision made so far is acknowledged, at once where all are.

        If that fails it is called with the reason.
        """
        if self.durable == self.decided:
            written(None)
        elif self.parked is not None:
            written(self.parked)
        else:
            self.waiting.append((self.decided, written))

    def written(self) -> asyncio.Future[None]:
        """Return what is done once every decision made so far is acknowledged. Errors: NotWritten, when awaited."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def written(problem: NotWritten | None) -> None:
            if future.done():
                return
            if problem is None:
                future.set_result(None)
            else:
                future.set_exception(problem)

        self.when_written(written)
        return future

    def acknowledged(self, decisions: int) -> None:
        """So many more decisions are in the log."""
        self.durable += decisions
        while self.waiting and self.waiting[0][0] <= self.durable:
            _, written = self.waiting.popleft()
            written(None)

    def abandoned(self, problem: NotWritten, *, to_first: NotWritten | None = None) -> None:
        """What is not acknowledged may or may not be in the log: nobody may build on this object any more.

        Shape:  `to_first` is what the one is told instead that waits for the oldest decision.
        """
        self.dead = True
        self.decisions.clear()
        if to_first is not None and self.waiting:
            _, written = self.waiting.popleft()
            written(to_first)
        self._tell(problem)

    def park(self, problem: NotWritten) -> None:
        """What was decided stays, and is written once the log has room: who waits for it is told to ask again."""
        self.parked = problem
        self._tell(problem)

    def _tell(self, problem: NotWritten) -> None:
        while self.waiting:
            _, written = self.waiting.popleft()
            written(problem)

    def note_reusable(self, events: list[Event]) -> None:
        """Some of these events say by which key their task can be found later."""
        self.reuse_keys_seen = len(self.job.reuse_keys)
        for event in events:
            if isinstance(event, TaskComputed) and event.reuse_key is not None:
                self.reusable.add(event.task)

    def key_of(self, kind: int) -> SpecKey:
        """Return where tasks of this kind are listed."""
        self._note_kinds()
        return self._key_of[kind]

    def limit(self, slot: str) -> int:
        """Return how many tasks of a concurrency key of the job may run."""
        self._note_kinds()
        return self._limits[slot]

    def _note_kinds(self) -> None:
        specs = self.job.specs
        while len(self._key_of) < len(specs):
            key = SpecKey.of(specs[len(self._key_of)])
            self._key_of.append(key)
            if key.slot:
                self._limits[key.slot] = min(key.limit, self._limits.get(key.slot, key.limit))

    def ready_since(self, spec: TaskSpec, task: int) -> int:
        """Return since when (µs) a task of this kind may have been ready: the first of those that are."""
        listed = self.listed_since.get(SpecKey.of(spec), 0)
        return max(self.growth.submitted(task), listed) or self.job.submitted_at

    @property
    def idle(self) -> bool:
        """Whether everything decided is in the log."""
        return self.durable == self.decided

    @property
    def halted(self) -> bool:
        """Whether none of its tasks may be claimed, whatever is queued."""
        return self.job.state in HALTED

    @property
    def settled(self) -> bool:
        """Whether the log says that the job is settled."""
        return self.idle and self.job.settled

    @property
    def status(self) -> JobStatus:
        """Where the job stands. It may run ahead of the log by a tick, but is settled only once the log says so."""
        job = self.job
        return JobStatus(self.position, self.version, job.state, self.settled, list(job.counts))
