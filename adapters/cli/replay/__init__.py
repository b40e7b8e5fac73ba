"""`jobledger replay`: stepping through the commits of a job, at a terminal by keys, elsewhere all of them as they come."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from .. import output as out
from ..connection import HERE, Connection
from ..output import Output
from ..references import JobReference, id_of
from ..times import At

if TYPE_CHECKING:
    from jobledger.projections.steps import ReplayStep


def replay(
    job: JobReference,
    /,
    *,
    since: Annotated[
        At | None, Parameter(name="--from", help="Print the commits from a position or time on.")
    ] = None,
    until: Annotated[
        At | None, Parameter(name="--to", help="Print the commits up to a position or time.")
    ] = None,
    output: Output = "table",
    server: Connection = HERE,
) -> int:
    """Step through what happened to a job, commit by commit: who did it, and which states it changed.

    At a terminal keys step forwards and backwards (→ and ←, ? shows all), and the job can be looked at as it was at each
    commit. Elsewhere, and with --from, --to or -o, the commits are printed. A job that was deleted can be replayed, too.
    """
    with server.client() as client:
        found = client.jobs().replay(id_of(client, job))
        if output == "table" and since is None and until is None and _at_terminal():
            from .screen import play

            play(found)
            return 0
        versions = found.versions(since, until)
        steps = (found.seek(version=version) for version in versions)
        out.stream(((f"{step}\n", facts_of(step)) for step in steps), output)
        if not versions:
            out.say("jobledger: no commit of this job is between these moments")
    return 0


def _at_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def facts_of(step: ReplayStep) -> dict[str, Any]:
    """Return what programs are told of a step. Ranges of tasks have both their ends."""
    return {
        "version": step.version,
        "position": step.position,
        "at": step.at,
        "writer": step.writer,
        "users": step.users,
        "runners": step.runners,
        "events": [{"event": type(entry.event).__name__, "text": entry.text} for entry in step.events],
        "job": {"before": step.old, "after": step.new},
        "tasks": [
            {
                "before": change.old,
                "after": change.new,
                "count": change.count,
                "ranges": [
                    [start, stop - 1]
                    for start, stop in zip(change.ranges[::2], change.ranges[1::2], strict=True)
                ],
            }
            for change in step.changes
        ],
    }
