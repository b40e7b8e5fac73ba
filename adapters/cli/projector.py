"""`jobledger projector`: a projector as a process of its own, for a NATS server or cluster that exists."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from .connection import HERE, Connection
from .metrics import MetricsHost, MetricsPort, listening, told
from .service import serve


def projector(
    *,
    store: Annotated[
        str,
        Parameter(
            env_var="JOBLEDGER_STORE",
            metavar="URL",
            help="Where the view is kept: sqlite:///path/to/file.sqlite3, or postgresql://user:password@host/database.",
        ),
    ],
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
    server: Connection = HERE,
) -> int:
    """Keep the view across jobs until SIGTERM or Ctrl-C.

    It answers questions such as that of `job list`. Several may run: each with a file of its own, or all with one PostgreSQL database. A server or a database that is away
    is waited for. The view is made from the log: it may be lost.
    """
    endpoint, namespace = server.endpoint(), server.chosen_namespace
    from ..views.__main__ import spare_collections
    from ..views.run import run_projector

    metrics = listening(metrics_port, metrics_host)
    spare_collections()
    return serve(
        "projector",
        f"namespace {namespace} at {endpoint.shown}{told(metrics)}",
        lambda stop, ready: run_projector(
            endpoint, namespace, store, stop=stop, on_ready=ready, metrics=metrics
        ),
    )
