"""Processes of one test, all of which end with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from faults import tasks
from faults.record import Record
from jobledger import Client
from jobledger.adapters.nats.names import Names
from support.processes import PythonProcess, engine_process
from support.servers import NatsServer


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    """What tasks begin, here and in runner processes."""
    path = tmp_path / "record"
    monkeypatch.setenv(tasks.RECORD, str(path))
    monkeypatch.delenv("JOBLEDGER_URL", raising=False)
    return Record(path)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server that a test may kill."""
    folder = tmp_path / "nats"
    folder.mkdir()
    server = NatsServer(folder).start()
    yield server
    server.kill()


class Site:
    """One namespace of one server with a client, and the engine and runner processes a test starts there."""

    def __init__(self, url: str, namespace: str, ends: ExitStack) -> None:
        self.url = url
        self.namespace = namespace
        self._ends = ends
        self.client = Client(url, namespace=namespace, patience=60)
        ends.callback(self.client.close)

    def engine(self, *, lease: float = 2.0, more: tuple[str, ...] = ()) -> PythonProcess:
        return self._started(engine_process(self.url, self.namespace, lease=lease, more=more))

    def runner(self, *, concurrency: int = 1, respawn: bool = False) -> PythonProcess:
        options = ["--url", self.url, "--namespace", self.namespace, "--concurrency", str(concurrency)]
        return self._started(runner_process(*options, *(["--respawn"] if respawn else [])))

    def _started(self, process: PythonProcess) -> PythonProcess:
        self._ends.callback(
            lambda: print(f"--- {' '.join(process.command)}\n{process.log}")
        )  # shown of a failure
        self._ends.callback(process.stop if "--respawn" in process.command else process.kill)
        return process.launch()


def runner_process(*options: str) -> PythonProcess:
    return PythonProcess("-m", "faults.runner_program", *options, ready="runner ready")


@pytest.fixture
def ends() -> Iterator[ExitStack]:
    """What is to be called when the test is over, last first."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def site(nats_server: NatsServer, names: Names, record: Record, ends: ExitStack) -> Site:
    """On the server that all tests share: for faults of runners and engines."""
    return Site(nats_server.url, names.namespace, ends)


@pytest.fixture
def own_site(own_server: NatsServer, record: Record, ends: ExitStack) -> Site:
    """On a server of its own: for faults of the server."""
    return Site(own_server.url, "default", ends)


@pytest.fixture
def embedded_runner(ends: ExitStack) -> Callable[[], PythonProcess]:
    """Start a runner process that uses the embedded server of JOBLEDGER_HOME."""

    def start() -> PythonProcess:
        process = runner_process("--concurrency", "2")
        ends.callback(process.kill)
        return process.start()

    return start
