"""Finding a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import arguments
from ..arguments import JobOrId
from ..history.past import At, PastReading, moment_of
from ..read.reading import Reading

if TYPE_CHECKING:
    from ..session import Session


async def find(session: Session, job_or_id: JobOrId, *, at: At | None = None) -> Reading:
    """Return the job of this id, read afresh; with `at`, as it was at a moment of the past: a `PastJob`.

    Shape:  `at` is a position of the log, or an aware time. A job that was deleted later is found there.
    Errors: NotFoundError if there is none, or it was deleted: by whom and when; ArgumentError if it is no id, or no
            moment (see `job.at`); DamagedLog if it cannot be read.

    >>> job = client.jobs().submit("greetings", Greet("world"))
    >>> client.jobs().find(str(job.id)) == job
    True
    >>> submitted = job.submitted_at
    >>> client.jobs().delete(job, force=True)
    >>> client.jobs().find(job.id, at=submitted).state.name
    'SUBMITTED'
    """
    if at is not None:
        past = PastReading(session, arguments.job_id(job_or_id), moment_of(session, at))
        await past.refresh()
        return past
    reading = Reading(session, arguments.job_id(job_or_id))
    await reading.refresh()
    return reading
