"""A row as columns of a table, and back: the same in every database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from jobledger.projections.jobs import JobRow
from jobledger.projections.jobs.filters import facets_of, fold_case

#: in the order of the fields of `JobRow`
FIELDS = (
    "place",
    "id",
    "name",
    "state",
    "settled",
    "counts",
    "submitted",
    "started",
    "finished",
    "updated",
    "position",
    "version",
    "percent",
    "indicators",
    "clusters",
    "labels",
    "root_tasks",
    "task_names",
    "reason",
    "message",
    "on_failure",
    "submitted_by",
    "idempotency_key",
    "failed_task",
)
#: what only finding needs: the name as it is compared, and all facets
FINDING = ("folded_name", "facets")
COLUMNS = FIELDS + FINDING
#: those that hold JSON
NESTED = frozenset({"counts", "indicators", "clusters", "labels", "root_tasks", "task_names"})
#: those that stay as they were when the job was submitted
FIXED = frozenset(
    {
        "place",
        "id",
        "name",
        "submitted",
        "labels",
        "root_tasks",
        "submitted_by",
        "idempotency_key",
        "folded_name",
    }
)


def values_of(row: JobRow) -> list[Any]:
    """Return the values of COLUMNS; lists and dictionaries are as they are."""
    values: list[Any] = list(msgspec.structs.astuple(row))
    values[3] = row.state.value
    values += (fold_case(row.name), facets_of(row))
    return values


def row_of(values: Sequence[Any]) -> JobRow:
    """Return the row of these values of FIELDS."""
    return msgspec.convert(list(values), JobRow, strict=False)
