"""Attaching to the server of a data folder, starting it where none runs. Light: loads neither NATS nor the engine."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import site
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import jobledger
from jobledger.core.errors import ArgumentError, ServerAway, ServerUnavailable

from ..nats.endpoint import Endpoint
from .folder import LONGEST_INTERVAL, SHORTEST_INTERVAL, DataFolder, ServerRecord
from .locks import is_locked
from .probe import CLIENT, server_version
from .processes import command_of, end_process, pid_namespace

_MODULE = "jobledger.adapters.embedded.supervisor"
DEFAULT_IDLE = 600.0  # seconds without a client after which the server ends by itself
DEADLINE = 15.0  # seconds a start may take
_LOOK = 0.02  # seconds between two looks at a server that others are starting
_TAIL = 3000  # bytes of the log an error message quotes
#: how a starter ends whose supervisor says nothing because one of the two was killed; by itself a supervisor says why
_KILLED = (0, -signal.SIGKILL, -signal.SIGTERM)


def ensure_server(
    folder: str | PathLike[str] | None = None, *, idle: float = DEFAULT_IDLE, deadline: float = DEADLINE
) -> Endpoint:
    """Return where the folder's server is, having started one in the background if none ran.

    Shape:  `folder` as `DataFolder.locate` understands it. However many processes call this at once, one server runs.
    Units:  `idle` and `deadline` are seconds; `idle` counts only for a server started here, 0 lets it run for ever.
    Errors: ArgumentError when the folder cannot be used, ServerUnavailable when no server comes about in time.
    """
    if not idle >= 0:
        raise ArgumentError(
            f"idle is {idle}: give seconds without a client, after which the server ends, or 0 for never"
        )
    home = DataFolder.locate(folder)
    home.create()
    until = time.monotonic() + deadline
    while True:
        endpoint = _attach(home)
        if endpoint is not None:
            return endpoint
        if not is_locked(home.lock):
            _start(home, idle, until)
        elif time.monotonic() < until:
            time.sleep(_LOOK)  # another process has begun to start it, or it is just ending
        if time.monotonic() >= until and (endpoint := _attach(home)) is None:
            raise ServerAway(
                f"the background server of {home.path} (process {_supervisor(home) or 'unknown'}) does not answer "
                f"after {deadline:g} s. If it goes on like this, end it with `jobledger server stop` and try again."
                + _last_words(home, 0)
            )


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What is known about the server of a folder."""

    folder: Path
    log: Path
    state: str  #: `running`; `starting`: locked but not answering (yet); `stopped`
    record: ServerRecord | None  #: of a running server

    @property
    def running(self) -> bool:
        return self.state == "running"


def server_status(folder: str | PathLike[str] | None = None) -> ServerStatus:
    """Return what can be seen of the folder's server, changing nothing."""
    home = DataFolder.locate(folder)
    record = home.record() if _attach(home) is not None else None
    state = "running" if record is not None else "starting" if is_locked(home.lock) else "stopped"
    return ServerStatus(home.path, home.log, state, record)


def relax_server(folder: str | PathLike[str] | None, sync_interval: float) -> None:
    """Choose when what was acknowledged is on disk at the latest, for every server of the folder from now on.

    Units:  seconds; 0: before it is acknowledged.
    Errors: ArgumentError for an interval that cannot be, or while a server runs that was started with another one.
    """
    if sync_interval and not SHORTEST_INTERVAL <= sync_interval <= LONGEST_INTERVAL:
        raise ArgumentError(
            f"sync_interval is {sync_interval:g} s: give 0, for commits that are on disk before they are acknowledged, or "
            f"{SHORTEST_INTERVAL:g} to {LONGEST_INTERVAL:g} s, for ones that are on disk at most so long afterwards"
        )
    home = DataFolder.locate(folder)
    home.create()
    if home.sync_interval() == sync_interval:
        return
    if is_locked(home.lock):
        raise ArgumentError(
            f"the server of {home.path} runs with another sync_interval, {home.sync_interval():g} s: stop it first, with "
            "`jobledger server stop`"
        )
    home.relax(sync_interval)


def stop_server(folder: str | PathLike[str] | None = None) -> bool:
    """End the folder's server, including what a killed supervisor left; return whether anything ran.

    Returns when it is gone. Errors: ServerUnavailable when it cannot be ended from here.
    """
    from .nats_process import end_orphan

    home = DataFolder.locate(folder)
    ran = is_locked(home.lock)
    until = time.monotonic() + 1.0
    while is_locked(home.lock):
        pid = _supervisor(home)
        if pid is not None:
            # Longer than the supervisor itself gives to the engine and nats-server.
            end_process(pid, lambda command: _supervises(command, home), patience=20.0)
            until = time.monotonic() + 1.0  # its command line is gone some milliseconds before its locks
        elif time.monotonic() > until:
            raise ServerUnavailable(
                f"{home.path} is in use by a process that cannot be seen from here (in another container or on "
                "another machine?): stop it there"
            )
        time.sleep(_LOOK)  # one that is just starting names itself in a moment
    return end_orphan(home) or ran


def _attach(home: DataFolder) -> Endpoint | None:
    """Return the endpoint of the folder's server if it answers and its supervisor lives."""
    record, credentials = home.record(), home.credentials()
    if record is None or credentials is None or not is_locked(home.lock) or _is_of_a_dead(record):
        return None
    if server_version(record.port, credentials) is None:
        return None
    return Endpoint(record.url, user=CLIENT, password=credentials.client)


def _is_of_a_dead(record: ServerRecord) -> bool:
    """Return whether the supervisor that wrote the record is known to be gone.

    The lock alone does not tell: a child that a killed supervisor had just begun holds it until it is another program.
    """
    return record.pid_namespace == pid_namespace() and command_of(record.supervisor_pid) is None


def _start(home: DataFolder, idle: float, until: float) -> None:
    """Start a supervisor and return when it serves, found another one at it, or was killed before it could say anything.

    Errors: ServerUnavailable, with the reason and the end of the log.
    """
    if not sys.executable:
        raise ServerUnavailable("this Python does not know its own program, sys.executable is empty")
    begin = home.log.stat().st_size if home.log.exists() else 0
    log = os.open(home.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        starter = subprocess.Popen(
            [sys.executable, "-m", _MODULE, "--idle", f"{idle:g}", "--folder", str(home.path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd="/",
            env=environment_of_this_package(os.environ),
            start_new_session=True,
        )
    finally:
        os.close(log)
    with starter:  # the supervisor proper is its child: this one ends at once
        assert starter.stdout is not None
        outcome = _read_outcome(starter.stdout.fileno(), until)
        if outcome.get("late"):
            starter.kill()  # nothing to it if it has detached already; the caller, whose deadline it is, says more
    if outcome.keys() & {"ready", "taken", "late"}:
        return
    if not outcome and starter.returncode in _KILLED:
        return  # the caller looks again: nothing speaks against another start
    reason = outcome.get("failed", "it ended before it was ready")
    raise ServerUnavailable(
        f"the background server of {home.path} did not start: {reason}" + _last_words(home, begin)
    )


def _read_outcome(fd: int, until: float) -> dict[str, Any]:
    said = b""
    while not said.endswith(b"\n"):
        readable, _, _ = select.select([fd], [], [], max(0.0, until - time.monotonic()))
        if not readable:
            return {"late": True}
        piece = os.read(fd, 65536)
        if not piece:
            return {}
        said += piece
    outcome: dict[str, Any] = json.loads(said)
    return outcome


def environment_of_this_package(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which another process runs the same code as this one.

    A package that is not installed but reached by a path of the caller's own making must be reachable there, too.
    """
    root = str(Path(jobledger.__path__[0]).parent)
    if root in (*site.getsitepackages(), site.getusersitepackages()):
        return dict(environment)
    paths = [*filter(None, [environment.get("PYTHONPATH")]), root]
    return {**environment, "PYTHONPATH": os.pathsep.join(paths)}


def _supervisor(home: DataFolder) -> int | None:
    """Return the process id of the folder's supervisor, if its file and the process's own command line agree."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(home.lock.read_text(encoding="ascii"))
        command = command_of(pid)
        if command is not None and _supervises(command, home):
            return pid
    return None


def _supervises(command: str, home: DataFolder) -> bool:
    return _MODULE in command and command.endswith(f" --folder {home.path}")


def _last_words(home: DataFolder, begin: int) -> str:
    """Return the end of the log as written since `begin`, for an error message."""
    with contextlib.suppress(OSError), home.log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(begin if begin <= size else 0, size - _TAIL))
        text = file.read().decode(errors="replace").strip()
        if text:
            return f"\nThe end of {home.log}:\n{text}"
    return ""
