"""Looking at jobs: list, show, tasks, history, result, diagram."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from jobledger.core.errors import ArgumentError

from .. import output as out
from ..connection import HERE, Connection
from ..output import Output
from ..references import JobReference, job_as_of
from ..selection import NOTHING_SELECTED, Selected, TaskStates, states_from
from ..times import AsOf
from .facts import facts_of, row_of, task_facts

Limit = Annotated[
    int,
    Parameter(
        name=["--limit", "-n"],
        help="How many to show at most; 0: all.",
        show_default=True,
        validator=Number(gte=0),
        metavar="N",
    ),
]

_JOB_COLUMNS = ("id", "state", "name", "percent", "submitted_at", "error", "tasks", "labels")
_TASK_COLUMNS = ("task", "state", "display", "attempt", "waiting", "error", "started_at", "parent")


def list_(
    *,
    selected: Selected = NOTHING_SELECTED,
    limit: Limit = 50,
    at: AsOf = None,
    output: Output = "table",
    server: Connection = HERE,
) -> int:
    """List jobs, the newest first; those of a moment of the past, with --at."""
    with server.client() as client:
        found = client.jobs().rows(**selected.criteria, limit=limit + 1 if limit else None, at=at)
        shown = found[:limit] if limit else found
        out.rows([row_of(job, output) for job in shown], output, columns=_JOB_COLUMNS)
        _say_more(len(found) > len(shown))
    return 0


def show(
    job: JobReference,
    /,
    *,
    at: AsOf = None,
    output: Output = "table",
    server: Connection = HERE,
) -> int:
    """Show how a job stands, since when, and why it failed if it did."""
    from ...client.history.past import PastJob

    with server.client() as client:
        found = job_as_of(client, job, at)
        facts, error = facts_of(found), found.error
        if isinstance(found, PastJob):
            facts |= {"as_of": found.as_of, "position": found.position, "version": found.version}
        if output == "table" and error is not None:
            facts |= {
                "error": str(error),
                "failed_task": error.task_id,
                "traceback": error.traceback.rstrip(),
            }
        out.facts(facts, output)
    return 0


def tasks(
    job: JobReference,
    /,
    *,
    state: Annotated[TaskStates, Parameter(help="Only tasks that stand there; may be repeated.")] = None,
    name: Annotated[str | None, Parameter(help="Only tasks of the class of this name.")] = None,
    limit: Limit = 100,
    at: AsOf = None,
    output: Output = "table",
    server: Connection = HERE,
) -> int:
    """List the tasks of a job in order of submission, and why each one waits."""
    from jobledger.core.lifecycle import TaskState

    with server.client() as client:
        chosen = job_as_of(client, job, at).tasks
        if state or name:
            chosen = chosen.filter(states_from(TaskState, state) or None, name)
        shown = chosen[:limit] if limit else chosen
        out.rows((task_facts(one, output) for one in shown), output, columns=_TASK_COLUMNS)
        _say_more(len(chosen) > len(shown), len(chosen))
    return 0


def history(
    job: JobReference,
    /,
    *,
    at: AsOf = None,
    output: Output = "table",
    server: Connection = HERE,
) -> int:
    """Print everything that happened to a job, as the log has it."""
    with server.client() as client:
        entries = job_as_of(client, job, at).history
        out.stream(
            (
                (
                    str(entry),
                    {
                        "at": entry.at,
                        "position": entry.position,
                        "version": entry.version,
                        "index": entry.index,
                        "event": type(entry.event).__name__,
                        "text": entry.text,
                    },
                )
                for entry in entries
            ),
            output,
        )
    return 0


def result(job: JobReference, /, *, at: AsOf = None, server: Connection = HERE) -> int:
    """Print what the root task of a job returned, as JSON.

    A list of what each returned where there are several; null where it returned nothing, or has not yet.
    """
    with server.client() as client:
        out.value(job_as_of(client, job, at).result)
    return 0


def diagram(
    job: JobReference,
    /,
    *,
    to: Annotated[
        Path | None,
        Parameter(
            name=["--to", "-t"],
            help="File for SVG, - for stdout; default: a tree of text.",
            allow_leading_hyphen=True,
        ),
    ] = None,
    direction: Annotated[
        Literal["down", "up", "left", "right"],
        Parameter(help="Where the SVG's tree grows.", show_default=True),
    ] = "down",
    theme: Annotated[
        Literal["auto", "light", "dark"], Parameter(help="Colours of the SVG.", show_default=True)
    ] = "auto",
    at: AsOf = None,
    server: Connection = HERE,
) -> int:
    """Draw the tasks of a job: as a tree of text, or as SVG to a file."""
    with server.client() as client:
        found = job_as_of(client, job, at)
        if to is None:
            client.jobs().display(found)
            return 0
        svg = client.jobs().visualize(found, direction=direction, theme=theme)
    if str(to) == "-":
        out.text(svg)
        return 0
    try:
        to.write_text(svg, encoding="utf-8")
    except OSError as error:
        raise ArgumentError(
            f"--to {to}: cannot be written ({error.strerror}): name a file in a folder that is there"
        ) from error
    out.say(f"jobledger: written to {to}")
    return 0


def _say_more(more: bool, of: int | None = None) -> None:
    if more:
        out.say(
            f"jobledger: there are more{f', {of:,} in all' if of else ''}: --limit N shows more, --limit 0 all"
        )
