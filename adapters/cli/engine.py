"""`jobledger engine`: an engine as a process of its own, for a NATS server or cluster that exists."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..nats.endpoint import Endpoint
from ..nats.names import DEFAULT_NAMESPACE


def engine(
    *,
    nats: Annotated[
        str, Parameter(env_var="JOBLEDGER_NATS", help="Address, or several separated by commas.")
    ],
    user: Annotated[str | None, Parameter(env_var="JOBLEDGER_USER")] = None,
    password: Annotated[str | None, Parameter(env_var="JOBLEDGER_PASSWORD", show_env_var=True)] = None,
    token: Annotated[str | None, Parameter(env_var="JOBLEDGER_TOKEN")] = None,
    creds: Annotated[Path | None, Parameter(env_var="JOBLEDGER_CREDS", help="A .creds file.")] = None,
    namespace: Annotated[str, Parameter(env_var="JOBLEDGER_NAMESPACE")] = DEFAULT_NAMESPACE,
    lease: Annotated[
        float, Parameter(help="Seconds a runner may be silent before its claims expire.")
    ] = 15.0,
) -> int:
    """Run an engine against a NATS server until SIGTERM or Ctrl-C.

    Secrets are better given by the environment than by options, which other users of the machine can read.
    """
    endpoint = Endpoint(nats, user=user, password=password, token=token, credentials=creds)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    asyncio.run(_run(endpoint, namespace, lease))
    return 0


async def _run(endpoint: Endpoint, namespace: str, lease: float) -> None:
    from ..engine.run import run_engine

    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)

    def ready() -> None:
        sys.stderr.write(
            f"jobledger engine: serving namespace {namespace} at {endpoint.shown}, Ctrl-C stops it\n"
        )

    await run_engine(endpoint, namespace, stop=stop, on_ready=ready, lease=lease)
