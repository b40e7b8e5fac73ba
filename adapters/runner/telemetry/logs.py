"""`context.logger`: lines that belong to one attempt.

A program that configured structlog gets its own configuration. Otherwise lines go to stdout as `message key=value`,
without touching structlog's or logging's global settings: the runner is a guest in the user's process. Either way, what
is logged is also kept with the job (see `kept_lines`).
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, MutableMapping
from functools import cache
from typing import Any, cast

import structlog
from structlog.processors import format_exc_info
from structlog.typing import Processor

from jobledger.core.context import Logger

#: shown from warnings up only: a line that is part of the normal course is about what the task says
_IDS = ("job_id", "task_id", "attempt")
#: for other programs to find a line by: people are not shown them
_TRACE_IDS = ("trace_id", "span_id")
#: key of a line's level, beside the user's own attributes
LEVEL = "level "


def task_logger(level: int, keep: Processor | None = None, **ids: Any) -> Logger:
    """Return a logger whose lines carry these ids, and which prints those of `level` and above.

    Shape:  `keep` is given each line that is printed, before any of the program's own processors.
    """
    first = [] if keep is None else [keep]
    if structlog.is_configured():
        processors = [*first, *structlog.get_config()["processors"]]
        logger = structlog.wrap_logger(None, processors, logger_factory_args=("jobledger.task",))
        return cast(Logger, logger.bind(**ids))
    processors = [structlog.contextvars.merge_contextvars, *first, format_exc_info, _render]
    return cast(Logger, _logger_class(level)(_Stdout(), processors, ids))


class TaskLogger(structlog.BoundLoggerBase):
    """A logger in which nothing raises: a line that cannot be written as meant is written as it can be."""

    least = logging.INFO  #: no line below this level is printed

    def log(self, level: int, message: object, /, *args: Any, **attributes: Any) -> None:
        if level < self.least:
            return
        attributes[LEVEL] = level
        text = message_text(message, args)
        if "event" in attributes:  # structlog's own name for the message
            attributes["event_"] = attributes.pop("event")
        line, _ = self._process_event("msg", text, attributes)
        self._logger.msg(*line)

    def debug(self, message: object, /, *args: Any, **attributes: Any) -> None:
        self.log(logging.DEBUG, message, *args, **attributes)

    def info(self, message: object, /, *args: Any, **attributes: Any) -> None:
        self.log(logging.INFO, message, *args, **attributes)

    def warning(self, message: object, /, *args: Any, **attributes: Any) -> None:
        self.log(logging.WARNING, message, *args, **attributes)

    warn = warning

    def error(self, message: object, /, *args: Any, **attributes: Any) -> None:
        self.log(logging.ERROR, message, *args, **attributes)

    def exception(self, message: object, /, *args: Any, **attributes: Any) -> None:
        attributes.setdefault("exc_info", True)
        self.log(logging.ERROR, message, *args, **attributes)

    def critical(self, message: object, /, *args: Any, **attributes: Any) -> None:
        self.log(logging.CRITICAL, message, *args, **attributes)

    fatal = critical


@cache
def _logger_class(level: int) -> type[TaskLogger]:
    """Return the logger of one level: a class, so that what `bind` returns has the level too."""
    return type("TaskLogger", (TaskLogger,), {"least": level})


class _Stdout:
    """Writes to whatever is stdout at the time; losing a line is better than failing a task over it."""

    def msg(self, line: str) -> None:
        stream = sys.stdout
        try:
            try:
                stream.write(line + "\n")
            except UnicodeEncodeError:
                encoding = getattr(stream, "encoding", None) or "ascii"
                stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
            stream.flush()
        except (OSError, ValueError, AttributeError):  # closed, a broken pipe, or none at all
            pass


def message_text(message: object, args: tuple[Any, ...]) -> str:
    try:
        text = str(message)
    except Exception:  # noqa: BLE001  the objects of users may raise anything
        return f"<{type(message).__name__}, of which str() raises>"
    try:
        return text % args if args else text
    except Exception:  # noqa: BLE001  as above
        return text + "".join(f" {_shown(arg)}" for arg in args)


def _render(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
    level = event.pop(LEVEL)
    message = event.pop("event")
    exception = event.pop("exception", None)
    ids = {key: event.pop(key) for key in _IDS if key in event}
    for key in _TRACE_IDS:
        event.pop(key, None)
    if level >= logging.WARNING:
        event.update(ids)
    prefix = "" if level == logging.INFO else f"{logging.getLevelName(level)}: "
    line = prefix + message + "".join(f" {key}={_shown(value)}" for key, value in event.items())
    return line if exception is None else f"{line}\n{exception}"


def _shown(value: object) -> str:
    show: Callable[[Any], str] = _quoted if isinstance(value, str) else repr
    try:
        return show(value)
    except Exception:  # noqa: BLE001  as above
        return f"<{type(value).__name__}>"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
