"""Finding and ending processes without trusting a process id alone: ids are reused, command lines tell."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_PROC = Path("/proc")
_HAS_PROC = (_PROC / "self" / "cmdline").exists()


def command_of(pid: int) -> str | None:
    """Return the command line of a living process, its arguments joined by blanks; None if there is none."""
    if _HAS_PROC:
        try:
            raw = (_PROC / str(pid) / "cmdline").read_bytes()
        except OSError:
            return None
        return os.fsdecode(raw.rstrip(b"\0").replace(b"\0", b" ")) or None  # a zombie's is empty
    shown = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, check=False)
    return os.fsdecode(shown.stdout).strip() or None


def pid_namespace() -> str:
    """Return a name for the set of processes among which an id means the same one: a container has its own."""
    with contextlib.suppress(OSError):
        return os.readlink(_PROC / "self" / "ns" / "pid")
    return ""


def find_process(is_it: Callable[[str], bool]) -> int | None:
    """Return the id of a living process whose command line `is_it`."""
    return next((pid for pid, command in _processes() if is_it(command)), None)


def end_process(pid: int, is_it: Callable[[str], bool], *, patience: float) -> None:
    """End a process and return when it is gone: by SIGTERM, after `patience` seconds by SIGKILL.

    A process whose command line is not `is_it` is somebody else's, and left alone.
    """
    for sign, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
        until = time.monotonic() + seconds
        if not _runs(pid, is_it):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sign)
        while time.monotonic() < until:
            if not _runs(pid, is_it):
                return
            time.sleep(0.02)


def _runs(pid: int, is_it: Callable[[str], bool]) -> bool:
    command = command_of(pid)
    return command is not None and is_it(command)


def _processes() -> Iterator[tuple[int, str]]:
    if _HAS_PROC:
        for entry in _PROC.iterdir():
            if entry.name.isdecimal() and (command := command_of(int(entry.name))):
                yield int(entry.name), command
        return
    shown = subprocess.run(["ps", "-axww", "-o", "pid=,args="], capture_output=True, check=False)
    for line in os.fsdecode(shown.stdout).splitlines():
        pid, _, command = line.strip().partition(" ")
        yield int(pid), command.strip()
