"""What a client asks for, each a coroutine: submit, find, cancel, retry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobledger.core.commands import CancelJob, RetryJob, SubmitJob
from jobledger.core.errors import ArgumentError, JobLedgerError, JobNotRetryable, NotFoundError
from jobledger.core.task import TaskIdentifier

from .ids import new_id, whoami
from .reading import Reading

if TYPE_CHECKING:
    from ..protocol import CommandRequest, Done, Refused
    from .session import Session

#: What a message may grow by on its way: the commit around the event, its headers, and the answer that hands the
#: task to a runner.
ENVELOPE = 4096


async def submit(session: Session, command: SubmitJob) -> Reading:
    """Submit a job and return its reading. Errors: ArgumentError when it is larger than the server's messages."""
    _check_size(command, await session.max_payload())
    done = await _do(session, command)
    return Reading(session, command.job_id, name=command.name, at_least=done.version)


async def find(session: Session, job_id: str) -> Reading:
    """Return the reading of a job, read once. Errors: NotFoundError."""
    reading = Reading(session, job_id)
    await reading.refresh()
    return reading


async def cancel(session: Session, job_id: str, reason: str) -> Done:
    """Cancel a job; `count` of the answer is 1 if this halted it."""
    return await _do(session, CancelJob(job_id, new_id().hex, whoami(), reason))


async def retry(session: Session, job_id: str) -> Done:
    """Retry a job; `count` of the answer is how many tasks were rescheduled."""
    return await _do(session, RetryJob(job_id, new_id().hex, whoami()))


async def _do(session: Session, command: CommandRequest) -> Done:
    from ..protocol import Done, Refused

    answer = await session.ask(command)
    if isinstance(answer, Refused):
        raise await refusal(session, answer, command.job_id)
    assert isinstance(answer, Done)
    return answer


async def refusal(session: Session, refused: Refused, job_id: str) -> Exception:
    """Return the error a refusal of the engine is to the caller."""
    if refused.code == "unknown_job":
        return not_found(job_id)
    if refused.code == "not_retryable":
        return JobNotRetryable(refused.message)
    if refused.code == "invalid":
        return ArgumentError(refused.message)
    if refused.code == "damaged":
        await session.read(job_id)  # raises DamagedLog, which names the position
    return JobLedgerError(refused.message)


def not_found(job_id: str) -> NotFoundError:
    return NotFoundError(
        f"there is no job {job_id} in this log: check the id, and that the client uses the server and the namespace "
        "it was submitted to"
    )


def _check_size(command: SubmitJob, limit: int) -> None:
    from ..protocol import encode

    size = len(encode(command)) + ENVELOPE
    if size <= limit:
        return
    inputs = command.tasks.inputs
    largest = max(range(len(inputs)), key=lambda index: len(inputs[index]))
    run = next(run for run in command.tasks.runs() if run.start <= largest < run.stop)
    identifier: TaskIdentifier = command.tasks.specs[run.spec].identifier
    if len(inputs) > 1:
        what = (
            f"the {len(inputs)} root tasks take {size:,} bytes together, the largest input, of {identifier},"
        )
    else:
        what = f"the input of {identifier}"
    raise ArgumentError(
        f"{what} takes {len(inputs[largest]):,} bytes; this server takes messages of {limit:,} bytes, so that about "
        f"{max(0, limit - ENVELOPE):,} are left for input. Put the data into a file or an object store and pass its "
        "path or key, let one root task submit the others as subtasks, or raise max_payload of the server"
    )
