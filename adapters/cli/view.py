"""`jobledger view`: what projectors keep across jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from jobledger.core.errors import ServerUnavailable

from . import exits
from . import output as out
from .connection import HERE, Connection
from .output import Output
from .times import Seconds

if TYPE_CHECKING:
    from ..views.protocol import ViewStatus

app = App(name="view", help="What projectors keep across jobs: how far it is, and to make it anew.")


@app.command
def status(*, output: Output = "table", server: Connection = HERE) -> int:
    """Show each view, and how far it is in the log."""
    with server.client() as client:
        found = client.jobs().views()
        if not found:
            raise ServerUnavailable(
                f"no projector serves namespace {server.chosen_namespace!r}: start one with `jobledger projector`. The "
                "embedded server has one; its log says why if not"
            )
        out.rows(map(_facts, found), output)
    return 0


@app.command
def rebuild(
    *,
    timeout: Annotated[Seconds | None, Parameter(help="How long at most; default: without limit.")] = None,
    output: Output = "table",
    server: Connection = HERE,
) -> int:
    """Drop every view and make it anew from the log; wait until that is done.

    Questions wait meanwhile. Exit code 7 if the time was over before; the rebuilding goes on then.
    """
    with server.client() as client:
        try:
            out.rows(map(_facts, client.jobs().rebuild_views(timeout)), output)
        except TimeoutError as error:
            out.say(f"jobledger: {error}")
            return exits.TIMED_OUT
    return 0


def _facts(view: ViewStatus) -> dict[str, Any]:
    return {
        "projector": view.projector,
        "store": view.store,
        "position": view.position,
        "target": view.target,
        "ready": view.ready,
        "moves": view.moves,
    }
