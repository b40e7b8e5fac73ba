"""One job, folded for its row.

The state of a job is `core.job.Job`, changed by `core.job.evolve` alone. Added is the little that a row tells beyond
that, kept so that a change costs the same in a job of one task and in one of 100,000.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from jobledger.core import events as e
from jobledger.core import ranges
from jobledger.core.codec import CodecError, decode_commit
from jobledger.core.errors import DamagedLog
from jobledger.core.job import Job, evolve_all
from jobledger.core.lifecycle import JobState, LifecycleError

from ..progress import ProgressIndicator, percent
from ..utc import stamp, utc
from .row import JobRow, place_of

#: characters of an error's message that a row tells
MESSAGE = 1000
#: errors that are kept of a job
ERRORS = 1000
#: distinct names of tasks, clusters and root tasks that a row tells
NAMES = 200
_FAR = 2**62


class Step(NamedTuple):
    """A commit as it is stored, and where it stands."""

    position: int  #: in the log
    version: int  #: in its job
    state: bytes  #: the encoded commit


class RowFold:
    """One job, folded for its row."""

    __slots__ = (
        "_counting",
        "_errors",
        "_progress",
        "_specs",
        "_taken_over",
        "clusters",
        "finished",
        "job",
        "place",
        "position",
        "root_tasks",
        "size",
        "started",
        "task_names",
        "updated",
        "version",
    )

    def __init__(self, job_id: str) -> None:
        self.job = Job(job_id)
        self.place = 0
        self.position = 0
        self.version = 0
        self.updated = 0
        self.started = 0
        self.finished = 0
        self.size = 0  #: what it costs to keep, as a number of tasks, when that was counted last
        self.root_tasks: list[str] = []
        self.clusters: dict[str, None] = {}
        self.task_names: dict[str, None] = {}
        self._specs = 0  # how many kinds of task the two above tell of
        self._errors: dict[int, tuple[str, str]] = {}  # reason and message, by the task that failed for good
        self._progress = _Sums()
        self._counting: set[int] = set()
        self._taken_over: list[e.TasksTakenOver] = []  # what a fork takes over, until it is submitted

    def apply(self, step: Step) -> None:
        """Apply the job's next commit. Errors: DamagedLog; the fold is then to be thrown away."""
        job = self.job
        try:
            if step.version != self.version + 1:
                raise ValueError(f"it is version {step.version} where {self.version + 1} is expected")
            commit = decode_commit(step.state)
            at = commit.at
            evolve_all(job, commit.events, at)
            for event in commit.events:
                note = _NOTES.get(event.__class__)
                if note is not None:
                    note(self, event)
        except (CodecError, LifecycleError, ValueError) as error:
            raise DamagedLog(job.id, step.position, str(error)) from error
        if not self.place and job.state:
            self.place = place_of(job.submitted_at, step.position)
            self.root_tasks = list(dict.fromkeys(spec.name for spec in job.specs))[:NAMES]
        self.position, self.version, self.updated = step.position, step.version, at
        if not job.settled:
            self.finished = 0
        elif not self.finished:
            self.finished = at

    def row(self) -> JobRow:
        """Return the row as it stands now."""
        job = self.job
        if self._specs < len(job.specs):
            self._note_kinds()
        state, indicators = JobState(job.state), self._progress.indicators
        reason, message = self._failure(state)
        options = job.options
        return JobRow(
            self.place,
            job.id,
            job.name,
            state,
            job.settled,
            job.counts.copy(),
            job.submitted_at,
            self.started,
            self.finished,
            self.updated,
            self.position,
            self.version,
            percent(state, indicators, job.counts),
            [(one.label or "", one.total, one.done) for one in indicators],
            list(self.clusters),
            options.labels,
            self.root_tasks,
            list(self.task_names),
            reason,
            message,
            "continue" if options.continues else "halt",
            job.by,
            options.key,
            -1 if job.failed_task is None else job.failed_task,
        )

    def _note_kinds(self) -> None:
        for spec in self.job.specs[self._specs :]:
            if len(self.task_names) < NAMES:
                self.task_names[spec.name] = None
            if len(self.clusters) < NAMES:
                self.clusters[spec.cluster] = None
        self._specs = len(self.job.specs)

    def takes_over(self, event: e.TasksTakenOver) -> None:
        if event.part == 0:
            self._taken_over.clear()
        self._taken_over.append(event)

    def submitted(self, event: e.JobSubmitted) -> None:
        for part in self._taken_over:
            for one in part.tasks:
                self.counted(one.task, one.progress)
        self._taken_over.clear()

    def began(self, started: int) -> None:
        if started and (not self.started or started < self.started):
            self.started = max(-_FAR, min(started, _FAR))  # what a runner says is not checked by the engine

    def counted(self, task: int, progress: list[e.Progress] | None, *, goes_on: bool = False) -> None:
        if progress or self._progress:
            self._progress.replace(task, progress or [])
        if goes_on:
            self._counting.add(task)
        elif self._counting:
            self._counting.discard(task)

    def counts(self, task: int) -> bool:
        """Whether the running attempt of a task has counted something."""
        return task in self._counting

    def failed(self, task: int, error: e.Error) -> None:
        self._errors[task] = error.reason, error.message[:MESSAGE]
        if len(self._errors) > ERRORS:
            del self._errors[max(self._errors)]  # a job fails of the first of its tasks that have failed

    def retried(self, event: e.JobRetried) -> None:
        if self._errors:
            for task in ranges.numbers(event.tasks):
                self._errors.pop(task, None)

    def _failure(self, state: JobState) -> tuple[str, str]:
        if state is not JobState.FAILED:
            return "", ""
        if self.job.failed_task is None:
            deadline = stamp(utc(self.job.deadline))
            return e.DeadlineExceeded.__name__, f"the job was not over at its deadline, {deadline}"
        return self._errors.get(self.job.failed_task, ("", ""))


class _Sums:
    """What tasks count, each by its last execution, added up by label."""

    __slots__ = ("_by_task", "_sums")

    def __init__(self) -> None:
        self._by_task: dict[int, list[e.Progress]] = {}
        self._sums: dict[str, list[int]] = {}  # how many tasks count so, total, done

    def __bool__(self) -> bool:
        return bool(self._by_task)

    @property
    def indicators(self) -> list[ProgressIndicator]:
        return [
            ProgressIndicator(label or None, total, done) for label, (_, total, done) in self._sums.items()
        ]

    def replace(self, task: int, progress: list[e.Progress]) -> None:
        for one in progress:
            self._add(one, 1)
        for one in self._by_task.pop(task, ()):
            self._add(one, -1)
        if progress:
            self._by_task[task] = progress

    def _add(self, progress: e.Progress, sign: int) -> None:
        sums = self._sums.setdefault(progress.label, [0, 0, 0])
        sums[0] += sign
        sums[1] += sign * progress.total
        sums[2] += sign * progress.done
        if not sums[0]:
            del self._sums[progress.label]


# -- what is noted of each event, once its commit was accepted: of the events alone ---------------------------


def _ran(fold: RowFold, event: Any) -> None:
    fold.began(event.started)
    fold.counted(event.task, event.progress)


def _failed(fold: RowFold, event: e.TaskFailed) -> None:
    _ran(fold, event)
    fold.failed(event.task, event.error)


def _reused(fold: RowFold, event: e.TaskReused) -> None:
    fold.began(event.started)
    fold.counted(event.task, None)


def _progressed(fold: RowFold, event: e.TaskProgressed) -> None:
    fold.began(event.started)
    if event.progress is not None:
        fold.counted(event.task, event.progress, goes_on=True)


def _given_up(fold: RowFold, event: e.TaskReleased | e.LeaseExpired) -> None:
    if fold.counts(event.task):  # what an attempt counted that came to nothing counts no more
        fold.counted(event.task, None)


_NOTES: dict[type, Callable[[RowFold, Any], None]] = {
    e.TasksTakenOver: RowFold.takes_over,
    e.JobSubmitted: RowFold.submitted,
    e.TaskComputed: _ran,
    e.AttemptFailed: _ran,
    e.TaskFailed: _failed,
    e.OptionalTaskFailed: _ran,
    e.TaskCanceled: _ran,
    e.TaskReused: _reused,
    e.TaskProgressed: _progressed,
    e.TaskReleased: _given_up,
    e.LeaseExpired: _given_up,
    e.JobRetried: RowFold.retried,
}
