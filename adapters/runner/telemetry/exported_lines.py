"""What tasks log, for OpenTelemetry: as events of spans, and as its log records."""

from __future__ import annotations

import logging
from typing import Any

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber, get_logger
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan

from ...telemetry.records import Line
from ...telemetry.trace_context import SpanRef
from ..assignment import Assignment
from .tracing import SCOPE, TaskSpan, belonging, span_context

_SEVERITIES = (
    (logging.CRITICAL, SeverityNumber.FATAL),
    (logging.ERROR, SeverityNumber.ERROR),
    (logging.WARNING, SeverityNumber.WARN),
    (logging.INFO, SeverityNumber.INFO),
    (logging.NOTSET, SeverityNumber.DEBUG),
)


def add_to_span(line: Line) -> None:
    """Make the line an event of the span that is open. Those kept with the job find their lines by its id."""
    span = trace.get_current_span()
    if isinstance(span, TaskSpan):
        span = span.exported
    if span.is_recording():
        span.add_event(line.body, _flat(line.attributes), line.at)


def export(line: Line, within: SpanRef, assignment: Assignment, runner: str) -> None:
    """Hand the line to OpenTelemetry's log exporters."""
    get_logger(SCOPE).emit(
        LogRecord(
            timestamp=line.at,
            context=trace.set_span_in_context(NonRecordingSpan(span_context(within)), Context()),
            severity_number=next(number for level, number in _SEVERITIES if line.level >= level),
            severity_text=logging.getLevelName(line.level),
            body=line.body,
            attributes={**belonging(assignment, runner), **_flat(line.attributes)},
        )
    )


def _flat(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return attributes as every exporter takes them: a collection or nothing becomes text."""
    return {
        key: value if isinstance(value, str | bool | int | float) else str(value)
        for key, value in attributes.items()
    }
