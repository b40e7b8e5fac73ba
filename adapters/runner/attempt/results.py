"""What a task returned, made ready for its report."""

from __future__ import annotations

from typing import Any

from jobledger.core.context import ExecutionContext
from jobledger.core.errors import ArgumentError
from jobledger.core.events import Value
from jobledger.core.results import encode_result, promises_result
from jobledger.core.task import Task
from jobledger.projections.sealed import of_result

from ...objects import ObjectRefused
from ..assignment import Assignment
from .values import Values


def kept(
    cls: type[Task], returned: Any, assignment: Assignment, values: Values, context: ExecutionContext
) -> Value | None:
    """Return the result of a task; what no report can hold is stored before there is a report.

    Errors: ResultError, ArgumentError or ObjectRefused for what cannot be kept, where the class promises a result. One
            that does not may have been written where results are ignored: there, they only lead to a warning.
    """
    if returned is None:
        return None
    try:
        data = assignment.seal.sealed(encode_result(cls, returned), of_result(assignment.task))
        return values.keep(assignment.job_id, data)
    except (ArgumentError, ObjectRefused) as error:
        if promises_result(cls):
            raise
        context.logger.warning(f"The result of the task is dropped: {error}")
        return None
