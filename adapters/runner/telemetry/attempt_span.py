"""The span that an attempt is, for OpenTelemetry where that is set up.

Only there is it made at all: whoever asks for the spans of a job is told by its log when its attempts ran, and how they
ended, so that a task which neither logs nor traces costs nothing here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import NonRecordingSpan, Span, StatusCode

from jobledger.core.commands import Report, ReportComputed, ReportFailed, ReportReused

from ...telemetry import chosen_ids
from ...telemetry.records import AttemptSpan
from ...telemetry.telemetry import Telemetry
from ...telemetry.trace_context import SpanRef, attempt_span, own_root, parent_of_attempts
from ..assignment import Assignment
from .tracing import SCOPE, belonging, span_context, told

log = logging.getLogger(__name__)

_decode_report = msgspec.msgpack.Decoder(Report).decode


@contextmanager
def attempt_as_span(assignment: Assignment, telemetry: Telemetry) -> Iterator[None]:
    """Be the span of this attempt, for OpenTelemetry, while it runs. What goes wrong with that is logged."""
    span: Span = trace.INVALID_SPAN
    with _harmless():
        span = _start(assignment, telemetry)
    token = attach(trace.set_span_in_context(span))
    try:
        yield
    finally:
        detach(token)
        with _harmless():
            _end(span, assignment)


@contextmanager
def _harmless() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001  of exporters and samplers that are not ours
        log.warning("OpenTelemetry failed on the span of an attempt: %r", error)


def _start(assignment: Assignment, telemetry: Telemetry) -> Span:
    a = assignment
    parent = parent_of_attempts(a.job_id, a.trace)
    ref = SpanRef(parent.trace, attempt_span(a.job_id, a.task, a.attempt))
    tracer = trace.get_tracer(SCOPE)
    if chosen_ids.honoured and a.task == 0 and a.attempt == 1 and parent == own_root(a.job_id):
        _root(tracer, a, parent)
    within = trace.set_span_in_context(NonRecordingSpan(span_context(parent, remote=True)), Context())
    with chosen_ids.chosen(ref):
        span = tracer.start_span(f"task/{a.spec.name}", within, attributes=belonging(a, telemetry.runner))
    own = span.get_span_context().span_id.to_bytes(8)
    if own != ref.span:
        telemetry.keep(a.job_id, parent, AttemptSpan(a.task, a.attempt, own))
    return span


def _root(tracer: trace.Tracer, assignment: Assignment, root: SpanRef) -> None:
    """Give a trace that is the job's own a root that bears the job's name: collectors list traces by it.

    It is a moment only: who sees the job begin does not see it end.
    """
    with chosen_ids.chosen(root):
        attributes = {"jobledger.job.id": assignment.job_id, "jobledger.job.name": assignment.job_name}
        tracer.start_span(f"job/{assignment.job_name}", Context(), attributes=attributes).end()


def _end(span: Span, assignment: Assignment) -> None:
    """End the span, saying how the attempt ended."""
    report = _decode_report(assignment.reports[-1]) if assignment.reports else None
    if isinstance(report, ReportComputed | ReportReused):
        span.set_status(StatusCode.OK)
    elif isinstance(report, ReportFailed):
        span.add_event("exception", told(report.error))
        span.set_status(StatusCode.ERROR, f"{report.error.reason}: {report.error.message}")
    span.end()
