"""What the tasks of a job logged and traced. Following it live is in `log_feed`."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Coroutine
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from jobledger.core.errors import ArgumentError, ErasedError
from jobledger.core.options import Seconds, micros

from .. import arguments
from ..arguments import JobOrId, When
from ..read.reading import Reading
from . import telemetry_arguments as asked
from .telemetry_arguments import TaskOrNumber

if TYPE_CHECKING:
    from ...nats.wire import Wire
    from ...telemetry.lines import LogRecords, Wanted
    from ...telemetry.records import Record
    from ...telemetry.spans import Spans
    from ...telemetry.store import Stored
    from ..session import Session

_LEAST_BYTES = 1024 * 1024
_UNDER_WAY = 0.3  # seconds from the end of a job until its last lines are stored, as a rule


def traceparent(job_id: str) -> str:
    """Return the W3C traceparent to submit a job with: the span the caller is in, or else one made of the job's id.

    Every job has a trace by that, also where nobody has set up OpenTelemetry.

    >>> traceparent("0190f6a4-8c1e-7f5e-9a57-3f1d1c2b4a66")
    '00-0190f6a48c1e7f5e9a573f1d1c2b4a66-cbae7f24ab5564e4-01'
    """
    from ...telemetry.trace_context import own_root

    api: Any = sys.modules.get("opentelemetry.trace")  # who has not loaded it is in no span
    if api is not None:
        span = api.get_current_span().get_span_context()
        if span.is_valid:
            return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"
    return own_root(job_id).traceparent


def query_logs(
    session: Session,
    job_or_id: JobOrId,
    *,
    task: TaskOrNumber | None = None,
    level: str | int | None = None,
    since: When | None = None,
    until: When | None = None,
    text: str | None = None,
    limit: int | None = None,
    task_id: TaskOrNumber | None = None,
) -> Coroutine[Any, Any, LogRecords]:
    """Return the lines that the tasks of a job logged, oldest first: a sequence with `to_pandas()`.

    They arrive within a second, and are kept for 30 days, or as `limit_telemetry` says.

    Shape:  `task` is one of the job's tasks, or its number; `level` the least severity, such as "WARNING"; `text` is
            found in the message, in upper or lower case; `limit` is how many lines at most, the newest ones. `task_id`
            is another name of `task`, for scripts written for Tilebox.
    Units:  `since` and `until` are aware datetimes, or seconds (or a timedelta) ago; a line of the moment `until` is
            left out.
    Errors: NotFoundError; ArgumentError for each argument.

    >>> lines = client.jobs().query_logs(job, level="INFO")
    >>> [line.body for line in lines]
    []
    """
    job_id = arguments.job_id(job_or_id)
    wanted = asked.wanted(job_id, task if task_id is None else task_id, level, since, until, text)
    return _query_logs(session, job_id, wanted, asked.count("limit", limit))


async def _query_logs(session: Session, job_id: str, wanted: Wanted, limit: int | None) -> LogRecords:
    from ...telemetry.lines import Lines, LogRecords, in_order

    await _arrival(session, job_id)
    stored = await stored_of(session, job_id)
    lines = Lines(job_id, wanted)
    found = in_order(line for batch in stored for line in lines.of(batch))
    if not found:  # perhaps because there is no such job, or no such task
        asked.check_task(await Reading(session, job_id).refresh(), wanted.task)
    return LogRecords(found if limit is None else found[-limit:], lines.dropped)


def query_spans(
    session: Session,
    job_or_id: JobOrId,
    *,
    task: TaskOrNumber | None = None,
    name: str | None = None,
    since: When | None = None,
    until: When | None = None,
    limit: int | None = None,
    task_id: TaskOrNumber | None = None,
) -> Coroutine[Any, Any, Spans]:
    """Return the spans of a job, in the order in which they began: a sequence with `to_pandas()`.

    The job is one, `job/<name>`; so is each attempt of a task, `task/<name>`, whether it traced anything or not; and
    what tasks opened with `context.tracer.span(name)`, below that of the attempt. Lines that were logged in a span, and
    the exception that ended an attempt, are its events. One that was opened shows once it was closed.

    Shape:  `task` is one of the job's tasks, or its number: then only of its attempts. `name` is a part of the name, in
            upper or lower case; `limit` is how many at most, the newest ones. `task_id` is another name of `task`, for
            scripts written for Tilebox.
    Units:  `since` and `until` as in `query_logs`: spans of which a part lies between them.
    Errors: NotFoundError; ArgumentError for each argument; DamagedLog.

    >>> [span.name for span in client.jobs().query_spans(job)]
    ['job/greetings', 'task/Greet']
    """
    job_id = arguments.job_id(job_or_id)
    number = asked.task_number(job_id, task if task_id is None else task_id)
    part = None if name is None else asked.part("name", name)
    between = asked.ago("since", since), asked.ago("until", until)
    return _query_spans(session, job_id, number, part, between, asked.count("limit", limit))


async def _query_spans(
    session: Session,
    job_id: str,
    task: int | None,
    part: str | None,
    between: tuple[int | None, int | None],
    limit: int | None,
) -> Spans:
    from jobledger.projections.utc import utc

    from ...telemetry.spans import JobSpans, Spans

    await _arrival(session, job_id)
    stored = await stored_of(session, job_id)
    view = await Reading(
        session, job_id
    ).refresh()  # after it: no attempt is older than what was logged in it
    asked.check_task(view, task)
    spans = JobSpans(view, stored)
    found = spans.all(task)
    if part is not None:
        found = [span for span in found if part in span.name.casefold()]
    since, until = between
    if since is not None:
        begin = utc(since)
        found = [span for span in found if span.end is None or span.end >= begin]
    if until is not None:
        end = utc(until)
        found = [span for span in found if span.start < end]
    return Spans(found if limit is None else found[-limit:], spans.dropped)


def limit_telemetry(
    session: Session, *, max_age: Seconds | None = None, max_bytes: int | None = None
) -> Coroutine[Any, Any, None]:
    """Set for how long, and how much in all, lines and spans of this namespace are kept, the oldest going first.

    Without it that is 30 days and 256 MiB, or less on a server without that room. What exceeds a new limit is forgotten at once.

    Shape:  an argument that is left out leaves that limit as it is.
    Units:  `max_age` is seconds, or a timedelta; `max_bytes` is bytes that the server sets aside on its disk.
    Errors: ArgumentError for both, and where the server has not that much room.

    >>> client.jobs().limit_telemetry(max_age=90 * 24 * 3600)
    """
    age = None if max_age is None else timedelta(microseconds=micros("max_age", max_age))
    if age is not None and age < timedelta(seconds=1):
        raise ArgumentError(f"max_age={max_age!r} keeps nothing: pass seconds from 1 up, or a timedelta")
    if max_bytes is not None and (asked.count("max_bytes", max_bytes) or 0) < _LEAST_BYTES:
        raise ArgumentError(f"max_bytes={max_bytes!r} is too little: pass bytes from {_LEAST_BYTES:,} up")
    return _limit(session, age, max_bytes)


async def _limit(session: Session, max_age: timedelta | None, max_bytes: int | None) -> None:
    from ...nats.asking import JetStreamError
    from ...telemetry import store

    async def work(client: Wire) -> None:
        await store.limit(client, session.names, max_age, max_bytes)

    try:
        await (await session.link()).work(work, patience=session.patience)
    except JetStreamError as error:
        raise ArgumentError(
            f"max_age={max_age}, max_bytes={max_bytes}: the server refused that: {error}. Pass less, or give "
            "JetStream more room in the server's configuration"
        ) from error


async def _arrival(session: Session, job_id: str) -> None:
    """Wait where the job has settled in this very moment: its last lines are under way."""
    from jobledger.core.codec import CodecError, decode_commit

    from ...nats.records import RecordError, decode_record
    from ...nats.stored import last_message

    async def work(client: Wire) -> bytes | None:
        return await last_message(client, session.names.log_stream, session.names.log_subject(job_id))

    last = await (await session.link()).work(work, patience=session.patience)
    if last is None:
        return
    with contextlib.suppress(RecordError, CodecError):  # told by whoever reads the log itself
        commit = decode_commit(decode_record(last).state)
        left = _UNDER_WAY - (time.time() - commit.at / 1e6)
        if commit.settled and left > 0:
            await asyncio.sleep(min(left, _UNDER_WAY))


async def stored_of(
    session: Session, job_id: str, after: int = 0, *, patience: float | None = None
) -> list[Stored]:
    """Return what is stored of a job behind position `after`, page by page."""
    from ...telemetry import store

    async def work(client: Wire) -> list[Stored]:
        return [one async for one in store.read(client, session.names, job_id, after=after)]

    link = await session.link()
    stored = await link.work(work, patience=session.patience if patience is None else patience)
    return [one._replace(records=await _readable(session, job_id, one.records)) for one in stored]


async def _readable(session: Session, job_id: str, records: list[Record]) -> list[Record]:
    """Return the records of a job with those of a sealed one opened, and without what nobody can read any more.

    Errors: KeyUnavailable.
    """
    from jobledger.projections.sealed import TELEMETRY

    from ...telemetry.records import SealedRecord, decode_record

    found: list[Record | None] = []
    for record in records:
        if isinstance(record, SealedRecord):
            try:
                seal = await session.keyring.seal(job_id, record.key)
            except ErasedError:
                continue
            found.append(decode_record(seal.opened(record.data, TELEMETRY)))
        else:
            found.append(record)
    return [record for record in found if record is not None]
