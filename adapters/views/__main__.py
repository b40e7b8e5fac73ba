"""A projector as a program of its own: `python -m jobledger.adapters.views --store URL`.

Where the server is and how to log in is read from the environment, as by `jobledger engine`: JOBLEDGER_NATS,
JOBLEDGER_USER, JOBLEDGER_PASSWORD, JOBLEDGER_NAMESPACE. With `--child` it ends as soon as its standard input does, so
that it does not outlive whoever started it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys

from jobledger.core.errors import JobLedgerError

from ..nats.endpoint import Endpoint
from ..nats.names import DEFAULT_NAMESPACE
from .run import run_projector

log = logging.getLogger(__name__)

#: what others do on the machine comes first
_NICENESS = 5


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m jobledger.adapters.views")
    parser.add_argument("--store", required=True, help="sqlite:///… or postgresql://…")
    parser.add_argument("--child", action="store_true", help="end with standard input; give way to others")
    options = parser.parse_args()
    environment = os.environ
    endpoint = Endpoint(
        environment["JOBLEDGER_NATS"],
        user=environment.get("JOBLEDGER_USER") or None,
        password=environment.get("JOBLEDGER_PASSWORD") or None,
    )
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    if options.child:
        os.nice(_NICENESS)
    spare_collections()
    try:
        asyncio.run(_run(endpoint, environment.get("JOBLEDGER_NAMESPACE", DEFAULT_NAMESPACE), options))
    except JobLedgerError as error:
        log.error("%s", error)
        return 1
    return 0


def spare_collections() -> None:
    """Have Python look for garbage less often: a projection makes hardly any that is not freed at once.

    Looking at every object there is takes half the time of a rebuild otherwise.
    """
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


async def _run(endpoint: Endpoint, namespace: str, options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stop.set)
    if options.child:
        loop.add_reader(sys.stdin.fileno(), _ended_by_parent, stop)

    def ready() -> None:
        log.info("serving namespace %s", namespace)

    await run_projector(endpoint, namespace, options.store, stop=stop, on_ready=ready)


def _ended_by_parent(stop: asyncio.Event) -> None:
    asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
    stop.set()


if __name__ == "__main__":
    sys.exit(main())
