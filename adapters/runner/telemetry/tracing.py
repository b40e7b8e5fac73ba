"""`context.tracer`: spans below the one of the attempt, kept with the job, and passed on to OpenTelemetry.

They are kept with or without OpenTelemetry's SDK; where that is set up, it gets them too.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, Status, StatusCode, TraceFlags

from jobledger.core.events import Error

from ...telemetry.plain import attributes as plain_attributes
from ...telemetry.plain import text
from ...telemetry.records import Happened, Spanned
from ...telemetry.telemetry import Telemetry
from ...telemetry.trace_context import SpanRef, attempt_span, parent_of_attempts
from ..assignment import Assignment
from ..failure import describe

log = logging.getLogger(__name__)

#: names our spans to OpenTelemetry
SCOPE = "jobledger"
_MAX_EVENTS = 128  # of one span


def belonging(assignment: Assignment, runner: str) -> dict[str, Any]:
    """Return what says which attempt something belongs to."""
    return {
        "jobledger.job.id": assignment.job_id,
        "jobledger.job.name": assignment.job_name,
        "jobledger.task.number": assignment.task,
        "jobledger.task.name": assignment.spec.name,
        "jobledger.task.attempt": assignment.attempt,
        "jobledger.runner": runner,
    }


class TaskTracer:
    """Opens spans below the one of the attempt."""

    def __init__(self, assignment: Assignment, telemetry: Telemetry) -> None:
        self._assignment = assignment
        self._telemetry = telemetry
        self._parent = parent_of_attempts(assignment.job_id, assignment.trace)
        self._attempt = attempt_span(assignment.job_id, assignment.task, assignment.attempt)

    def span(self, name: str, **attributes: Any) -> AbstractContextManager[Span]:
        """Return a context manager that is a span while it lasts; an exception that leaves it is recorded."""
        return trace.use_span(self._start(text(name), attributes), end_on_exit=True)

    def current_span(self) -> Span:
        """Return the innermost span that is open; one that records nothing if there is none."""
        return trace.get_current_span()

    def _start(self, name: str, attributes: dict[str, Any]) -> Span:
        within = trace.get_current_span().get_span_context()
        context = None
        if not within.is_valid:  # no span is open: it is a child of the attempt's
            within = span_context(SpanRef(self._parent.trace, self._attempt), remote=True)
            context = trace.set_span_in_context(NonRecordingSpan(within), Context())
        whose = belonging(self._assignment, self._telemetry.runner)
        exported = trace.get_tracer(SCOPE).start_span(name, context, attributes={**whose, **attributes})
        own = exported.get_span_context()
        if not own.is_valid or own.span_id == within.span_id:  # nobody exports
            own = span_context(SpanRef(within.trace_id.to_bytes(16), os.urandom(8)))
        return TaskSpan(self, name, own, within, attributes, exported)

    def keep(self, span: TaskSpan, stopped: int) -> None:
        """Have a span that ended stored with its job. Raises nothing."""
        try:
            self._keep(span, stopped)
        except Exception as error:  # noqa: BLE001  attributes are the objects of users
            log.warning("a span of a task could not be kept: %r", error)

    def _keep(self, span: TaskSpan, stopped: int) -> None:
        parent, trace_id = span.parent.span_id.to_bytes(8), span.context.trace_id.to_bytes(16)
        record = Spanned(
            span.context.span_id.to_bytes(8),
            b"" if parent == self._attempt else parent,
            span.name,
            span.started,
            stopped,
            self._assignment.task,
            self._assignment.attempt,
            span.status.status_code.value,
            text(span.status.description or ""),
            plain_attributes(span.attributes),
            span.events,
            b"" if trace_id == self._parent.trace else trace_id,
        )
        a = self._assignment
        self._telemetry.keep(a.job_id, self._parent, a.seal.record(record))


class TaskSpan(Span):
    """A span a task opened: kept when it ends, and passed on to OpenTelemetry's own all along."""

    def __init__(
        self,
        tracer: TaskTracer,
        name: str,
        context: SpanContext,
        parent: SpanContext,
        attributes: dict[str, Any],
        exported: Span,
    ) -> None:
        self.name = name
        self.context = context
        self.parent = parent
        self.attributes = attributes
        self.exported = exported  #: OpenTelemetry's; it records nothing where nobody exports
        self.events: list[Happened] = []
        self.status = Status(StatusCode.UNSET)
        self.started = time.time_ns()
        self._tracer = tracer
        self._open = True

    def end(self, end_time: int | None = None) -> None:
        if self._open:
            self._open = False
            self.exported.end(end_time)
            self._tracer.keep(self, time.time_ns() if end_time is None else end_time)

    def get_span_context(self) -> SpanContext:
        return self.context

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def set_attribute(self, key: str, value: Any) -> None:
        self.attributes[key] = value
        self.exported.set_attribute(key, value)

    def add_event(
        self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None
    ) -> None:
        at = time.time_ns() if timestamp is None else timestamp
        if len(self.events) < _MAX_EVENTS:
            self.events.append(Happened(at, text(name), plain_attributes(attributes or {})))
        self.exported.add_event(name, attributes, at)

    def add_link(self, context: SpanContext, attributes: Mapping[str, Any] | None = None) -> None:
        self.exported.add_link(context, attributes)

    def update_name(self, name: str) -> None:
        self.name = text(name)
        self.exported.update_name(name)

    def is_recording(self) -> bool:
        return self._open

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        self.status = status if isinstance(status, Status) else Status(status, description)
        self.exported.set_status(self.status)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        error = describe(exception)
        self.add_event("exception", {**told(error), **(attributes or {})}, timestamp)


def told(error: Error) -> dict[str, Any]:
    """Return an exception as OpenTelemetry's conventions have it."""
    return {
        "exception.type": error.reason,
        "exception.message": error.message,
        "exception.stacktrace": error.traceback,
    }


def span_context(ref: SpanRef, *, remote: bool = False) -> SpanContext:
    trace_id, span_id = int.from_bytes(ref.trace), int.from_bytes(ref.span)
    return SpanContext(trace_id, span_id, remote, TraceFlags(TraceFlags.SAMPLED))
