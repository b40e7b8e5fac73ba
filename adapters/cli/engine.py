"""`jobledger engine`: an engine as a process of its own, for a NATS server or cluster that exists."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from .connection import HERE, Connection
from .metrics import MetricsHost, MetricsPort, listening, told
from .service import serve
from .times import Seconds


def engine(
    *,
    lease: Annotated[
        Seconds,
        Parameter(help="How long a runner may be silent before its claims expire.", show_default=True),
    ] = 15.0,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
    keys: Annotated[
        str | None,
        Parameter(
            help="A key store for sealed jobs besides the NATS server, as module:object; it destroys their keys."
        ),
    ] = None,
    server: Connection = HERE,
) -> int:
    """Run an engine against a NATS server until SIGTERM or Ctrl-C, and answer JSON requests beside it.

    Several may run: one serves a namespace, the others stand by. A server that is away is waited for. Secrets are better
    given by the environment than by options, which other users of the machine can read.
    """
    endpoint, namespace = server.endpoint(), server.chosen_namespace
    from ..gateway.hosting import run_engine_with_api
    from .loading import key_store

    metrics = listening(metrics_port, metrics_host)
    store = None if keys is None else key_store(keys)
    return serve(
        "engine",
        f"namespace {namespace} at {endpoint.shown}{told(metrics)}",
        lambda stop, ready: run_engine_with_api(
            endpoint, namespace, stop=stop, on_ready=ready, lease=lease, metrics=metrics, keys=store
        ),
    )
