"""`context.tracer`: OpenTelemetry spans of one attempt. Without a configured provider they cost next to nothing."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span

from .assignment import Assignment


class TaskTracer:
    """Opens spans that say which attempt they belong to."""

    def __init__(self, assignment: Assignment) -> None:
        self._attributes: dict[str, Any] = {
            "jobledger.job.id": assignment.job_id,
            "jobledger.job.name": assignment.job_name,
            "jobledger.task.number": assignment.task,
            "jobledger.task.name": assignment.spec.name,
            "jobledger.task.attempt": assignment.attempt,
        }

    def span(self, name: str, **attributes: Any) -> AbstractContextManager[Span]:
        """Return a context manager that is a span while it lasts; an exception that leaves it is recorded."""
        tracer = trace.get_tracer("jobledger")
        return tracer.start_as_current_span(name, attributes={**self._attributes, **attributes})

    def current_span(self) -> Span:
        """Return the innermost span that is open; one that records nothing if there is none."""
        return trace.get_current_span()
