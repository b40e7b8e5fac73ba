"""The lines of a job as users read them, and which of them are asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from jobledger.projections.utc import stamp, utc

from .found import Found
from .records import AttemptSpan, Line
from .trace_context import attempt_span

if TYPE_CHECKING:
    from .store import Stored


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One line that a task logged. `str(record)` is it with time, level and task, and the traceback of an exception.

    >>> class Load(Task):
    ...     def execute(self, context: ExecutionContext) -> None:
    ...         context.logger.info("loaded %s rows", 3, table="orders")
    >>> job = client.jobs().submit("loading", Load())
    >>> client.runner(tasks=[Load]).run_all()
    loaded 3 rows table="orders"
    >>> line = client.jobs().query_logs(job)[0]
    >>> print(line)
    2...Z  INFO      task 0: loaded 3 rows table='orders'
    >>> line
    LogRecord(time=datetime.datetime(...), severity='INFO', body='loaded 3 rows', task=0, attempt=1, runner='...',
    trace_id='...', span_id='...', attributes={'table': 'orders'}, level=20)
    """

    time: datetime  #: aware UTC, by the runner's clock
    severity: str  #: "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"
    body: str
    task: int  #: number of the task in its job
    attempt: int
    runner: str
    trace_id: str  #: 32 hexadecimal digits: that of the job
    span_id: str  #: 16 of them: the innermost span that was open; the attempt's if the task opened none
    attributes: dict[str, Any]
    level: int  #: the severity as `logging` numbers it

    def __str__(self) -> str:
        said = {key: value for key, value in self.attributes.items() if not key.startswith("exception.")}
        line = f"{stamp(self.time)}  {self.severity:<8}  task {self.task}: {self.body}"
        line += "".join(f" {key}={value!r}" for key, value in said.items())
        trace = self.attributes.get("exception.stacktrace")
        return f"{line}\n{str(trace).rstrip()}" if trace else line


class LogRecords(Found[LogRecord]):
    """Lines of a job, oldest first: index, slice, iterate, print, or `to_pandas()`.

    `dropped` is how many lines and spans of the job were lost before they could be stored.

    >>> lines = client.jobs().query_logs(job)
    >>> [line.body for line in lines if line.severity == "ERROR"], lines.dropped
    ([], 0)
    >>> lines.columns
    ('time', 'severity', 'body', 'task', 'attempt', 'runner', 'trace_id', 'span_id', 'attributes')
    """

    columns = (
        "time",
        "severity",
        "body",
        "task",
        "attempt",
        "runner",
        "trace_id",
        "span_id",
        "attributes",
    )
    _times = ("time",)


class Wanted(NamedTuple):
    """Which lines are asked for. Times are nanoseconds since 1970 UTC, `since` itself among them."""

    task: int | None = None
    level: int = 0
    since: int = 0
    until: int = 2**63
    text: str = ""  #: casefolded, to be in the line's message

    def takes(self, line: Line) -> bool:
        return (
            line.level >= self.level
            and self.since <= line.at < self.until
            and (self.task is None or line.task == self.task)
            and (not self.text or self.text in line.body.casefold())
        )


class Lines:
    """Makes the lines of one job from the batches it is given, in the order they were stored."""

    def __init__(self, job_id: str, wanted: Wanted) -> None:
        self._job_id = job_id
        self._wanted = wanted
        self._own: dict[tuple[int, int], str] = {}  #: ids of attempts as spans
        self.dropped = 0

    def of(self, stored: Stored) -> list[tuple[int, LogRecord]]:
        """Return those of a batch that are wanted, each with its time in ns."""
        batch = stored.batch
        self.dropped += batch.dropped
        found = []
        for record in stored.records:
            if isinstance(record, AttemptSpan):
                self._own[record.task, record.attempt] = record.id.hex()
            elif isinstance(record, Line) and self._wanted.takes(record):
                found.append((record.at, self._made(record, batch.trace, batch.runner)))
        return found

    def _made(self, line: Line, trace: bytes, runner: str) -> LogRecord:
        return LogRecord(
            utc(line.at // 1000),
            logging.getLevelName(line.level),
            line.body,
            line.task,
            line.attempt,
            runner,
            (line.trace or trace).hex(),
            line.span.hex() or self._attempt(line.task, line.attempt),
            line.attributes,
            line.level,
        )

    def _attempt(self, task: int, attempt: int) -> str:
        """Return the id of the span that an attempt is."""
        key = (task, attempt)
        found = self._own.get(key)
        if found is None:
            found = self._own[key] = attempt_span(self._job_id, task, attempt).hex()
        return found


def in_order(lines: Iterable[tuple[int, LogRecord]]) -> list[LogRecord]:
    """Return lines of several runners as one history: by time, and as they were stored where that is the same."""
    return [record for _, record in sorted(lines, key=lambda line: line[0])]
