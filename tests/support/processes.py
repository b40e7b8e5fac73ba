"""Processes that tests start, kill as a crash would, and start again: engines and runners, each a program of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Self

import jobledger

_PATIENCE = 20.0  # seconds a start or an orderly end may take
_TESTS = Path(__file__).parents[1]
_SOURCE = Path(jobledger.__path__[0]).parent


class PythonProcess:
    """One Python program. It is ready once a line on its stderr contains `ready`; the last lines are kept in `log`."""

    def __init__(
        self,
        *arguments: str,
        ready: str,
        environment: dict[str, str] | None = None,
        folder: Path | None = None,
        keep: Path | None = None,
    ) -> None:
        """`keep` is a file to which all of its stderr goes, over all of its starts, besides `log`."""
        self._folder = folder
        self._keep = keep
        self.command = [sys.executable, *arguments]
        self._ready_line = ready
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(_SOURCE), str(_TESTS))),
            **(environment or {}),
        }
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._ready = threading.Event()
        self._log: deque[str] = deque(maxlen=200)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def status(self) -> int | None:
        """The exit code of one that ended by itself, minus the number of a signal; None while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def log(self) -> str:
        return "".join(self._log)

    def launch(self) -> Self:
        """Start without waiting until it is ready."""
        assert not self.alive
        self._ready = threading.Event()
        self._process = subprocess.Popen(
            self.command,
            env=self._environment,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, args=(self._process, self._ready), daemon=True)
        self._reader.start()
        return self

    def wait_ready(self) -> Self:
        assert self._ready.wait(_PATIENCE), f"not ready in time:\n{self.log}"
        assert self.alive, f"it ended at its start:\n{self.log}"
        return self

    def start(self) -> Self:
        """Start, and return when it is ready."""
        return self.launch().wait_ready()

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it do nothing until it is thawed, as when its machine is asleep or swapping."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)

    def terminate(self) -> None:
        """Tell it to end in order, and do not wait for that."""
        self._send(signal.SIGTERM)

    def stop(self) -> None:
        """End it in order; as a crash would if that takes too long."""
        try:
            self._end(signal.SIGTERM)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it did not end when told to:\n{self.log}") from None

    def _send(self, sign: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(sign)  # to nobody if it has ended already

    def _end(self, sign: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(sign)  # to nobody if it has ended already
        self._process.wait(_PATIENCE)
        self._process = None
        assert self._reader is not None
        self._reader.join(_PATIENCE)

    def _read(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stderr is not None
        with process.stderr, open(self._keep or os.devnull, "a", encoding="utf-8") as kept:
            for line in process.stderr:
                self._log.append(line)
                kept.write(line)
                if self._ready_line in line:
                    ready.set()
        ready.set()  # it ended; `wait_ready` looks


def engine_process(url: str, namespace: str, *, lease: float, more: tuple[str, ...] = ()) -> PythonProcess:
    """Return `jobledger engine`, not started yet."""
    command = "from jobledger.adapters.cli import main; main()"
    options = ("--nats", url, "--namespace", namespace, "--lease", str(lease), *more)
    return PythonProcess("-c", command, "engine", *options, ready="serving namespace")
