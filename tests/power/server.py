"""The server of a data folder as the product configures it: watched by the tracer, or on what a power failure left."""

from __future__ import annotations

import functools
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

from jobledger.adapters.embedded.folder import DataFolder
from jobledger.adapters.embedded.nats_config import ENGINE, choose_port, configuration
from jobledger.adapters.embedded.nats_process import find_program
from jobledger.adapters.embedded.probe import HOST, server_version
from jobledger.adapters.nats.endpoint import Endpoint
from support.waiting import eventually

TRACER = Path(__file__).with_name("tracer.py")
_READY = 20.0  # seconds


@functools.cache
def why_not() -> str:
    """Return why no server can be watched here; "" if one can."""
    if platform.system() != "Linux":
        return "tracing system calls takes Linux"
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, str(TRACER), place, f"{place}/journal", sys.executable, "-c", ""]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_READY)
    return f"this kernel does not let a process trace its children: {done.stderr}" if done.returncode else ""


class Server:
    """A nats-server on a data folder. Its end is a kill: what it had not written yet is not written."""

    def __init__(self, folder: Path, *, sync_interval: float = 0.0, journal: Path | None = None) -> None:
        """Shape: with a `journal` all that is done to the folder's store is written there."""
        self._journal = journal
        self._folder = DataFolder.locate(folder)
        self._folder.create()
        self._folder.relax(sync_interval)
        self._process: subprocess.Popen[bytes] | None = None
        self._said = folder.with_name(f"{folder.name}.said")
        self.store = self._folder.store

    def start(self) -> Self:
        """Start it, and return when it answers."""
        credentials = self._folder.ensure_credentials()
        port = choose_port(self._folder)
        self._folder.write(self._folder.config, configuration(self._folder, credentials, port))
        command = [find_program(), "-c", str(self._folder.config)]
        if self._journal is not None:
            self.store.mkdir(exist_ok=True)
            command = [sys.executable, str(TRACER), str(self.store), str(self._journal), *command]
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        self.endpoint = Endpoint(f"nats://{HOST}:{port}", user=ENGINE, password=credentials.engine)

        def answers() -> str | None:
            assert self._process is not None
            assert self._process.poll() is None, f"the server ended:\n{self.said}"
            return server_version(port, credentials)

        try:
            eventually(answers, within=_READY)
        except BaseException:
            self.kill()
            raise
        return self

    @property
    def said(self) -> str:
        return self._said.read_text(errors="replace")

    def kill(self) -> None:
        """End it at once. A traced one ends with its tracer."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.kill()
