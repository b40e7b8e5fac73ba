"""A process of the supervisor's own for one duty, so that it never holds up the engine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import PIPE, Process

from ..nats.endpoint import Endpoint

_STDERR = 2
_FAREWELL = 3.0  # seconds it is given to end when told to


async def run_child(
    module: str, *arguments: str, endpoint: Endpoint, namespace: str, stop: asyncio.Event
) -> int:
    """Run `python -m module --child …` until `stop` is set, or until that process ends by itself. Return its exit code.

    It ends with this process in any case: its standard input does.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        "--child",
        *arguments,
        stdin=PIPE,
        stdout=_STDERR,  # both to where the supervisor logs
        stderr=_STDERR,
        cwd="/",
        env=_environment(endpoint, namespace),
        start_new_session=True,  # Ctrl-C in a terminal is for the supervisor
    )
    stopped = asyncio.create_task(stop.wait())
    ended = asyncio.create_task(process.wait())
    try:
        await asyncio.wait({stopped, ended}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        await _end(process, ended)
    return ended.result()


async def _end(process: Process, ended: asyncio.Task[int]) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait({ended}, timeout=_FAREWELL)
    finally:
        if not ended.done():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
    await ended


def _environment(endpoint: Endpoint, namespace: str) -> dict[str, str]:
    """Return the environment, with how to log in: the command line is there for all to read."""
    given = {
        "JOBLEDGER_NATS": ",".join(endpoint.urls),
        "JOBLEDGER_USER": endpoint.user or "",
        "JOBLEDGER_PASSWORD": endpoint.password or "",
        "JOBLEDGER_NAMESPACE": namespace,
    }
    return {**os.environ, **given}
