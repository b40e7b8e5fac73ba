"""What the processes have in common that serve until they are told to stop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from . import output

if TYPE_CHECKING:
    import asyncio

#: serves until the event is set, and calls back once it does serve
Serve = Callable[["asyncio.Event", Callable[[], None]], Awaitable[None]]


def serve(what: str, place: str, run: Serve) -> int:
    """Serve until SIGTERM or Ctrl-C, logging to stderr; return the exit code.

    Shape:  `what` and `place` are for the line that says that it serves, such as "engine" and "namespace a at nats://b".
    Errors: those of `run`.
    """
    import asyncio
    import signal

    from .. import collector
    from ..loops import run as run_loop

    async def main() -> None:
        stop, loop, signs = asyncio.Event(), asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT)
        for sign in signs:
            loop.add_signal_handler(sign, stop.set)

        def ready() -> None:
            output.say(f"jobledger {what}: serving {place}, Ctrl-C stops it")

        try:
            await run(stop, ready)
        finally:
            for sign in signs:  # uvloop does not do it as it is closed, and Ctrl-C would then do nothing
                loop.remove_signal_handler(sign)

    log_to_stderr()
    collector.relax()
    run_loop(main())
    return 0


def log_to_stderr() -> None:
    """Have what this process logs appear on stderr, with the time."""
    import logging
    import sys

    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
