"""What is checked before any process is started, and what each is told when it is."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Sequence
from typing import Any

from jobledger.core.errors import ArgumentError
from jobledger.core.task import TaskClass

from ..attempt.context import Equipment
from .importing import main_of, name_of
from .messages import SetUp


def check(tasks: Sequence[TaskClass], context: type[Any] | Any | None) -> None:
    """Errors: ArgumentError saying what worker processes could not use."""
    if os.name != "posix":
        raise ArgumentError('pool="processes" needs Linux or macOS: leave it out')
    if context is not None and not inspect.isclass(context):
        raise ArgumentError(
            f'context={context!r:.100} is an object of this process: with pool="processes" pass its class, of which each '
            "worker process makes one"
        )
    main_of(_names(tasks, context))


def set_up(equipment: Equipment, tasks: Sequence[TaskClass]) -> SetUp:
    """Return what a process of a runner with this equipment is told first, where `runner_context` is a class."""
    context = equipment.runner_context
    names = _names(tasks, context)
    return SetUp(
        list(sys.argv),
        main_of(names),
        names[: len(tasks)],
        names[-1] if context is not None else "",
        equipment.cluster,
        equipment.log_level,
        equipment.max_report,
        equipment.telemetry.runner,
    )


def _names(tasks: Sequence[TaskClass], context: type[Any] | None) -> list[str]:
    names = [name_of(cls, "the task") for cls in tasks]
    return names if context is None else [*names, name_of(context, "the context")]
