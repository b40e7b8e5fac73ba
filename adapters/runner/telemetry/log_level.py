"""From which level on the lines of tasks are printed. Apart from `logs`, which takes structlog, and that 50 ms to load."""

from __future__ import annotations

import logging
import os

from jobledger.core.errors import ArgumentError

LEVEL_VARIABLE = "JOBLEDGER_LOG_LEVEL"


def log_level(variable: str | None = None) -> int:
    """Return the level from which lines are printed: of the environment variable, or INFO.

    Errors: ArgumentError if the variable names no level.
    """
    value = os.environ.get(LEVEL_VARIABLE, "") if variable is None else variable
    if not value.strip():
        return logging.INFO
    level = logging.getLevelName(value.strip().upper())
    if isinstance(level, int):
        return level
    if value.strip().isdecimal():
        return int(value)
    raise ArgumentError(
        f"{LEVEL_VARIABLE}={value!r} names no log level: use DEBUG, INFO, WARNING, ERROR or CRITICAL"
    )
