"""The lines of a job as its tasks log them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from .. import arguments
from ..arguments import JobOrId, When
from ..follow import following
from ..read.reading import Reading
from . import telemetry_arguments as asked
from .telemetry import stored_of
from .telemetry_arguments import TaskOrNumber

if TYPE_CHECKING:
    from nats.aio.msg import Msg

    from ...telemetry.lines import LogRecord, Wanted
    from ..session import Session

#: Seconds without a new line after which a settled job has none any more: runners send what they have within a part
#: of that.
QUIET = 1.0
#: seconds between two looks without being told: while the message that was told of is not stored yet, while a settled
#: job may have more, and in case that nothing was told
_AT_ONCE, _SOON, _SOMETIMES = 0.02, 0.25, 2.0
_LONG = timedelta(minutes=1)


def follow_logs(
    session: Session,
    job_or_id: JobOrId,
    *,
    task: TaskOrNumber | None = None,
    level: str | int | None = None,
    since: When | None = None,
    text: str | None = None,
) -> AsyncGenerator[LogRecord, None]:
    """Yield the lines of a job as its tasks log them, those logged before first; end when the job is settled.

    A line comes some 100 ms after it was logged, across restarts of the server. Lines of different runners come in the
    order in which they were stored. It goes on for a second after the job has settled, as the last lines may be under
    way.

    Shape and units: as `query_logs`.
    Errors: NotFoundError, also when the job is deleted meanwhile; ArgumentError for each argument; ServerUnavailable
            when nobody answers for five minutes.

    >>> for line in client.jobs().follow_logs(job, level="WARNING"):
    ...     print(line)
    """
    job_id = arguments.job_id(job_or_id)
    return _follow(session, job_id, asked.wanted(job_id, task, level, since, None, text))


async def _follow(session: Session, job_id: str, wanted: Wanted) -> AsyncGenerator[LogRecord, None]:
    from ...telemetry.lines import Lines, in_order

    link = await session.link()
    told = asyncio.Event()

    async def tell(message: Msg) -> None:
        told.set()

    end = await link.listen(session.names.telemetry_subject(job_id), tell)
    reading = Reading(session, job_id)
    settled = asyncio.ensure_future(following.wait(reading, None, raise_on_failure=False))
    lines, position, awaited_until, news_at = Lines(job_id, wanted), 0, 0.0, time.monotonic()
    try:
        while True:
            if told.is_set():
                told.clear()
                awaited_until = time.monotonic() + QUIET
            over = settled.done()
            batches = await stored_of(session, job_id, position, patience=following.PATIENCE)
            for line in in_order(line for batch in batches for line in lines.of(batch)):
                yield line
            now = time.monotonic()
            if batches:
                position, news_at, awaited_until = batches[-1].position, now, now
            if over:
                await settled  # raises what is wrong with the job
                if now - news_at >= QUIET or _long_over(reading):
                    return
            pause = _AT_ONCE if now < awaited_until else _SOON if over else _SOMETIMES
            await _wait_any(told, settled if not over else None, pause)
    finally:
        settled.cancel()
        await asyncio.gather(settled, return_exceptions=True)
        await end()


def _long_over(reading: Reading) -> bool:
    """Whether the job has been settled for so long that no clock can be wrong about it."""
    settled_at = reading.view.settled_at
    return settled_at is not None and datetime.now(UTC) - settled_at > _LONG


async def _wait_any(event: asyncio.Event, future: asyncio.Future[Any] | None, timeout: float) -> None:
    """Return when one of these happens, or after `timeout` seconds."""
    waiting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait(
            [waiting, *([future] if future else [])], timeout=timeout, return_when="FIRST_COMPLETED"
        )
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
