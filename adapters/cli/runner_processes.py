"""Several runner processes under one supervisor, which starts them again when they die and ends with all of them.

A process hears of the end of its supervisor through a pipe that only the supervisor holds open: also kill -9 closes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, Process

from ..embedded.start import environment_of_this_package
from ..restarts import Restarts
from . import exits, output
from .runner import LIFELINE

_FAREWELL = 5.0  # seconds a process has to end beyond the grace of its tasks
#: exit codes of a process that would end the same way again: it cannot use what it was told
_FINAL = (exits.USAGE, exits.NOT_FOUND)


def supervise(arguments: list[str], environment: dict[str, str], count: int, grace: float) -> int:
    """Run `jobledger` with these arguments in `count` processes until told to stop; return the exit code.

    Units:  `grace` is seconds the processes give their tasks after a signal.
    """
    # -P: what lies in the working folder is for the tasks, and must not stand in for a module of the library.
    command = [sys.executable, "-P", "-m", "jobledger.adapters.cli", *arguments]
    return asyncio.run(_Supervisor(command, environment_of_this_package(environment), grace).run(count))


class _Supervisor:
    def __init__(self, command: list[str], environment: dict[str, str], grace: float) -> None:
        self._command = command
        self._environment = environment
        self._grace = grace
        self._stopping = asyncio.Event()
        self._running: set[Process] = set()

    async def run(self, count: int) -> int:
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sign, self._stop)
        lifeline, held = os.pipe()  # they read the one, this process holds the other open
        try:
            output.say(f"jobledger runner: {count} process{'' if count == 1 else 'es'}; Ctrl-C stops them")
            codes = await asyncio.gather(*(self._keep(lifeline) for _ in range(count)))
        finally:
            os.close(held)
            os.close(lifeline)
        return next((code for code in codes if code), 0)

    def _stop(self) -> None:
        """Pass a signal on: the first one lets tasks finish, the next one does not."""
        self._stopping.set()
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()

    async def _keep(self, lifeline: int) -> int:
        """Have one process run until told to stop; return its last exit code."""
        restarts = Restarts()
        while True:
            began = time.monotonic()
            code, pid = await self._once(lifeline)
            if self._stopping.is_set():
                return code
            told = f"jobledger runner: process {pid} {_ended(code)}"
            if code in _FINAL:
                output.say(f"{told}, as any other would: stopping")
                self._stop()
                return code
            pause = restarts.pause(code, lasted=time.monotonic() - began)
            output.say(f"{told}; another one is started in {pause:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
                return 0

    async def _once(self, lifeline: int) -> tuple[int, int]:
        """Run one process to its end; return its exit code and its id."""
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=DEVNULL,
            env={**self._environment, LIFELINE: str(lifeline)},
            pass_fds=(lifeline,),
            start_new_session=True,  # Ctrl-C in a terminal is for the supervisor, which tells them, once
        )
        self._running.add(process)
        if self._stopping.is_set():  # told to while it was being started
            process.terminate()
        ended = asyncio.ensure_future(process.wait())
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({ended}, timeout=self._grace + _FAREWELL)
            if not ended.done():
                output.say(f"jobledger runner: process {process.pid} did not end when told to, and is killed")
                process.kill()
                await ended
                return exits.FAILED, process.pid
        finally:
            stopping.cancel()
            self._running.discard(process)
        code = ended.result()
        # One that was told to stop before it could listen has begun nothing.
        return (0 if self._stopping.is_set() and code == -signal.SIGTERM else code), process.pid


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
