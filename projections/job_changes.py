"""When a job went from one state to another, read off its commits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from jobledger.core import events as e
from jobledger.core.codec import Commit
from jobledger.core.errors import DamagedLog
from jobledger.core.job import Job, evolve
from jobledger.core.lifecycle import JobState, LifecycleError

from .utc import stamp, utc

#: events that say themselves where the job is. All else follows from its tasks, and shows once their commit is complete:
#: that no task ran between two events of one decision is nothing anybody could have seen.
_DECLARED = (
    e.JobSubmitted,
    e.JobCompleted,
    e.JobFailed,
    e.JobCanceled,
    e.JobRetried,
    e.DeadlineExceeded,
    e.JobDeleted,
)


@dataclass(frozen=True, slots=True)
class JobChange:
    """A job went from one state to another.

    >>> changes = []
    >>> with client.jobs().subscribe(changes.append, job=job, since="start"):
    ...     while len(changes) < 3:
    ...         time.sleep(0.01)
    >>> [(change.old and change.old.name, change.new.name) for change in changes]
    [(None, 'SUBMITTED'), ('SUBMITTED', 'RUNNING'), ('RUNNING', 'COMPLETED')]
    >>> changes[0].job == str(job.id), changes[0].name, changes[0].position <= changes[1].position
    (True, 'greetings', True)
    >>> print(changes[0].at == job.submitted_at, changes[0])
    True 2...Z  ...  job 'greetings' (...): SUBMITTED
    """

    job: str  #: its id, as text
    name: str  #: of the job
    old: JobState | None  #: None: it was submitted
    new: JobState
    position: int  #: of the commit in the log; several changes of one job may have the same
    at: datetime  #: when the engine decided it (aware UTC)

    @property
    def job_id(self) -> UUID:
        """The id of the job, as `job.id` is.

        >>> change = JobChange(str(job.id), "greetings", None, JobState.SUBMITTED, 1, job.submitted_at)
        >>> client.jobs().find(change.job_id) == job
        True
        """
        return UUID(self.job)

    def __str__(self) -> str:
        was = "" if self.old is None else f"{self.old.name} → "
        return f"{stamp(self.at)}  {self.position}  job {self.name!r} ({self.job}): {was}{self.new.name}"


def changes_of(job: Job, position: int, commit: Commit) -> list[JobChange]:
    """Apply the job's next commit to it, and return how its state changed by that, in order.

    Errors: DamagedLog, if the commit cannot follow what came before. The job is then to be thrown away.
    """
    changes: list[JobChange] = []
    shown = job.state

    def show() -> None:
        nonlocal shown
        if job.state != shown:
            old, new = JobState(shown) if shown else None, JobState(job.state)
            changes.append(JobChange(job.id, job.name, old, new, position, utc(commit.at)))
            shown = job.state

    for event in commit.events:
        try:
            evolve(job, event, commit.at)
        except (LifecycleError, ValueError) as error:
            raise DamagedLog(job.id, position, f"{type(event).__name__} cannot follow: {error}") from error
        if isinstance(event, _DECLARED):
            show()
    show()
    return changes
