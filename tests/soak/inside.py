"""What only a process itself can count: a thread of it writes that down, every half second."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any

#: names the file
FIGURES = "SOAK_FIGURES"
#: names what the process is to leak on purpose, to see that it is noticed
LEAK = "SOAK_LEAK"
_PERIOD = 0.5  # seconds
_engines: weakref.WeakSet[Any] = weakref.WeakSet()


def report() -> None:
    """Begin to write down what this process holds; and to leak, if it was told to."""
    path = Path(os.environ[FIGURES])
    leak = os.environ.get(LEAK, "")

    def run() -> None:
        kept: list[Any] = []
        while True:
            if leak == "memory":
                kept.append(bytearray(os.urandom(1024) * 3072))
            elif leak == "files":
                kept.append(open(os.devnull))  # noqa: SIM115
            elif leak == "threads":
                threading.Thread(target=threading.Event().wait, daemon=True).start()
            _write(path)
            time.sleep(_PERIOD)

    threading.Thread(target=run, name="soak-figures", daemon=True).start()


def _write(path: Path) -> None:
    figures = {"asyncio tasks": _tasks(), "blocks": sys.getallocatedblocks(), **_of_engines()}
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(figures), encoding="utf-8")
    temporary.replace(path)


def _tasks() -> int:
    """Return how many asyncio tasks there are, on all event loops."""
    tasks: Any = getattr(asyncio.tasks, "_all_tasks", None)
    if tasks is None:  # Python 3.12
        tasks = asyncio.tasks._scheduled_tasks  # type: ignore[attr-defined]
    while True:
        try:
            return sum(not task.done() for task in list(tasks))
        except RuntimeError:  # another thread made one meanwhile
            continue


def watch_engines() -> None:
    """Have what the engines of this process hold told, too."""
    from jobledger.adapters.engine.service import Engine

    begin = Engine.__init__

    def noted(self: Engine, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        _engines.add(self)

    Engine.__init__ = noted  # type: ignore[method-assign]


def _of_engines() -> dict[str, int]:
    """Return how much the engines of this process keep in mind of runners and of those who wait."""
    engines = list(_engines)
    if not engines:
        return {}
    ledgers = [engine._ledger for engine in engines]
    return {
        "jobs in memory": sum(len(ledger.jobs) for ledger in ledgers),
        "jobs noted of runners": sum(ledger.leases.noted for ledger in ledgers),
        "runners noted": sum(ledger.leases.runners + ledger.suspects.noted for ledger in ledgers),
        "requests held": sum(ledger.dispatcher.waiting + ledger.followers.waiting for ledger in ledgers),
    }
