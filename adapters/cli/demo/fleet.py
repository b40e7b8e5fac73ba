"""The demo's runners: processes it starts, watches and ends, and ends for certain."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from jobledger import JobLedgerError

SIZE = 2  # runners
GRACE = 15.0  # seconds they have to end in order: more than a runner gives the task it is at
_MODULE = f"{__package__}.runner"


class RunnerEnded(JobLedgerError):
    """A runner of the demo ended by itself."""


class Fleet:
    """Runners of one version of the code at a time. As a context manager: none is left behind."""

    def __init__(self, *, folder: Path, cache: Path, cluster: str, say: Callable[[str], None]) -> None:
        """`say` is given each line a runner prints, from another thread."""
        self._options = [f"--folder={folder}", f"--cache={cache}", f"--cluster={cluster}"]
        self._say = say
        self._running: list[tuple[subprocess.Popen[str], threading.Thread]] = []

    def start(self, version: str) -> None:
        """Start runners of the code in the module of this name."""
        # -P: the working directory is not on the module path, whatever Python files lie in it.
        command = [sys.executable, "-P", "-m", _MODULE, version, *self._options]
        for _ in range(SIZE):
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # closes when this process ends, and tells them so
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                env={**os.environ, "PYTHONIOENCODING": "utf-8"},
                process_group=0,  # Ctrl-C is for the demo, which then ends them
            )
            listener = threading.Thread(target=self._listen, args=(process,), daemon=True)
            listener.start()
            self._running.append((process, listener))

    def check(self) -> None:
        """Raise RunnerEnded if a runner is not there any more."""
        for process, listener in self._running:
            if process.poll() is not None:
                listener.join(GRACE)  # what it said last is on the screen before the error is
                raise RunnerEnded(
                    f"runner {process.pid} ended by itself with exit code {process.returncode}; "
                    "the lines above that begin with its number say why"
                )

    def stop(self) -> None:
        """End all of them: they report what they are at, give back what they have not begun, and leave."""
        until = time.monotonic() + GRACE
        for process, _ in self._running:
            process.terminate()
        try:
            for process, _ in self._running:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, until - time.monotonic()))
        finally:  # also where Ctrl-C did not want to wait
            for process, listener in self._running:
                if process.poll() is None:
                    self._say(f"runner {process.pid} did not end when told to, and is killed")
                    process.kill()
                    process.wait()
                listener.join(GRACE)
                assert process.stdin is not None
                process.stdin.close()
            self._running.clear()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self._say(f"runner {process.pid}  {line.rstrip()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
