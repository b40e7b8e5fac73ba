"""One system, measured: its environment, its server, its worker and its submitter, each in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .environments import PEERS, Unavailable, environment
from .servers import last_words
from .systems import System

ROOT = PEERS.parents[1]
_PATIENCE = 60.0  # seconds that a system may take to start, and then for one run of a workload
_END = 10.0  # seconds that a worker has to end


def measure(system: System, sizes: Mapping[str, int], repeat: int, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield what the submitter prints, with the system's server and worker running, and first the server's version.

    Shape:  `folder` has the environments, or gets them.
    Errors: Unavailable, saying why in one line, when the system cannot be installed, started or measured.
    """
    place = environment(system.folder, folder)
    with ExitStack() as running:
        data = Path(running.enter_context(TemporaryDirectory(prefix="jobledger-peer-")))
        server = running.enter_context(system.server(data, folder))
        yield {"server": server.version}
        variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
            **system.environment,
            "PATH": os.pathsep.join((str(place / "bin"), os.environ["PATH"])),
            "PYTHONPATH": str(ROOT),
            "PEER_FOLDER": str(data),
            "PEER_SERVER": server.url,
        }
        if system.prepare:
            program, *rest = (word.format(server=server.url) for word in system.prepare)
            prepare([str(place / "bin" / program), *rest], data / "prepare.log", variables)
        if system.worker:
            program, *rest = system.worker
            running.enter_context(
                worker([str(place / "bin" / program), *rest], data / "worker.log", variables)
            )
        command = [str(place / "bin" / "python"), "-m", "benchmarks.peers.submitter", system.folder]
        command += [*(f"{workload}={size}" for workload, size in sizes.items()), "--repeat", str(repeat)]
        try:
            yield from submitted(
                command, data / "submitter.log", variables, patience=_PATIENCE * (1 + repeat)
            )
        except Unavailable as error:
            raise Unavailable(f"{error}; its worker said last: {last_words(data / 'worker.log')}") from error


def prepare(command: list[str], log: Path, variables: Mapping[str, str]) -> None:
    """Run a program to its end."""
    with log.open("w") as said:
        done = subprocess.run(
            command,
            cwd=log.parent,
            env=dict(variables),
            stdout=said,
            stderr=said,
            timeout=_PATIENCE,
            check=False,
        )
    if done.returncode:
        raise Unavailable(f"its preparation failed: {last_words(log)}")


@contextmanager
def worker(command: list[str], log: Path, variables: Mapping[str, str]) -> Iterator[None]:
    """Have the system's worker running, with all the processes it starts."""
    with log.open("w") as said:
        running = subprocess.Popen(
            command,
            cwd=log.parent,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,  # so that what it starts can be ended with it
        )
    try:
        yield
    finally:
        running.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            running.wait(_END)
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def submitted(
    command: list[str], log: Path, variables: Mapping[str, str], *, patience: float
) -> Iterator[dict[str, Any]]:
    """Run a submitter and yield what it measured, line by line.

    Units:  `patience` is the seconds that a line may take, the first of which says that the worker answers.
    Errors: Unavailable when the submitter fails or takes longer.
    """
    with log.open("w") as said:
        running = subprocess.Popen(
            command,
            cwd=log.parent,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
        )
    assert running.stdout is not None
    try:
        while True:
            end = threading.Timer(patience, running.kill)
            end.start()
            line = running.stdout.readline()
            end.cancel()
            if not line:
                break
            told: dict[str, Any] = json.loads(line)
            if "ready" not in told:
                yield told
        if running.wait() == -signal.SIGKILL:
            raise Unavailable(f"it took longer than {patience:g} s")
        if running.returncode:
            raise Unavailable(f"its submitter failed: {last_words(log)}")
    finally:
        running.kill()
        running.communicate()
