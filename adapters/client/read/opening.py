"""What a client reads sealed jobs with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobledger.core.errors import ErasedError, KeyUnavailable
from jobledger.core.events import JobSubmitted
from jobledger.projections.sealed import NOTHING_SEALED, Closed, Opener

if TYPE_CHECKING:
    from ...nats.log import StoredCommit
    from ..session import Session


async def opener_of(session: Session, job_id: str, commits: Sequence[StoredCommit]) -> Opener:
    """Return what reads the texts, inputs and results of the job that these commits are of, the first one among them.

    Errors: ServerUnavailable. Without the key the job can be read all the same: what is asked of it that is encrypted says
            what is wrong.
    """
    key = _key(commits)
    if not key:
        return NOTHING_SEALED
    try:
        return await session.keyring.seal(job_id, key)
    except (ErasedError, KeyUnavailable) as error:
        return Closed(error)


def _key(commits: Sequence[StoredCommit]) -> str:
    for stored in commits[:1]:
        for event in stored.commit.events:
            if isinstance(event, JobSubmitted) and event.options is not None:
                return event.options.sealed
    return ""
