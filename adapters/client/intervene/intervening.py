"""Stepping in: cancel and retry a job or a task of it, and delete a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobledger.core.commands import CancelJob, CancelTask, DeleteJob, RetryJob
from jobledger.core.options import Seconds

from .. import arguments
from ..arguments import JobOrId, JobOrTask, When
from ..ids import new_id, whoami
from ..query.finding import find
from ..read.facts import JobFacts
from ..read.reasons import Reasons, against_deletion
from ..requests import do

if TYPE_CHECKING:
    from ...protocol import Done
    from ..session import Session


async def cancel(
    session: Session, job_or_task: JobOrTask, reason: str = "", grace: Seconds | None = None
) -> int:
    """Cancel a job, or one task of it with its subtree. Return how many this call had an effect on.

    A job: no queued task of it is started any more; True if this call halted it, False if it was completed, failed or
    canceled already. What still runs of a failed or canceled one is told all the same: True if that was news to it.
    A task: what is queued of its subtree never runs, and what depends on it is abandoned; the job goes on with what is
    left. The count is of the tasks that were canceled, abandoned, or are running and were told; 0 if there was nothing
    left to cancel.
    Running tasks are told, and may stop; what they submit if they do not is kept but not run. `retry` resumes both. To
    stop what does not stop by itself, cancel again with a `grace`.

    Shape:  a task is given as `job.tasks[…]` gives it, or by its id.
    Units:  `grace` is how many seconds running tasks are given to stop before they are stopped; None: they are not.
    Errors: NotFoundError; ArgumentError.

    >>> job = client.jobs().submit("greetings", [Greet("you"), Greet("me")])
    >>> client.jobs().cancel(job.tasks[0], reason="not in the mood")
    1
    >>> client.jobs().cancel(job)
    True
    >>> job.state
    <JobState.CANCELED: 6>
    """
    job_id, task = arguments.job_or_task(job_or_task)
    arguments.reason(reason)
    stop = arguments.grace(grace)
    request_id = new_id().hex
    if task is None:
        done = await do(session, CancelJob(job_id, request_id, whoami(), reason, stop))
        count: int = bool(done.count)
    else:
        done = await do(session, CancelTask(job_id, request_id, task, whoami(), reason, stop))
        count = done.count
    _expect(job_or_task, done)
    return count


async def retry(session: Session, job_or_task: JobOrTask, deadline: When | None = None) -> int:
    """Resume a failed or canceled job, or one task of it. Return how many tasks may run again.

    These are the tasks that failed, were canceled or abandoned, and those that were halted while queued; of a task,
    those of its subtree, and what was abandoned because of them. What is computed is kept and not run again. Tasks that
    failed have all their retries again.

    Units:  `deadline` is a new deadline for the job: an aware datetime, or seconds from now. None: a deadline that has
            passed is dropped.
    Errors: NotFoundError; JobNotRetryable (an ArgumentError) if there is nothing to retry; ArgumentError.

    >>> job = client.jobs().submit("greetings", [Greet("you"), Greet("me")])
    >>> client.jobs().cancel(job)
    True
    >>> client.jobs().retry(job)
    2
    """
    job_id, task = arguments.job_or_task(job_or_task)
    until = arguments.moment("deadline", deadline, session.now())
    command = RetryJob(job_id, new_id().hex, whoami(), -1 if task is None else task, until)
    done = await do(session, command)
    _expect(job_or_task, done)
    return done.count


async def delete(session: Session, job_or_id: JobOrId, force: bool = False, reason: str = "") -> None:
    """Delete a settled job: nobody is shown it any more. Its history stays in the log.

    If it is sealed, its key is destroyed before this returns: nobody can read its inputs, results and errors any more.
    `force=True` also deletes a job that is not settled: it is canceled, and what its running tasks report is refused.
    Errors: JobNotDeletable (an ArgumentError) for a job that is not settled, saying why; NotFoundError, also for a job
            that was deleted before; ArgumentError.

    >>> job = client.jobs().submit("greetings", Greet("world"))
    >>> client.jobs().delete(job, force=True, reason="a typing error")
    >>> client.jobs().find(job)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    NotFoundError: job 'greetings' (…) was deleted at … by …: a typing error. Its history stays in the log
    """
    job_id = arguments.job_id(job_or_id)
    arguments.flag("force", force)
    arguments.reason(reason)
    done = await do(session, DeleteJob(job_id, new_id().hex, whoami(), reason, force))
    session.keyring.forget(job_id)
    _expect(job_or_id, done)


async def deletable(session: Session, job_or_id: JobOrId) -> Reasons:
    """Return what is against deleting a job: true if nothing is.

    Errors: NotFoundError; ArgumentError.

    >>> job = client.jobs().submit("greetings", Greet("world"))
    >>> bool(client.jobs().deletable(job))
    False
    >>> client.jobs().deletable(job).reasons
    ('it is SUBMITTED: cancel it first, or delete it with force=True',)
    """
    return against_deletion((await find(session, job_or_id)).view)


def _expect(given: object, done: Done) -> None:
    """Whoever changed a job through its object must see the change in that object."""
    if isinstance(given, JobFacts):
        given._reading.expect(done.version)
