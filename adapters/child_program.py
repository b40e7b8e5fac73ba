"""What the programs have in common that a supervisor runs as its own processes."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from jobledger.core.errors import JobLedgerError

from .nats.endpoint import Endpoint
from .nats.names import DEFAULT_NAMESPACE

log = logging.getLogger(__name__)

#: serves a namespace until the event is set, and calls back once it does serve
Run: TypeAlias = Callable[[Endpoint, str, asyncio.Event, Callable[[], None]], Awaitable[None]]


def run_program(run: Run, *, child: bool, niceness: int) -> int:
    """Serve until SIGTERM or Ctrl-C, logging to stderr; return the exit code.

    Where the server is and how to log in is read from the environment, as by `jobledger engine`: JOBLEDGER_NATS,
    JOBLEDGER_USER, JOBLEDGER_PASSWORD, JOBLEDGER_NAMESPACE. A child ends as soon as its standard input does, so that it
    does not outlive whoever started it; and what others do on the machine comes first, by this `niceness`.
    """
    environment = os.environ
    endpoint = Endpoint(
        environment["JOBLEDGER_NATS"],
        user=environment.get("JOBLEDGER_USER") or None,
        password=environment.get("JOBLEDGER_PASSWORD") or None,
    )
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    if child:
        os.nice(niceness)
    try:
        asyncio.run(_serve(run, endpoint, environment.get("JOBLEDGER_NAMESPACE", DEFAULT_NAMESPACE), child))
    except JobLedgerError as error:
        log.error("%s", error)
        return 1
    return 0


async def _serve(run: Run, endpoint: Endpoint, namespace: str, child: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stop.set)
    if child:
        loop.add_reader(sys.stdin.fileno(), _ended_by_parent, stop)

    def ready() -> None:
        log.info("serving namespace %s", namespace)

    await run(endpoint, namespace, stop, ready)


def _ended_by_parent(stop: asyncio.Event) -> None:
    asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
    stop.set()
