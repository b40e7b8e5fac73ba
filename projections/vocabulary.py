"""The same facts in the words of Taipy and of Fiddler.

Their words are read off our states and nothing is stored in them. What one of their words lacks, ours keep: Taipy's
FAILED is both FAILED and FAILED_OPTIONAL here, its SKIPPED (a result was reused) is COMPUTED and `reused`, and what we
call SKIPPED (never run, since something else in an optional subtree failed) is ABANDONED there.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from jobledger.core.graph import HELD, READY, WAITING
from jobledger.core.lifecycle import JobState, TaskState

if TYPE_CHECKING:
    from .job_view import JobView


class Status(Enum):
    """Where one task stands, in Taipy's words (it calls a task's execution a job). Numbered as there.

    >>> [status.name for status in Status]
    ['SUBMITTED', 'BLOCKED', 'PENDING', 'RUNNING', 'CANCELED', 'FAILED', 'COMPLETED', 'SKIPPED', 'ABANDONED']
    >>> print(task.status)
    Status.COMPLETED
    """

    SUBMITTED = 1  #: never seen: a task here is blocked or pending from its first moment
    BLOCKED = 2  #: something it depends on is not complete
    PENDING = 3  #: it could run, and waits for a runner, for its time or for its next attempt
    RUNNING = 4
    CANCELED = 5  #: it was canceled, or its job was before it ran
    FAILED = 6
    COMPLETED = 7
    SKIPPED = 8  #: the result of an earlier success was taken
    ABANDONED = 9  #: it does not run, because another task failed or was canceled


class SubmissionStatus(Enum):
    """Where one job stands, in Taipy's words (it calls a job a submission). Numbered as there.

    >>> [status.name for status in SubmissionStatus]
    ['SUBMITTED', 'UNDEFINED', 'BLOCKED', 'PENDING', 'RUNNING', 'CANCELED', 'FAILED', 'COMPLETED']
    >>> job.submission_status
    <SubmissionStatus.COMPLETED: 7>
    """

    SUBMITTED = 0  #: nothing is known of it yet
    UNDEFINED = 1  #: never seen
    BLOCKED = 2  #: no task runs, and none could
    PENDING = 3  #: no task runs, but one could
    RUNNING = 4
    CANCELED = 5
    FAILED = 6
    COMPLETED = 7


class JobStatus(Enum):
    """Where one job, or one task of it, stands in Fiddler's words.

    >>> [status.value for status in JobStatus]
    ['PENDING', 'STARTED', 'SUCCESS', 'FAILURE', 'RETRY', 'REVOKED']
    >>> job.job_status, task.job_status
    (<JobStatus.SUCCESS: 'SUCCESS'>, <JobStatus.SUCCESS: 'SUCCESS'>)
    """

    PENDING = "PENDING"
    STARTED = "STARTED"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    RETRY = "RETRY"  #: nothing runs until what failed is tried again
    REVOKED = "REVOKED"


_TASK_STATUS = {
    TaskState.RUNNING: Status.RUNNING,
    TaskState.COMPUTED: Status.COMPLETED,
    TaskState.FAILED: Status.FAILED,
    TaskState.SKIPPED: Status.ABANDONED,
    TaskState.FAILED_OPTIONAL: Status.FAILED,
    TaskState.CANCELED: Status.CANCELED,
    TaskState.ABANDONED: Status.ABANDONED,
}
#: of a queued task in a job that was halted
_HALTED_STATUS = {
    JobState.COMPLETED: Status.ABANDONED,
    JobState.FAILED: Status.ABANDONED,
    JobState.CANCELED: Status.CANCELED,
    JobState.DELETED: Status.CANCELED,
}
#: of a queued task in a job that goes on
_QUEUED_STATUS = {WAITING: Status.BLOCKED, READY: Status.PENDING, HELD: Status.PENDING}

_TASK_JOB_STATUS = {
    Status.SUBMITTED: JobStatus.PENDING,
    Status.BLOCKED: JobStatus.PENDING,
    Status.PENDING: JobStatus.PENDING,
    Status.RUNNING: JobStatus.STARTED,
    Status.CANCELED: JobStatus.REVOKED,
    Status.FAILED: JobStatus.FAILURE,
    Status.COMPLETED: JobStatus.SUCCESS,
    Status.SKIPPED: JobStatus.SUCCESS,
    Status.ABANDONED: JobStatus.REVOKED,
}

#: None: PENDING or BLOCKED, by whether a task could run
_SUBMISSION_STATUS = {
    None: SubmissionStatus.SUBMITTED,
    JobState.SUBMITTED: None,
    JobState.RUNNING: SubmissionStatus.RUNNING,
    JobState.STARTED: None,
    JobState.COMPLETED: SubmissionStatus.COMPLETED,
    JobState.FAILED: SubmissionStatus.FAILED,
    JobState.CANCELED: SubmissionStatus.CANCELED,
    JobState.DELETED: SubmissionStatus.CANCELED,
}
_JOB_STATUS = {
    None: JobStatus.PENDING,
    JobState.SUBMITTED: JobStatus.PENDING,
    JobState.RUNNING: JobStatus.STARTED,
    JobState.STARTED: JobStatus.STARTED,
    JobState.COMPLETED: JobStatus.SUCCESS,
    JobState.FAILED: JobStatus.FAILURE,
    JobState.CANCELED: JobStatus.REVOKED,
    JobState.DELETED: JobStatus.REVOKED,
}


def task_status(state: TaskState, job: JobState, readiness: int = WAITING, *, reused: bool = False) -> Status:
    """Return a task's status from its state and its job's. `readiness` is WAITING, READY or HELD of `core.graph`."""
    if job is JobState.DELETED and state is TaskState.RUNNING:
        return Status.CANCELED  # what it may still do does not count
    if reused and state is TaskState.COMPUTED:
        return Status.SKIPPED
    if state is not TaskState.QUEUED:
        return _TASK_STATUS[state]
    return _HALTED_STATUS.get(job) or _QUEUED_STATUS[readiness]


def submission_status(state: JobState | None, *, startable: bool) -> SubmissionStatus:
    """Return a job's status; `startable`: whether some queued task waits for nothing but a runner or its time."""
    return _SUBMISSION_STATUS[state] or (SubmissionStatus.PENDING if startable else SubmissionStatus.BLOCKED)


def job_status(state: JobState | None, *, retrying: bool) -> JobStatus:
    """Return a job's status; `retrying`: whether nothing runs, and it waits for what failed to be tried again."""
    status = _JOB_STATUS[state]
    return JobStatus.RETRY if retrying and status in (JobStatus.PENDING, JobStatus.STARTED) else status


# -- as read off a view -----------------------------------------------------------------------------------------


def status_of(view: JobView, number: int) -> Status:
    job = view.job
    readiness = job.graph.ready[number]
    return task_status(job.state_of(number), JobState(job.state), readiness, reused=number in view.reused)


def task_job_status(view: JobView, number: int) -> JobStatus:
    status = status_of(view, number)
    if status is Status.PENDING and view.backs_off(number):
        return JobStatus.RETRY
    return _TASK_JOB_STATUS[status]


def submission_status_of(view: JobView) -> SubmissionStatus:
    ready = view.job.graph.ready
    return submission_status(view.state, startable=ready.find(READY) >= 0 or ready.find(HELD) >= 0)


def job_status_of(view: JobView) -> JobStatus:
    """A job waits for a retry once a user has retried it, until a task is claimed; and while all that could run next
    is backing off."""
    idle = not view.job.counts[TaskState.RUNNING.value]
    return job_status(view.state, retrying=idle and (view.reopened or _only_backs_off(view)))


def _only_backs_off(view: JobView) -> bool:
    ready = view.job.graph.ready
    held = ready.find(HELD)
    if held < 0 or ready.find(READY) >= 0:
        return False
    while held >= 0:
        if not view.backs_off(held):
            return False
        held = ready.find(HELD, held + 1)
    return True
