"""`jobledger diff`: two runs side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from . import exits
from . import output as out
from .connection import HERE, Connection
from .output import Output
from .references import JobReference, id_of
from .times import At

if TYPE_CHECKING:
    from jobledger.projections.differences import Difference, JobDiff
    from jobledger.projections.statistics import ExecutionStats

_COLUMNS = ("task", "what", "left", "right")


def diff(
    left: JobReference,
    right: JobReference,
    /,
    *,
    duration_factor: Annotated[
        float | None,
        Parameter(
            help="Tasks differ as well if one ran more than so many times as long as the other; default: times make no "
            "difference.",
            validator=Number(gte=1),
            metavar="N",
        ),
    ] = None,
    left_at: Annotated[
        At | None, Parameter(help="The left job as it was then: a position of the log, or a time.")
    ] = None,
    right_at: Annotated[At | None, Parameter(help="The same of the right job.")] = None,
    limit: Annotated[
        int, Parameter(help="Lines that a table has at most.", validator=Number(gte=1), show_default=True)
    ] = 50,
    output: Output = "table",
    server: Connection = HERE,
) -> int:
    """Compare two jobs: their tasks, outcomes, attempts, errors, results and inputs.

    Tasks are matched by name, input and order below the same parent, so that a fork can be compared with the job it comes
    from. The exit code is 0 if they are the same and 1 if they differ, as that of `diff`.
    """
    with server.client() as client:
        jobs = client.jobs()
        ids = [id_of(client, one) for one in (left, right)]
        views = [
            jobs.find(one) if at is None else jobs.find(one, at=at)
            for one, at in zip(ids, (left_at, right_at), strict=True)
        ]
        found = jobs.diff(*views, duration_factor=duration_factor)
        stats = [view.execution_stats for view in views]
    if output == "table":
        _show(found, stats, limit)
    elif output == "jsonl":
        out.rows((_row(*line) for line in _lines(found)), output)
    else:
        out.facts(_facts(found, stats), output)
    return exits.FAILED if found else 0


def _show(found: JobDiff, stats: list[ExecutionStats], limit: int) -> None:
    lines = [
        {
            "task": path,
            "what": one.what if one else "",
            "left": _text(one, 0, left),
            "right": _text(one, 1, right),
        }
        for path, left, right, one in _lines(found)
    ]
    if lines:
        out.rows(lines[:limit], "table", columns=_COLUMNS)
    if len(lines) > limit:
        out.say(f"{len(lines) - limit:,} more differences: --limit {len(lines)} shows all, -o json has them")
    elapsed, computed = ([f"{getattr(one, what).total_seconds():.3f} s" for one in stats] for what in _TIMES)
    out.say(
        f"{found.matched:,} of {found.left_tasks:,} and {found.right_tasks:,} tasks are in both; "
        f"elapsed {elapsed[0]} and {elapsed[1]}, computing {computed[0]} and {computed[1]}"
        + ("" if found else "; they are the same")
    )


_TIMES = ("elapsed_time", "compute_time")


def _lines(found: JobDiff) -> Iterator[tuple[str, int | None, int | None, Difference | None]]:
    """Yield each difference, with the task it is of; of a task that only one job has, once without any."""
    for one in found.job:
        yield "", None, None, one
    for task in found.tasks:
        for difference in task.differences or (None,):
            more = f" and {task.size - 1:,} below" if task.size > 1 else ""
            yield f"{task.path}{more}", task.left, task.right, difference


def _text(one: Difference | None, side: int, number: int | None) -> Any:
    if one is not None:
        value = (one.left, one.right)[side]
        return "none" if value is None else str(value)[:200]
    return "only here" if number is not None else ""


def _row(path: str, left: int | None, right: int | None, one: Difference | None) -> dict[str, Any]:
    row: dict[str, Any] = {"path": path, "left_task": left, "right_task": right}
    if one is None:
        return row | {"what": "only in the right job" if left is None else "only in the left job"}
    return row | {"what": one.what, "left": one.left, "right": one.right}


def _facts(found: JobDiff, stats: list[ExecutionStats]) -> dict[str, Any]:
    sides = zip((found.left, found.right), (found.left_tasks, found.right_tasks), stats, strict=True)
    left, right = (
        {"id": one, "tasks": tasks, **{what: getattr(stat, what) for what in _TIMES}}
        for one, tasks, stat in sides
    )
    return {
        "left": left,
        "right": right,
        "equal": not found,
        "matched": found.matched,
        "job": [one._asdict() for one in found.job],
        "tasks": [
            {
                "name": task.name,
                "path": task.path,
                "left": task.left,
                "right": task.right,
                "size": task.size,
                "differences": [one._asdict() for one in task.differences],
            }
            for task in found.tasks
        ],
    }
