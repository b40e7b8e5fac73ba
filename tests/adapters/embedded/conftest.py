"""Data folders whose processes end with their test, and bare NATS servers to compare with."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from jobledger.adapters.embedded.folder import DataFolder
from jobledger.adapters.embedded.locks import FileLock
from jobledger.adapters.embedded.nats_process import find_program
from jobledger.adapters.embedded.processes import command_of, end_process
from jobledger.adapters.embedded.start import stop_server
from jobledger.adapters.nats.endpoint import Endpoint
from support.waiting import eventually


@dataclass(frozen=True)
class Home:
    """A data folder under test, and a view of its processes that trusts no file in it."""

    path: Path

    @property
    def data(self) -> DataFolder:
        return DataFolder.locate(self.path)

    def supervisors(self) -> list[int]:
        found = _pids(lambda command: command.endswith(f" --folder {self.data.path}"))
        # A child that is just becoming another program has its parent's command line for an instant.
        return [pid for pid in found if _parent(pid) not in found]

    def servers(self) -> list[int]:
        return _pids(lambda command: command.endswith(f" -c {self.data.config}"))

    def projectors(self) -> list[int]:
        return _pids(lambda command: command.endswith(f" --store sqlite:///{self.data.views}/jobs.sqlite3"))

    def kill(self, pids: list[int]) -> None:
        """kill -9, and wait until they are gone."""
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            eventually(partial(_is_dead, pid))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / "data")
    yield home
    end(home)


def end(home: Home) -> None:
    """End what runs on the folder; by pid if it does not end when asked."""
    try:
        stop_server(home.path)
    finally:
        left = home.supervisors() + home.servers()
        for pid in left:
            end_process(pid, lambda _: True, patience=2.0)
    eventually(lambda: not home.projectors())  # one whose supervisor was killed ends by itself
    assert left == [], "stopping the server left processes behind"


@pytest.fixture
def bare_server(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Start a nats-server with just this configuration; return its url."""
    started: list[subprocess.Popen[bytes]] = []

    def start(configuration: str) -> str:
        number = len(started)
        ports = tmp_path / f"ports-{number}"
        ports.mkdir()
        config = tmp_path / f"bare-{number}.conf"
        config.write_text(
            f'listen: "127.0.0.1:-1"\nports_file_dir: "{ports}"\nlog_file: "{tmp_path}/bare-{number}.log"\n'
            + configuration
        )
        started.append(subprocess.Popen([find_program(), "-c", str(config)], stderr=subprocess.DEVNULL))
        file = eventually(lambda: next(ports.glob("*.ports"), None))
        assert file is not None
        return str(eventually(lambda: _nats_url(file)))

    yield start
    for process in started:
        process.terminate()
        process.wait(10)


def _nats_url(ports: Path) -> str:
    try:
        return str(json.loads(ports.read_text())["nats"][0])
    except ValueError:  # just being written
        return ""


def _is_dead(pid: int) -> bool:
    """Whether all of the process is over, reaped or not: its other threads may hold its locks a moment longer."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state == "Z" and len(list(Path(f"/proc/{pid}/task").iterdir())) == 1
    except OSError:
        return True


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _pids(is_it: Callable[[str], bool]) -> list[int]:
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return [pid for pid in pids if is_it(command_of(pid) or "")]


@pytest.fixture
def lock(home: Home) -> Iterator[FileLock]:
    home.data.create()
    lock = FileLock(home.data.lock)
    assert lock.acquire()
    yield lock
    lock.release()


class Engines:
    """Engines that fail when they are told to; counts their starts."""

    def __init__(self, *, fails_before_ready: bool) -> None:
        self.starts = 0
        self.fail = asyncio.Event()
        self.fails_before_ready = fails_before_ready

    async def __call__(
        self,
        endpoint: Endpoint,
        namespace: str,
        *,
        stop: asyncio.Event,
        on_ready: Callable[[], None],
    ) -> None:
        self.starts += 1
        if self.fails_before_ready:
            raise RuntimeError("no engine today")
        on_ready()
        stopped = asyncio.create_task(stop.wait())
        failed = asyncio.create_task(self.fail.wait())
        await asyncio.wait({stopped, failed}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        failed.cancel()
        if self.fail.is_set():
            self.fail.clear()
            raise RuntimeError("the engine broke")
