"""`jobledger engine`: an engine as a process of its own, for a NATS server or cluster that exists."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from ..nats.partitions import MOST_PARTITIONS
from .connection import HERE, Connection
from .metrics import MetricsHost, MetricsPort, listening, told
from .service import serve
from .sizes import MaxBytes
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
    partitions: Annotated[
        int | None,
        Parameter(
            help="Into how many partitions a new log divides its jobs: at most so many engines share the work. It is fixed "
            "then; on a log that exists, it must be the number that it has. Without it: 1, or what the log has.",
            validator=Number(gte=1, lte=MOST_PARTITIONS),
        ),
    ] = None,
    replicas: Annotated[
        int,
        Parameter(
            help="How many servers of the NATS cluster hold the log, and what is beside it, at least: 3 where the loss of "
            "one is to be survived.",
            validator=Number(gte=1, lte=5),
            show_default=True,
        ),
    ] = 1,
    max_bytes: MaxBytes = None,
    server: Connection = HERE,
) -> int:
    """Run an engine against a NATS server until SIGTERM or Ctrl-C, and answer JSON requests beside it.

    Several may run. They share the partitions of the log among each other, and take over those of one that is gone; where
    there are fewer partitions than engines, some stand by. A server that is away is waited for. Secrets are better given by
    the environment than by options, which other users of the machine can read.
    """
    endpoint, namespace = server.endpoint(), server.chosen_namespace
    from ..engine.options import EngineOptions
    from ..gateway.hosting import run_engine_with_api
    from .loading import key_store

    metrics = listening(metrics_port, metrics_host)
    options = EngineOptions(
        lease=lease,
        partitions=partitions,
        replicas=replicas,
        max_bytes=max_bytes,
        metrics=metrics,
        keys=None if keys is None else key_store(keys),
    )
    return serve(
        "engine",
        f"namespace {namespace} at {endpoint.shown}{told(metrics)}",
        lambda stop, ready: run_engine_with_api(
            endpoint,
            namespace,
            stop=stop,
            on_ready=ready,
            options=options,
        ),
    )
