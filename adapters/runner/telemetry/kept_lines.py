"""What tasks log, kept with the job: the first of structlog's processors sees each line as the task meant it."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping, MutableMapping
from typing import Any

from ...telemetry.plain import attributes, text
from ...telemetry.records import Line
from ...telemetry.telemetry import Telemetry
from ...telemetry.trace_context import SpanRef, attempt_span, parent_of_attempts
from ..assignment import Assignment
from ..failure import bounded, describe
from .logs import LEVEL, message_text

log = logging.getLogger(__name__)

_MAX_BODY = 16 * 1024  # bytes of a message
_MAX_TRACEBACK = 16 * 1024  # bytes
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "msg": logging.INFO,
    "warning": logging.WARNING,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "err": logging.ERROR,
    "exception": logging.ERROR,
    "failure": logging.ERROR,
    "critical": logging.CRITICAL,
    "fatal": logging.CRITICAL,
}
#: what is stored in a place of its own, or says nothing about the line
_APART = {"event", LEVEL, "exc_info", "stack_info", "positional_args"}


class LineKeeper:
    """Keeps the lines of one attempt, and gives each the ids of the trace and of the span it belongs to."""

    def __init__(self, assignment: Assignment, telemetry: Telemetry, ids: Mapping[str, Any]) -> None:
        """`ids` are bound to every line, and need not be kept with each."""
        self._assignment = assignment
        self._telemetry = telemetry
        self._parent = parent_of_attempts(assignment.job_id, assignment.trace)
        self._ids = ids
        self._own = SpanRef(
            self._parent.trace, attempt_span(assignment.job_id, assignment.task, assignment.attempt)
        )

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Keep this line and return it. Raises nothing."""
        try:
            within = self._span()
            self._keep(method, event, within)
            event["trace_id"], event["span_id"] = within.trace.hex(), within.span.hex()
        except Exception as error:  # noqa: BLE001  attributes are the objects of users
            log.warning("a line that a task logged could not be kept: %r", error)
        return event

    def _span(self) -> SpanRef:
        """Return the innermost span that is open, which is the attempt's if the task has opened none."""
        api: Any = sys.modules.get("opentelemetry.trace")  # who has not loaded it has no span
        if api is not None:
            context = api.get_current_span().get_span_context()
            if context.is_valid:
                return SpanRef(context.trace_id.to_bytes(16), context.span_id.to_bytes(8))
        return self._own

    def _keep(self, method: str, event: MutableMapping[str, Any], within: SpanRef) -> None:
        a = self._assignment
        line = Line(
            time.time_ns(),
            event[LEVEL] if LEVEL in event else _LEVELS.get(method, logging.INFO),
            bounded(message_text(event.get("event", ""), event.get("positional_args", ())), _MAX_BODY),
            a.task,
            a.attempt,
            attributes({key: value for key, value in event.items() if not self._apart(key, value)}),
            b"" if within.span == self._own.span else within.span,
            b"" if within.trace == self._own.trace else within.trace,
        )
        error = _exception(event.get("exc_info"))
        if error is not None:
            said = describe(error)
            line.attributes["exception.type"] = said.reason
            line.attributes["exception.message"] = text(said.message)
            line.attributes["exception.stacktrace"] = bounded(said.traceback, _MAX_TRACEBACK)
        self._telemetry.keep(a.job_id, self._parent, a.seal.record(line))
        exports = self._telemetry.exports
        if exports.logs or "opentelemetry.trace" in sys.modules:
            from .exported_lines import add_to_span, export

            add_to_span(line)
            if exports.logs:
                export(line, within, a, self._telemetry.runner)

    def _apart(self, key: str, value: Any) -> bool:
        return key in _APART or (key in self._ids and value is self._ids[key])


def _exception(exc_info: Any) -> BaseException | None:
    if isinstance(exc_info, tuple):
        exc_info = exc_info[1]
    elif exc_info and not isinstance(exc_info, BaseException):
        exc_info = sys.exc_info()[1]
    return exc_info if isinstance(exc_info, BaseException) else None
