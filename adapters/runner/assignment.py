"""One attempt that this runner has claimed, and all those it has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from jobledger.core.submission import TaskSpec

from ..protocol import AttemptRef, ClaimedJob

#: job id, task, attempt: an `AttemptRef`, as the plain tuple that is quicker to make a thousand times
Key: TypeAlias = tuple[str, int, int]


class Assignment:
    """One attempt of one task: claimed by this runner, and not over until its last report is in the log."""

    __slots__ = (
        "attempt",
        "failed",
        "input",
        "job_id",
        "job_name",
        "lost",
        "refusals",
        "reports",
        "spec",
        "started",
        "stopped",
        "submits",
        "task",
    )

    def __init__(
        self,
        job_id: str,
        job_name: str,
        task: int,
        attempt: int,
        spec: TaskSpec,
        input: bytes,  # noqa: A002
    ) -> None:
        self.job_id = job_id
        self.job_name = job_name
        self.task = task
        self.attempt = attempt
        self.spec = spec
        self.input = input
        self.started = 0  #: µs since 1970 UTC; 0 until a worker takes it
        self.stopped = 0  #: µs since 1970 UTC
        #: encoded, in the order in which to send them, one after another's answer
        self.reports: list[bytes] = []
        self.submits = False  #: whether the reports carry subtasks
        self.refusals = 0  #: how often the engine refused the whole exchange that its report made up
        self.failed = False  #: the attempt ended with an error
        self.lost = False  #: the attempt is over for the engine: whatever comes of it is not wanted

    @property
    def key(self) -> Key:
        return (self.job_id, self.task, self.attempt)

    def __repr__(self) -> str:
        return f"attempt {self.attempt} of task {self.task} ({self.spec.name}) of job {self.job_id}"


class Assignments:
    """All attempts this runner has claimed and not settled, whether waiting, running, or waiting to be reported.

    An attempt may be handed out twice: the engine does so where it was told what the runner holds, and another
    answer with the attempt was on its way. Such a repetition may even arrive after the attempt has been settled;
    `recount` keeps what was settled in mind for as long as that can happen.
    """

    def __init__(self) -> None:
        self._held: dict[Key, Assignment] = {}
        self._settled: set[Key] = set()
        self._recounts = 0

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Assignment]:
        return iter(self._held.values())

    @property
    def refs(self) -> list[AttemptRef]:
        """Every attempt held, as the engine is told."""
        return list(self._held)  # type: ignore[arg-type]  # msgspec writes a tuple as it writes a NamedTuple

    def admit(self, jobs: Iterable[ClaimedJob]) -> list[Assignment]:
        """Take what the engine handed out; return what of it is new, in order."""
        held, settled = self._held, self._settled
        new = []
        for job in jobs:
            job_id, name, specs = job.job_id, job.job_name, job.specs
            for task, attempt, spec, data in job.tasks:
                key = (job_id, task, attempt)
                if key not in held and key not in settled:
                    held[key] = assignment = Assignment(job_id, name, task, attempt, specs[spec], data)
                    new.append(assignment)
        return new

    def settle(self, assignment: Assignment) -> None:
        """Its last report is in the log, or was refused: it is over."""
        key = assignment.key
        self._held.pop(key, None)
        if self._recounts:
            self._settled.add(key)

    def lose(self, refs: Iterable[AttemptRef]) -> list[Assignment]:
        """The engine says these are over. Return those that were not finished; what is finished awaits its answer."""
        lost = []
        for ref in refs:
            assignment = self._held.get((ref.job_id, ref.task, ref.attempt))
            if assignment is not None and not assignment.reports:
                assignment.lost = True
                lost.append(assignment)
                self.settle(assignment)
        return lost

    def begin_recount(self) -> None:
        """A request that tells the engine what is held is about to leave."""
        self._recounts += 1

    def end_recount(self) -> None:
        """It was answered."""
        self._recounts -= 1
        if not self._recounts:
            self._settled.clear()
