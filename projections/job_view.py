"""One job, folded for reading: what the engine knows of it, and what only people ask about.

The state is `core.job.Job`, changed by `core.job.evolve` alone, so that a reader can never come to another state than
the engine. Added here is what deciding does not need: when and where attempts ran, how they ended, what they display.
It is kept in arrays by task number, and sparsely where it is rare: an attempt that was computed costs 28 bytes, and
only attempts that ended otherwise are objects. `tasks` makes a `TaskView` when one is asked for.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from jobledger.core import events as e
from jobledger.core import ranges
from jobledger.core.codec import Commit
from jobledger.core.errors import DamagedLog
from jobledger.core.job import Job, evolve
from jobledger.core.lifecycle import JobState, LifecycleError, TaskState

from .attempts import AttemptOutcome, Ended
from .progress import ProgressIndicator, summed
from .tasks import Tasks
from .utc import utc, utc_or_none

_FAR = 2**62


class JobError(NamedTuple):
    """Why a job failed: the error of the first of its tasks that failed for good."""

    task_id: str
    reason: str  #: name of the exception's type
    message: str
    traceback: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}" if self.message else self.reason


class JobView:
    """One job as far as its commits were applied. Not locked: whoever shares one between threads takes turns.

    >>> view = JobView("01890a5d-ac96-774b-bcce-b302099a8057")
    >>> view.version, view.state
    (0, None)
    """

    __slots__ = (
        "_settled",
        "_updated",
        "canceled",
        "claimed",
        "displays",
        "ended",
        "job",
        "position",
        "progressed",
        "runner_index",
        "runners",
        "runs",
        "started",
        "stopped",
        "version",
    )

    def __init__(self, job_id: str) -> None:
        self.job = Job(job_id)  #: the core's state; read it, never change it
        self.position = 0  #: of the last commit applied
        self.version = 0  #: of the job
        self.canceled: e.JobCanceled | None = None  #: the last cancel, until the job is retried
        self._updated = 0
        self._settled = 0
        # by task, of its current or last attempt; µs, 0 where not known
        self.claimed = array("q")
        self.started = array("q")
        self.stopped = array("q")
        self.runs = array("I")  #: index into `runners`
        self.runners: list[str] = [""]
        self.runner_index: dict[str, int] = {"": 0}
        self.displays: dict[int, str] = {}
        self.progressed: dict[int, list[e.Progress]] = {}  #: what each task counted in its last execution
        self.ended: dict[int, list[Ended]] = {}  #: attempts that ended without being computed

    def apply(self, position: int, version: int, commit: Commit) -> bool:
        """Apply the job's next commit. Return False if it had been applied already.

        Errors: DamagedLog, naming job and position, if the commit cannot follow what came before; ValueError if
                versions are missing in between. The view is then to be thrown away.
        """
        if version <= self.version:
            return False
        if version != self.version + 1:
            raise ValueError(f"job {self.job.id}: version {version} cannot follow version {self.version}")
        job, at = self.job, commit.at
        try:
            for event in commit.events:
                evolve(job, event, at)
                note = _NOTES.get(event.__class__)
                if note is not None:
                    note(self, event, at)
        except (LifecycleError, ValueError) as error:
            raise DamagedLog(job.id, position, f"{type(event).__name__} cannot follow: {error}") from error
        self._grow()
        self.position, self.version, self._updated = position, version, at
        if not job.settled:
            self._settled = 0
        elif not self._settled:
            self._settled = at
        return True

    @property
    def state(self) -> JobState | None:
        """Where the job stands; None before its first commit."""
        return JobState(self.job.state) if self.job.state else None

    @property
    def settled(self) -> bool:
        """Whether the job is in a terminal state with no task running."""
        return self.job.settled

    @property
    def submitted_at(self) -> datetime:
        return utc(self.job.submitted_at)

    @property
    def updated_at(self) -> datetime:
        """When the last commit was decided."""
        return utc(self._updated)

    @property
    def settled_at(self) -> datetime | None:
        """When the job settled; None while it is not."""
        return utc_or_none(self._settled)

    @property
    def tasks(self) -> Tasks:
        """The tasks, in order of submission."""
        return Tasks(self)

    @property
    def tasks_by_state(self) -> dict[TaskState, int]:
        """How many tasks are in each state; every state is a key."""
        return {state: self.job.counts[state.value] for state in TaskState}

    @property
    def progress(self) -> list[ProgressIndicator]:
        """What the tasks counted, added up by label; a task that ran again counts as it did last."""
        return summed(self.progressed.values())

    @property
    def error(self) -> JobError | None:
        """Why the job failed; None unless it did."""
        failed = self.job.failed_task
        if failed is None:
            return None
        task = self.tasks[failed]
        error = task.error or e.Error("", "")
        return JobError(task.id, error.reason, error.message, error.traceback)

    def _grow(self) -> None:
        missing = len(self.job.graph) - len(self.claimed)
        if missing:
            for times in (self.claimed, self.started, self.stopped):
                times.frombytes(bytes(8 * missing))
            self.runs += array("I", (0,)) * missing

    def __repr__(self) -> str:
        state = self.state.name if self.state else "empty"
        return f"<JobView {self.job.id} {state} version {self.version}, {len(self.job.graph)} tasks>"


# -- what is noted of each event, after `evolve` accepted it ----------------------------------------------------


def _claimed(view: JobView, event: e.TasksClaimed, at: int) -> None:
    view._grow()
    runner = view.runner_index.setdefault(event.runner, len(view.runners))
    if runner == len(view.runners):
        view.runners.append(event.runner)
    for start, stop in ranges.pairs(event.tasks):
        size = stop - start
        view.claimed[start:stop] = array("q", (at,)) * size
        view.runs[start:stop] = array("I", (runner,)) * size
        if event.attempt > 1:
            view.started[start:stop] = view.stopped[start:stop] = array("q", (0,)) * size


def _computed(view: JobView, event: e.TaskComputed, at: int) -> None:
    _set_times(view, event.task, event.started, event.stopped)
    _show(view, event)


def _failed(view: JobView, event: e.AttemptFailed | e.TaskFailed | e.OptionalTaskFailed, at: int) -> None:
    _end(view, event, AttemptOutcome.FAILED, event.started, event.stopped, event.error)
    _show(view, event)


def _show(view: JobView, event: Any) -> None:
    """Note what the execution said of itself."""
    if event.display is not None:
        view.displays[event.task] = event.display
    if event.progress is not None:
        view.progressed[event.task] = event.progress
    elif view.progressed:
        view.progressed.pop(event.task, None)  # of an execution before


def _released(view: JobView, event: e.TaskReleased, at: int) -> None:
    _end(view, event, AttemptOutcome.RELEASED, 0, at, reason=event.reason)


def _expired(view: JobView, event: e.LeaseExpired, at: int) -> None:
    _end(view, event, AttemptOutcome.EXPIRED, 0, at, reason=f"no sign of life from runner {event.runner}")


def _end(
    view: JobView,
    event: Any,
    outcome: AttemptOutcome,
    started: int,
    stopped: int,
    error: e.Error | None = None,
    reason: str = "",
) -> None:
    task = event.task
    _set_times(view, task, started, stopped)
    times = view.claimed[task], view.started[task], view.stopped[task]
    ended = Ended(event.attempt, outcome, view.runs[task], *times, error, reason)
    view.ended.setdefault(task, []).append(ended)


def _set_times(view: JobView, task: int, started: int, stopped: int) -> None:
    try:
        view.started[task] = started
        view.stopped[task] = stopped
    except OverflowError:  # what a runner says is not checked by the engine: 64 bits are enough for any time
        view.started[task] = max(-_FAR, min(started, _FAR))
        view.stopped[task] = max(-_FAR, min(stopped, _FAR))


def _canceled(view: JobView, event: e.JobCanceled, at: int) -> None:
    view.canceled = event


def _retried(view: JobView, event: e.JobRetried, at: int) -> None:
    view.canceled = None


_NOTES: dict[type, Callable[[JobView, Any, int], None]] = {
    e.TasksClaimed: _claimed,
    e.TaskComputed: _computed,
    e.AttemptFailed: _failed,
    e.TaskFailed: _failed,
    e.OptionalTaskFailed: _failed,
    e.TaskReleased: _released,
    e.LeaseExpired: _expired,
    e.JobCanceled: _canceled,
    e.JobRetried: _retried,
}
