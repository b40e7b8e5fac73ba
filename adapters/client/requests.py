"""Asking the engine for something, and what its refusals are to the caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobledger.core.errors import (
    ArgumentError,
    JobLedgerError,
    JobNotDeletable,
    JobNotRetryable,
    KeyUnavailable,
    LogFull,
    NotFoundError,
)

if TYPE_CHECKING:
    from jobledger.core.commands import Request

    from ..protocol import Done, FollowJob, JobStatus, Refused
    from .session import Session


async def do(session: Session, command: Request) -> Done:
    """Have a command take effect. Errors: what a refusal is to the caller; ServerUnavailable."""
    from ..protocol import Done, Refused

    answer = await session.ask(command)
    if isinstance(answer, Refused):
        raise await refusal(session, answer, command.job_id)
    assert isinstance(answer, Done)
    return answer


async def follow(session: Session, question: FollowJob, *, margin: float, patience: float) -> JobStatus:
    """Return where a job stands, once that is news to the question or its time is up.

    Units:  `margin` is how many seconds an answer may be late before it is held to be lost.
    Errors: NotFoundError; DamagedLog; ServerUnavailable when patience is at its end.
    """
    from ..protocol import JobStatus, Refused

    answer = await session.ask(question, timeout=question.wait + margin, patience=patience)
    if isinstance(answer, Refused):
        raise await refusal(session, answer, question.job_id)
    assert isinstance(answer, JobStatus)
    return answer


_ERRORS: dict[str, type[JobLedgerError]] = {
    "not_retryable": JobNotRetryable,
    "not_deletable": JobNotDeletable,
    "unknown_task": NotFoundError,
    "conflict": ArgumentError,
    "key_unavailable": KeyUnavailable,
    "log_full": LogFull,
    "invalid": ArgumentError,
}


async def refusal(session: Session, refused: Refused, job_id: str) -> Exception:
    """Return the error a refusal of the engine is to the caller."""
    if refused.code == "unknown_job":
        return await _not_there(session, job_id)
    if refused.code == "damaged":
        await session.read(job_id)  # raises DamagedLog, which names the position
    return _ERRORS.get(refused.code, JobLedgerError)(refused.message)


async def _not_there(session: Session, job_id: str) -> Exception:
    """Tell a job that was deleted, by whom and when, from one that never was."""
    from .read.reading import Reading

    try:
        await Reading(session, job_id).refresh()
    except NotFoundError as error:
        return error
    return not_found(job_id)


def not_found(job_id: str) -> NotFoundError:
    return NotFoundError(
        f"there is no job {job_id} in this log: check the id, and that the client uses the server and the namespace "
        "it was submitted to"
    )
