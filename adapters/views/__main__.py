"""A projector as a program of its own: `python -m jobledger.adapters.views --store URL`, as `run_program` runs it."""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
from collections.abc import Callable

from ..child_program import run_program
from ..nats.endpoint import Endpoint
from .run import run_projector


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m jobledger.adapters.views")
    parser.add_argument("--store", required=True, help="sqlite:///… or postgresql://…")
    parser.add_argument("--child", action="store_true", help="end with standard input; give way to others")
    options = parser.parse_args()
    spare_collections()

    async def run(endpoint: Endpoint, namespace: str, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        await run_projector(endpoint, namespace, options.store, stop=stop, on_ready=ready)

    return run_program(run, child=options.child, niceness=5)


def spare_collections() -> None:
    """Have Python look for garbage less often: a projection makes hardly any that is not freed at once.

    Looking at every object there is takes half the time of a rebuild otherwise.
    """
    gc.freeze()
    gc.set_threshold(1_000_000, 20, 100)


if __name__ == "__main__":
    sys.exit(main())
