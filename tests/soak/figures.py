"""What is read of processes and of the server from outside, and what each figure may grow by."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

MiB = 1024 * 1024
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Allowed(NamedTuple):
    """By how much a figure may grow while it is watched, at most: the larger of the two."""

    amount: float
    share: float = 0.0  #: of where it began

    def of(self, first: float) -> float:
        return max(self.amount, self.share * first)


#: by figure. What jobs there are goes up and down with the load, and with it what is kept of them.
ALLOWED: Mapping[str, Allowed] = {
    "resident": Allowed(12 * MiB, 0.08),
    "files": Allowed(4),
    "threads": Allowed(3),
    "asyncio tasks": Allowed(20),
    "blocks": Allowed(30_000, 0.08),
    "jobs in memory": Allowed(100),
    "jobs noted of runners": Allowed(300),
    "runners noted": Allowed(4),
    "requests held": Allowed(10),
    "connections": Allowed(3),
    "subscriptions": Allowed(20),
    "streams": Allowed(0.5),
    "consumers": Allowed(4),
    "resident beyond 2 KiB a job": Allowed(48 * MiB, 0.08),
}


def of_process(pid: int, told: Path | None) -> dict[str, float]:
    """Return what the kernel says of a process, and what it says of itself. Errors: FileNotFoundError when it has ended."""
    root = Path("/proc") / str(pid)
    found: dict[str, float] = {
        "resident": int((root / "statm").read_text().split()[1]) * _PAGE,
        "files": len(os.listdir(root / "fd")),
        "threads": len(os.listdir(root / "task")),
    }
    if told is not None and told.exists():
        found |= json.loads(told.read_text(encoding="utf-8"))
    return found


def of_server(monitor: str, pid: int, jobs: int) -> dict[str, float]:
    """Return what a server holds. The log keeps every job; what it needs for that is no leak, and taken off."""
    general, streams = _get(f"{monitor}/varz"), _get(f"{monitor}/jsz")
    process = of_process(pid, None)
    resident = process.pop("resident")
    return {
        "resident beyond 2 KiB a job": max(0.0, resident - 2048 * jobs),
        **process,
        "connections": general["connections"],
        "subscriptions": general["subscriptions"],
        "streams": streams["streams"],
        "consumers": streams["consumers"],
    }


def jobs_of(monitor: str) -> int:
    """Return how many jobs the log has: of all streams on the server, the one with most subjects."""
    (account,) = _get(f"{monitor}/jsz?streams=true")["account_details"]
    return max(int(stream["state"].get("num_subjects", 0)) for stream in account["stream_detail"])


def _get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found
