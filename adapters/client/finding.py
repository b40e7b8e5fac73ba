"""Finding a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import arguments
from .arguments import JobOrId
from .reading import Reading

if TYPE_CHECKING:
    from .session import Session


async def find(session: Session, job_or_id: JobOrId) -> Reading:
    """Return the job of this id, read afresh.

    Errors: NotFoundError if there is none, or it was deleted: by whom and when; ArgumentError if it is no id; DamagedLog
            if it cannot be read.

    >>> job = client.jobs().submit("greetings", Greet("world"))
    >>> client.jobs().find(str(job.id)) == job
    True
    """
    reading = Reading(session, arguments.job_id(job_or_id))
    await reading.refresh()
    return reading
