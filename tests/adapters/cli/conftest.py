"""A namespace that is served, and the command line there; a data folder, and `jobledger` as pip would install it, for demos."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import jobledger
from jobledger import Client, ExecutionContext, Job, Task
from jobledger.adapters.nats.names import Names
from jobledger.adapters.views import service
from support.command_line import CommandLine
from support.engines import EngineHarness
from support.projectors import ProjectorHarness
from support.servers import NatsServer

_PATIENCE = 90.0  # seconds; a run takes 7 on two cores that do little else


# Read by the shell and by Python, each its way: as pip has it where the path of Python may have spaces.
_PROGRAM = """\
#!/bin/sh
'''exec' '{python}' "$0" "$@"
' '''
from jobledger.adapters.cli import main
main()
"""


@dataclass(frozen=True)
class Place:
    """Where demos are run: a data folder, a program as pip would install it, and a working directory."""

    home: Path
    program: Path
    directory: Path
    environment: dict[str, str]

    def start(self, *, more: dict[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.program, "demo"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.directory,
            env={**self.environment, **(more or {})},
        )

    def run(self, *, more: dict[str, str] | None = None) -> tuple[int, str, str]:
        """Return the exit code of a demo, its stdout and its stderr."""
        with self.start(more=more) as process:
            try:
                said, complained = process.communicate(timeout=_PATIENCE)
            finally:
                process.kill()
        return process.returncode, said, complained

    def shell(self, command: str) -> subprocess.CompletedProcess[str]:
        """Type this into a shell."""
        return subprocess.run(
            command,
            shell=True,
            capture_output=True,
            text=True,
            cwd=self.directory,
            env=self.environment,
            timeout=60,
            check=False,
        )

    def runners(self) -> list[int]:
        """Return the processes that are runners of demos in this data folder."""
        return [
            pid for pid, command in _commands() if "cli.demo.runner" in command and str(self.home) in command
        ]

    def job(self, client: Client, said: str) -> Job:
        found = re.search(r"^  job +(\S+), submitted", said, re.MULTILINE)
        assert found, said
        return client.jobs().find(found[1])


def _commands() -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        try:
            yield (
                int(entry.name),
                (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"),
            )
        except (ValueError, OSError):  # no process, or it has just ended
            continue


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("a path with spaces")
    directory = root / "elsewhere"
    directory.mkdir()
    # A working directory whose files have the names of modules must do no harm.
    (directory / "argparse.py").write_text("raise ImportError('not the one of the library')\n")
    program = root / "bin" / "jobledger"
    program.parent.mkdir()
    program.write_text(_PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    environment = {**os.environ, "JOBLEDGER_HOME": str(root / "home"), "NO_COLOR": "1"}
    environment["PYTHONPATH"] = str(Path(jobledger.__path__[0]).parent)
    for name in ("JOBLEDGER_URL", "FORCE_COLOR"):
        environment.pop(name, None)
    place = Place(root / "home", program, directory, environment)
    handler = signal.getsignal(signal.SIGINT)
    # Were it ignored here, as it is in the background of some shells, so it would be in what is started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield place
    signal.signal(signal.SIGINT, handler)
    stopped = place.shell(f"'{program}' server stop")
    left = place.runners()
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert stopped.returncode == 0, stopped.stderr
    assert left == []


@pytest.fixture(scope="module")
def client(place: Place) -> Iterator[Client]:
    with Client(data_folder=place.home) as client:
        yield client


@contextmanager
def running(place: Place) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a demo; give it, and what it has said, once it has a runner."""
    with place.start() as process:
        try:
            assert process.stdout is not None
            said = ""
            for line in process.stdout:
                said += line
                if "before.py:" in line:
                    break
            assert place.runners() != [], said
            yield process, said
        finally:
            process.kill()


def rest_of(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Wait for the end; return what was said on stdout and stderr."""
    assert process.stdout is not None
    assert process.stderr is not None
    rest = process.stdout.read(), process.stderr.read()
    process.wait(_PATIENCE)
    return rest


# -- commands other than the demo, in this process --------------------------------------------------------------------


@dataclass(frozen=True)
class Served:
    """A namespace with an engine and a projector, shared by all tests of commands: each names its jobs differently."""

    url: str
    names: Names
    client: Client

    @property
    def options(self) -> tuple[str, ...]:
        return ("--url", self.url, "--namespace", self.names.namespace)


@pytest.fixture(scope="package")
def served(nats_server: NatsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    names = Names("command-line")
    store = f"sqlite:///{tmp_path_factory.mktemp('view') / 'jobs.sqlite3'}"
    with pytest.MonkeyPatch.context() as patch:
        # Each command is a client of its own, which has seen nothing of what the test did: however busy the machine is,
        # the view comes to the end of the log before it answers.
        patch.setattr(service, "_FRESH", 10.0)
        engine = EngineHarness(nats_server.url, names).wait_ready()
        projector = ProjectorHarness(nats_server.url, names, store).start()
        with Client(nats_server.url, namespace=names.namespace) as client:
            yield Served(nats_server.url, names, client)
        projector.stop()
        engine.stop()


@pytest.fixture
def cli(
    served: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> CommandLine:
    """The command line in an empty folder, with the served namespace in its environment."""
    for name in [one for one in os.environ if one.startswith(("JOBLEDGER_", "FORCE_COLOR"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("JOBLEDGER_URL", served.url)
    monkeypatch.setenv("JOBLEDGER_NAMESPACE", served.names.namespace)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    return CommandLine(capsys, monkeypatch)


class Greet(Task):
    """Logs, counts and returns; fails for nobody."""

    name: str

    def execute(self, context: ExecutionContext) -> str:
        context.logger.info("greeting", name=self.name)
        context.progress("greetings").add(1)
        context.progress("greetings").done(1)
        context.current_task.display = f"Hello, {self.name}"
        if not self.name:
            raise ValueError("greet whom?")
        return f"Hello, {self.name}!"


@pytest.fixture
def run(served: Served) -> Callable[..., Job]:
    """Submit a job of greetings and run it to its end."""

    def run(name: str, *greeted: str, **options: Any) -> Job:
        job = served.client.jobs().submit(name, [Greet(one) for one in greeted], **options)
        served.client.runner(tasks=[Greet]).run_all()
        return job.wait(30, raise_on_failure=False)

    return run
