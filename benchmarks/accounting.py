"""What processes use: processor time and memory. For Linux, which tells both of any process of the same user."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Self

_libc = ctypes.CDLL(None)


def processor_time(pid: int) -> float:
    """Return the seconds all threads of a process have run so far, those that have ended included.

    It is exact to the nanosecond, where /proc/PID/stat counts ticks of 10 ms. Errors: ProcessLookupError.
    """
    clock = ctypes.c_int()
    if _libc.clock_getcpuclockid(pid, ctypes.byref(clock)):
        raise ProcessLookupError(f"there is no process {pid}")
    try:
        return time.clock_gettime(clock.value)
    except OSError as error:
        raise ProcessLookupError(f"there is no process {pid}") from error


def with_descendants(pid: int) -> list[int]:
    """Return the process and all that it started, directly or not, as far as they live."""
    children = [
        int(child)
        for thread in _entries(Path(f"/proc/{pid}/task"))
        for child in _text(thread / "children").split()
    ]
    return [pid, *(one for child in children for one in with_descendants(child))]


def memory(pid: int, figure: str = "VmRSS") -> float:
    """Return the resident memory of a process in MB: now, or with "VmHWM" at its peak."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split(f"{figure}:")[1].split()[0]) / 1024


def forget_peak(pid: int) -> None:
    """Let the peak of a process's memory be what it has now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


class Usage:
    """Processor time by what the processes are for, summed over the blocks that are entered with it.

    Shape:  `processes` returns the ids of those that live, by what they are for. `traffic` returns how many messages a
            server has taken in and given out so far.
    """

    def __init__(
        self,
        processes: Callable[[], Mapping[str, Iterable[int]]],
        traffic: Callable[[], tuple[int, int]] = lambda: (0, 0),
    ) -> None:
        self._processes = processes
        self._traffic = traffic
        self.messages = (0, 0)  #: that a server took in, and gave out
        self._before: dict[int, float] = {}
        self.seconds: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._traffic_before = self._traffic()
        self._before = {pid: processor_time(pid) for pids in self._processes().values() for pid in pids}
        return self

    def __exit__(self, *error: object) -> None:
        for purpose, pids in self._processes().items():
            used = sum(processor_time(pid) - self._before.get(pid, 0.0) for pid in pids)
            self.seconds[purpose] = self.seconds.get(purpose, 0.0) + used
        taken, given = self._traffic()
        taken_before, given_before = self._traffic_before
        self.messages = self.messages[0] + taken - taken_before, self.messages[1] + given - given_before

    @property
    def total(self) -> float:
        """Seconds of all processes."""
        return sum(self.seconds.values())

    def each(self, count: int) -> dict[str, float]:
        """Return the microseconds that each of `count` things took of each kind of process."""
        return {purpose: seconds / count * 1e6 for purpose, seconds in self.seconds.items()}

    def messages_each(self, count: int) -> tuple[float, float]:
        """Return how many messages the server took in, and gave out, for each of `count` things."""
        return self.messages[0] / count, self.messages[1] / count


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""
