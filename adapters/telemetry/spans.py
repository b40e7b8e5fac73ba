"""The spans of a job as users read them: those that tasks opened, and those that its log tells of.

The job and its attempts were never stored as spans. When they ran, and how they ended, is in the job's log; their ids
are known to everyone (see `trace_context`), so that what is stored refers to them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from jobledger.core.lifecycle import JobState
from jobledger.projections.attempts import Attempt, AttemptOutcome
from jobledger.projections.job_view import JobView
from jobledger.projections.tasks import Tasks, TaskView
from jobledger.projections.utc import stamp, utc

from .found import Found
from .records import AttemptSpan, Happened, Line, Spanned
from .trace_context import attempt_span, own_root, parent_of_attempts

if TYPE_CHECKING:
    from .store import Stored

UNSET, OK, ERROR = "UNSET", "OK", "ERROR"
_STATUS = (UNSET, OK, ERROR)
_OUTCOMES = {
    AttemptOutcome.COMPUTED: OK,
    AttemptOutcome.REUSED: OK,
    AttemptOutcome.FAILED: ERROR,
    AttemptOutcome.EXPIRED: ERROR,
}
_JOBS = {JobState.COMPLETED: OK, JobState.FAILED: ERROR}


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something at one moment of a span: a line that was logged in it, an exception, or what the task noted.

    >>> class Load(Task):
    ...     def execute(self, context: ExecutionContext) -> None:
    ...         with context.tracer.span("download") as download:
    ...             download.add_event("connected", {"host": "example.org"})
    >>> job = client.jobs().submit("loading", Load())
    >>> client.runner(tasks=[Load]).run_all()
    >>> client.jobs().query_spans(job, name="download")[0].events
    (SpanEvent(time=datetime.datetime(...), name='connected', attributes={'host': 'example.org'}),)
    """

    time: datetime  #: aware UTC
    name: str  #: of a line, its message
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time of a job: the job itself, an attempt of a task, or what a task opened. Times are aware UTC.

    >>> span = client.jobs().query_spans(job)[1]
    >>> print(span)
    2...Z  ... s  task/Greet OK
    >>> span
    Span(name='task/Greet', span_id='...', parent_id='...', trace_id='...', start=datetime.datetime(...),
    end=datetime.datetime(...), status='OK', status_message='', task=0, attempt=1, runner='...', attributes={...}, events=())
    """

    name: str  #: "job/<name>", "task/<name>", or as the task called it
    span_id: str  #: 16 hexadecimal digits
    parent_id: str | None
    trace_id: str  #: 32 of them
    start: datetime
    end: datetime | None  #: None while it lasts
    status: str  #: "UNSET", "OK" or "ERROR"
    status_message: str
    task: int | None  #: number of the task in its job; None for the job
    attempt: int | None
    runner: str
    attributes: dict[str, Any]
    events: tuple[SpanEvent, ...]

    @property
    def duration(self) -> timedelta | None:
        """How long it lasted; None while it does.

        >>> whole, attempt = client.jobs().query_spans(job)
        >>> attempt.duration <= whole.duration
        True
        """
        return None if self.end is None else self.end - self.start

    def __str__(self) -> str:
        lasted = "…" if self.duration is None else f"{self.duration.total_seconds():.3f} s"
        said = f" {self.status_message}" if self.status_message else ""
        return f"{stamp(self.start)}  {lasted:>10}  {self.name} {self.status}{said}"


class Spans(Found[Span]):
    """Spans of a job, in the order in which they began, the job first: index, slice, iterate, print, or `to_pandas()`.

    `dropped` is how many lines and spans of the job were lost before they could be stored.

    >>> spans = client.jobs().query_spans(job)
    >>> [span.name for span in spans], spans.dropped
    (['job/greetings', 'task/Greet'], 0)
    >>> spans.columns
    ('start', 'end', 'duration', 'name', 'status', 'status_message', 'task', 'attempt', 'runner', 'span_id', 'parent_id',
    'trace_id', 'attributes', 'events')
    """

    columns = (
        "start",
        "end",
        "duration",
        "name",
        "status",
        "status_message",
        "task",
        "attempt",
        "runner",
        "span_id",
        "parent_id",
        "trace_id",
        "attributes",
        "events",
    )
    _times = ("start", "end")


class JobSpans:
    """Puts together the spans of one job, from its view and from what is stored."""

    def __init__(self, view: JobView, stored: Iterable[Stored]) -> None:
        job = view.job
        self._view = view
        self._parent = parent_of_attempts(job.id, job.options.trace)
        self._opened: list[tuple[str, Spanned]] = []  #: with their runners
        self._own: dict[tuple[int, int], bytes] = {}  #: ids of attempts that are not those known to everyone
        self._lines: dict[tuple[int, int, bytes], list[Line]] = {}  #: by attempt and span
        self.dropped = 0
        for batch in stored:
            self._take(batch)

    def _take(self, stored: Stored) -> None:
        self.dropped += stored.batch.dropped
        for record in stored.records:
            if isinstance(record, Line):
                key = (record.task, record.attempt, record.span)
                self._lines.setdefault(key, []).append(record)
            elif isinstance(record, Spanned):
                self._opened.append((stored.batch.runner, record))
            elif isinstance(record, AttemptSpan):
                self._own[record.task, record.attempt] = record.id

    def all(self, task: int | None = None) -> list[Span]:
        """Return all spans, or those of one task, in the order in which they began."""
        found = [] if task is not None else [self._job()]
        tasks: Tasks = self._view.tasks
        found += self._attempts(tasks if task is None else tasks[task : task + 1])
        found += (self._of(runner, one) for runner, one in self._opened if task is None or one.task == task)
        found.sort(key=lambda span: (span.task is not None, span.start))
        return found

    def _job(self) -> Span:
        view, job = self._view, self._view.job
        root = own_root(job.id)
        above = None if root == self._parent else self._parent.span.hex()
        return Span(
            f"job/{job.name}",
            root.span.hex(),
            above,
            self._parent.trace.hex(),
            view.submitted_at,
            view.settled_at,
            _JOBS.get(JobState(job.state), UNSET) if job.settled else UNSET,
            str(view.error or ""),
            None,
            None,
            "",
            {"jobledger.job.id": job.id, "jobledger.job.name": job.name},
            (),
        )

    def _attempts(self, tasks: Iterable[TaskView]) -> Iterator[Span]:
        for task in tasks:
            if self._view.taken(task.number):
                continue  # it ran in the job that this one was forked from, whose spans have it
            for attempt in task.attempts:
                # What is not known to have begun is shown only where it may have: it runs, or was lost.
                start = attempt.started_at
                if start is None and attempt.outcome in (AttemptOutcome.RUNNING, AttemptOutcome.EXPIRED):
                    start = attempt.claimed_at
                if start is not None:
                    yield self._attempt(task, attempt, start)

    def _attempt(self, task: TaskView, attempt: Attempt, start: datetime) -> Span:
        job = self._view.job
        number = task.number
        own = self._own.get((number, attempt.number))
        events = self._events(number, attempt.number, own or b"", ())
        if own:
            events += self._events(number, attempt.number, b"", ())
        if attempt.error is not None:
            said = {
                "exception.type": attempt.error.reason,
                "exception.message": attempt.error.message,
                "exception.stacktrace": attempt.error.traceback,
            }
            events += (SpanEvent(attempt.stopped_at or start, "exception", said),)
        attributes = {
            "jobledger.job.id": job.id,
            "jobledger.job.name": job.name,
            "jobledger.task.number": number,
            "jobledger.task.name": task.name,
            "jobledger.task.attempt": attempt.number,
            "jobledger.runner": attempt.runner,
            "jobledger.outcome": attempt.outcome.value,
        }
        error = attempt.error
        return Span(
            f"task/{task.name}",
            (own or attempt_span(job.id, number, attempt.number)).hex(),
            self._parent.span.hex(),
            self._parent.trace.hex(),
            start,
            None if attempt.outcome is AttemptOutcome.RUNNING else attempt.stopped_at,
            _OUTCOMES.get(attempt.outcome, UNSET),
            attempt.reason if error is None else f"{error.reason}: {error.message}",
            number,
            attempt.number,
            attempt.runner,
            attributes,
            events,
        )

    def _of(self, runner: str, one: Spanned) -> Span:
        own = self._own.get((one.task, one.attempt)) or attempt_span(self._view.job.id, one.task, one.attempt)
        return Span(
            one.name,
            one.id.hex(),
            (one.parent or own).hex(),
            (one.trace or self._parent.trace).hex(),
            utc(one.started // 1000),
            utc(one.stopped // 1000),
            _STATUS[one.status] if 0 <= one.status < len(_STATUS) else UNSET,
            one.message,
            one.task,
            one.attempt,
            runner,
            one.attributes,
            self._events(one.task, one.attempt, one.id, one.events),
        )

    def _events(
        self, task: int, attempt: int, span: bytes, noted: Iterable[Happened]
    ) -> tuple[SpanEvent, ...]:
        """Return the lines logged in a span and what was noted in it, in order."""
        lines = self._lines.get((task, attempt, span), ())
        events = [(one.at, one.name, one.attributes) for one in noted]
        for line in lines:
            level = {"log.severity": logging.getLevelName(line.level)}
            events.append((line.at, line.body, {**level, **line.attributes}))
        events.sort(key=lambda event: event[0])
        return tuple(SpanEvent(utc(at // 1000), name, attributes) for at, name, attributes in events)
