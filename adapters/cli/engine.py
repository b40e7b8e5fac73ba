"""`jobledger engine`: an engine as a process of its own, for a NATS server or cluster that exists."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from .connection import HERE, Connection
from .service import serve
from .times import Seconds


def engine(
    *,
    lease: Annotated[
        Seconds,
        Parameter(help="How long a runner may be silent before its claims expire.", show_default=True),
    ] = 15.0,
    server: Connection = HERE,
) -> int:
    """Run an engine against a NATS server until SIGTERM or Ctrl-C.

    Several may run: one serves a namespace, the others stand by. A server that is away is waited for. Secrets are better
    given by the environment than by options, which other users of the machine can read.
    """
    endpoint, namespace = server.endpoint(), server.chosen_namespace
    from ..engine.run import run_engine

    return serve(
        "engine",
        f"namespace {namespace} at {endpoint.shown}",
        lambda stop, ready: run_engine(endpoint, namespace, stop=stop, on_ready=ready, lease=lease),
    )
