"""A publisher as a program of its own: `python -m jobledger.adapters.feed`, as `run_program` runs it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable

from ..child_program import run_program
from ..nats.endpoint import Endpoint
from .run import run_feed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m jobledger.adapters.feed")
    parser.add_argument("--child", action="store_true", help="end with standard input; give way to others")
    parser.add_argument("--folder", help="names the data folder in listings of processes")
    options = parser.parse_args()

    async def run(endpoint: Endpoint, namespace: str, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        await run_feed(endpoint, namespace, stop=stop, on_ready=ready)

    # The last of all: nobody waits for it, and while it waits itself, it has more to publish at a time.
    return run_program(run, child=options.child, niceness=19)


if __name__ == "__main__":
    sys.exit(main())
