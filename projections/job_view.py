"""One job for reading: where it stands, why, how far it has come, and when. See `job_fold` for what is kept of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from jobledger.core import events as e
from jobledger.core.graph import ROOT
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.core.options import OnFailure

from . import statistics, vocabulary
from .job_fold import JobFold
from .progress import ProgressIndicator, percent, summed
from .sealed import Opener
from .statistics import Ran
from .tasks import Tasks
from .utc import stamp, utc, utc_or_none


class JobError(NamedTuple):
    """Why a job failed: the error of the first of its tasks that failed for good, or that its deadline passed.

    >>> class Copy(Task):
    ...     def execute(self, context: ExecutionContext) -> None:
    ...         raise OSError("the disk is full")
    >>> job = InlineClient().run(Copy())
    ERROR: Task Copy failed with exception: OSError('the disk is full') ...
    >>> print(job.error)
    OSError: the disk is full
    >>> job.error
    JobError(task_id='.../0', reason='OSError', message='the disk is full', traceback='Traceback (most recent call last):...')
    """

    task_id: str  #: "" where it is not the fault of a task
    reason: str  #: name of the exception's type, or "DeadlineExceeded"
    message: str
    traceback: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}" if self.message else self.reason


class StopRequest(NamedTuple):
    """Why a running task is asked to stop.

    >>> class Export(Task):
    ...     def execute(self, context: ExecutionContext) -> None:
    ...         job = client.jobs().find(context.current_task.job.id)
    ...         client.jobs().cancel(job, reason="wrong input")
    ...         print(job.tasks[0].cancel_requested)
    >>> client = InlineClient()
    >>> job = client.run(Export())
    StopRequest(by='...', reason='wrong input')
    """

    by: str  #: as user@host; "" where nobody in particular asked
    reason: str


class JobView(JobFold):
    """One job as far as its commits were applied.

    >>> view = JobView("01890a5d-ac96-774b-bcce-b302099a8057")
    >>> view.version, view.state, view.percent
    (0, None, 0.0)
    """

    __slots__ = ("_ran",)

    def __init__(
        self,
        job_id: str,
        *,
        clock: Callable[[], int] | None = None,
        fetch: Callable[[str], bytes] | None = None,
        opener: Opener | None = None,
    ) -> None:
        super().__init__(job_id, clock=clock, fetch=fetch, opener=opener)
        self._ran: tuple[int, Ran] | None = None

    # -- the job ------------------------------------------------------------------------------------------------

    @property
    def state(self) -> JobState | None:
        """Where the job stands; None before its first commit."""
        return JobState(self.job.state) if self.job.state else None

    @property
    def submission_status(self) -> vocabulary.SubmissionStatus:
        """Where the job stands, in Taipy's words."""
        return vocabulary.submission_status_of(self)

    @property
    def job_status(self) -> vocabulary.JobStatus:
        """Where the job stands, in Fiddler's words."""
        return vocabulary.job_status_of(self)

    @property
    def settled(self) -> bool:
        """Whether the job is in a terminal state with no task running."""
        return self.job.settled

    @property
    def error(self) -> JobError | None:
        """Why the job failed; None unless it did."""
        failed = self.job.failed_task
        if failed is not None:
            task = self.tasks[failed]
            error = task.error or e.Error("", "")
            return JobError(task.id, error.reason, error.message, error.traceback)
        if self.missed is not None:
            deadline = stamp(utc(self.missed.deadline))
            return JobError("", "DeadlineExceeded", f"the job was not over at its deadline, {deadline}", "")
        return None

    @property
    def info(self) -> dict[str, Any]:
        """What the job is, in one dict: `name`, `root_task` (name, or names where there are several), `clusters` of the
        tasks known so far, `labels`, `submitted_by`, `on_failure`, and `deadline` where it has one."""
        roots = [task.name for task in self.roots]
        info = {
            "name": self.job.name,
            "root_task": roots[0] if len(roots) == 1 else roots,
            "clusters": sorted({spec.cluster for spec in self.job.specs}),
            "labels": self.labels,
            "submitted_by": self.job.by,
            "on_failure": self.on_failure,
        }
        return info | {"deadline": self.deadline} if self.deadline else info

    @property
    def on_failure(self) -> OnFailure:
        """What the failure of a task does to the job, unless the task says otherwise."""
        return "continue" if self.job.options.continues else "halt"

    @property
    def origin(self) -> e.Origin | None:
        """The point of another job's history it was forked from; None for a job that begins at its beginning."""
        return self.job.options.origin

    @property
    def force(self) -> bool:
        """Whether tasks run although the result of an earlier success could be taken."""
        return self.job.options.force

    @property
    def sealed(self) -> bool:
        """Whether its inputs, results and errors are encrypted, with a key that is destroyed when it is deleted."""
        return self.job.options.sealed != ""

    @property
    def labels(self) -> dict[str, str]:
        """What it was labelled with when it was submitted."""
        return dict(self.job.options.labels)

    @property
    def deadline(self) -> datetime | None:
        """When the job fails if it is not over by then (aware UTC); None: never."""
        return utc_or_none(self.job.deadline)

    @property
    def result(self) -> Any:
        """What the root task returned, as JSON data; a list of what each returned where there are several.

        Errors: as `TaskView.result`.
        """
        results = [task.result for task in self.roots]
        return results[0] if len(results) == 1 else results

    def stop_request(self, number: int) -> StopRequest | None:
        """Return why a task is asked to stop; None unless it runs and is."""
        job = self.job
        if job.graph.status[number] != TaskState.RUNNING.value:
            return None
        for request in (job.cancel_requests.get(number), self.canceled, self.deleted):
            if request is not None:
                return StopRequest(request.by, request.reason)
        return StopRequest("", "the deadline of the job has passed") if self.missed else None

    # -- its tasks ----------------------------------------------------------------------------------------------

    @property
    def tasks(self) -> Tasks:
        """The tasks, in order of submission."""
        return Tasks(self)

    @property
    def roots(self) -> Tasks:
        """The tasks it was submitted with."""
        return self.select(range(self.graph.parent.count(ROOT)))

    def select(self, numbers: Sequence[int]) -> Tasks:
        """Return the tasks of these numbers."""
        return Tasks(self, numbers)

    @property
    def tasks_by_state(self) -> dict[TaskState, int]:
        """How many tasks are in each state; every state is a key."""
        return {state: self.job.counts[state.value] for state in TaskState}

    @property
    def progress(self) -> list[ProgressIndicator]:
        """What the tasks counted, added up by label, live; a task that ran again counts as it did last."""
        return summed(self.progressed.values())

    @property
    def percent(self) -> float:
        """How far it has come, from 0 to 100, by its progress or else its tasks; 100 only once it is COMPLETED."""
        return percent(self.state, self.progress, self.job.counts)

    # -- its times ----------------------------------------------------------------------------------------------

    @property
    def submitted_at(self) -> datetime:
        return utc(self.job.submitted_at)

    @property
    def started_at(self) -> datetime | None:
        """When the first of its attempts began (aware UTC); None until a runner says so."""
        return utc_or_none(self.ran.first)

    @property
    def run_at(self) -> datetime | None:
        """The same as `started_at`."""
        return self.started_at

    @property
    def updated_at(self) -> datetime:
        """When the last commit was decided."""
        return utc(self._updated)

    @property
    def settled_at(self) -> datetime | None:
        """When the job settled; None while it is not."""
        return utc_or_none(self._settled)

    @property
    def finished_at(self) -> datetime | None:
        """The same as `settled_at`."""
        return self.settled_at

    @property
    def execution_stats(self) -> statistics.ExecutionStats:
        """When its tasks ran, for how long, and how many at a time."""
        return statistics.execution_stats(self)

    @property
    def ran(self) -> statistics.Ran:
        """What is known of its attempts: kept until the next commit."""
        if self._ran is None or self._ran[0] != self.version:
            self._ran = self.version, statistics.ran(self)
        return self._ran[1]

    def show_live(self, number: int | None = None) -> None:
        """Have a notebook show the job, or its task of this number, and keep that up to date.

        Errors: NotImplementedError where nobody can follow the job, as here: to IPython it means to show it as it stands.
        """
        raise NotImplementedError("this view is not followed")

    def __repr__(self) -> str:
        state = self.state.name if self.state else "empty"
        return f"<JobView {self.job.id} {state} version {self.version}, {len(self.job.graph)} tasks>"
