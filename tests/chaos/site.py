"""Everything that runs: what may be killed, and how it comes back."""

from __future__ import annotations

import contextlib
import os
import signal
from contextlib import ExitStack
from pathlib import Path

from chaos.faults import Victim
from chaos.notes import NOTES, Notes
from chaos.quota import Quota
from jobledger import Client
from jobledger.adapters.embedded.folder import DataFolder
from jobledger.adapters.embedded.start import DEFAULT_IDLE, stop_server
from jobledger.adapters.nats.names import Names
from support.processes import PythonProcess
from support.relay import Relay
from support.servers import NatsServer

_CLI = ("-c", "from jobledger.adapters.cli import main; main()")
#: seconds for which a request of the client outlasts what goes wrong
PATIENCE = 300.0
_NAMES = Names("default")


class Program:
    """A process of jobledger's command line, as a victim."""

    def __init__(self, kind: str, process: PythonProcess) -> None:
        self.kind = kind
        self._process = process

    @property
    def alive(self) -> bool:
        return self._process.alive

    @property
    def epitaph(self) -> str:
        return f"exit code {self._process.status}, {self._process.log[-1000:]}"

    def kill(self) -> None:
        self._process.kill()

    def freeze(self) -> None:
        self._process.freeze()

    def thaw(self) -> None:
        self._process.thaw()

    def terminate(self) -> None:
        self._process.terminate()

    def revive(self) -> None:
        self._process.launch()


class Server:
    """A nats-server, as a victim."""

    kind = "nats-server"

    def __init__(self, server: NatsServer) -> None:
        self._server = server

    @property
    def alive(self) -> bool:
        return self._server.alive

    @property
    def epitaph(self) -> str:
        return ""

    def kill(self) -> None:
        self._server.kill()

    def freeze(self) -> None:
        self._server.freeze()

    def thaw(self) -> None:
        self._server.thaw()

    def terminate(self) -> None:
        self._server.terminate()

    def revive(self) -> None:
        self._server.launch()


class Part:
    """A process of the embedded server, as a victim: nobody starts it again but the product itself."""

    def __init__(self, folder: DataFolder, kind: str) -> None:
        self._folder = folder
        self.kind = kind

    @property
    def alive(self) -> bool:
        return True  # it comes back when it is needed

    @property
    def epitaph(self) -> str:
        return ""

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def freeze(self) -> None:
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)

    def terminate(self) -> None:
        self._send(signal.SIGTERM)

    def revive(self) -> None: ...

    def _send(self, sign: signal.Signals) -> None:
        for pid in self._pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)

    def _pids(self) -> list[int]:
        what = {
            "supervisor": f"jobledger.adapters.embedded.supervisor --idle {DEFAULT_IDLE:g} --folder {self._folder.path}",
            "nats-server": f"-c {self._folder.config}",
            "projector": f"jobledger.adapters.views --child --store sqlite:///{self._folder.views}",
        }[self.kind]
        return [pid for pid, command in _processes() if what in command]


def _processes() -> list[tuple[int, str]]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                found.append(
                    (int(entry.name), (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
                )
    return found


class OwnServer:
    """A nats-server, engines, runners and a projector, each a process started here, some of them behind relays."""

    def __init__(
        self,
        folder: Path,
        ends: ExitStack,
        *,
        engines: int,
        runners: int,
        partitions: int,
        lease: float,
        concurrency: int,
        relays: bool,
    ) -> None:
        self.partitions = partitions
        self._folder = folder
        self.notes = _notes(folder)
        (folder / "nats").mkdir()
        server = NatsServer(folder / "nats").start()
        ends.callback(server.kill)
        self._url = url = server.url
        self.networks = [Relay(server.port) for _ in range(2)] if relays else []
        for relay in self.networks:
            ends.callback(relay.close)
        self.disk = Quota(url, _NAMES)
        ends.callback(self.disk.close)
        self.client = Client(url, patience=PATIENCE)
        ends.callback(self.client.close)
        divided = ("--lease", str(lease), "--partitions", str(partitions))
        programs = [
            *(self._program("engine", number, *divided) for number in range(engines)),
            *(self._runner(number, concurrency) for number in range(runners)),
            self._program("projector", 0, "--store", f"sqlite:///{folder / 'jobs.sqlite3'}"),
        ]
        self.victims: list[Victim] = [Server(server), *(Program(kind, process) for kind, process in programs)]
        for _, process in programs:
            ends.callback(process.kill)
            process.launch()

    def _runner(self, number: int, concurrency: int) -> tuple[str, PythonProcess]:
        # One of them runs its tasks in processes, which die with it.
        pool = ("--pool", "processes") if number == 1 else ()
        wide = 2 if pool else concurrency
        return self._program(
            "runner", number, "start", "chaos.workflow:runner", "--concurrency", str(wide), *pool
        )

    def _program(self, kind: str, number: int, *options: str) -> tuple[str, PythonProcess]:
        # The first of each kind is on the direct way, the others are behind relays in turn.
        behind = self.networks[number % len(self.networks)] if self.networks and number else None
        url = self._url if behind is None else behind.url
        where = ("--url", url) if kind == "runner" else ("--nats", url)
        process = PythonProcess(
            *_CLI,
            kind,
            *options,
            *where,
            ready="",
            environment={NOTES: str(self._folder / "notes")},
            keep=self._folder / f"{kind}-{number}.log",
        )
        return kind, process


class Embedded:
    """The server of a data folder, which nobody starts but its users, and runners on it."""

    partitions = 1
    networks: list[Relay] = []
    disk = None

    def __init__(self, folder: Path, ends: ExitStack, *, runners: int, concurrency: int) -> None:
        self.notes = _notes(folder)
        self._home = DataFolder.locate(folder / "home")
        ends.callback(stop_server, self._home.path)
        self.client = Client(data_folder=self._home.path, patience=PATIENCE)
        ends.callback(self.client.close)
        self.client.jobs()
        programs = [
            PythonProcess(
                *_CLI,
                "runner",
                "start",
                "chaos.workflow:runner",
                "--concurrency",
                str(concurrency),
                "--folder",
                str(self._home.path),
                ready="",
                environment={NOTES: str(folder / "notes")},
                keep=folder / f"runner-{number}.log",
            )
            for number in range(runners)
        ]
        parts = [Part(self._home, kind) for kind in ("supervisor", "nats-server", "projector")]
        self.victims: list[Victim] = [*parts, *(Program("runner", process) for process in programs)]
        for process in programs:
            ends.callback(process.kill)
            process.launch()


def _notes(folder: Path) -> Notes:
    (folder / "notes").mkdir(parents=True)
    return Notes(folder / "notes")
