"""huey on SQLite: the tasks its consumer serves, and the submitting side."""

# mypy: disable-error-code="import-not-found, untyped-decorator"
# (its package is only in its own environment)
from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.peers.workloads import Peer
from huey import SqliteHuey

#: how to look for results: every millisecond, without slowing down (left alone: 50 ms and slower), and without deleting
#: them, which is a write of its own (1,350 tasks a second instead of 1,100)
LOOKING = {"blocking": True, "backoff": 1.0, "max_delay": 0.001, "preserve": True}

huey = SqliteHuey(filename=f"{os.environ['PEER_FOLDER']}/huey.db", fsync=True)


@huey.task()
def same(number: int) -> int:
    return number


@huey.task()
def one_more(number: int) -> int:
    return number + 1


class Huey(Peer):
    def submit(self, number: int) -> Callable[[], int]:
        result = same(number)
        return lambda: result.get(**LOOKING)

    def chain(self, length: int) -> int:
        pipeline = one_more.s(0)
        for _ in range(length - 1):
            pipeline = pipeline.then(one_more)
        results: Any = huey.enqueue(pipeline)
        last: int = results.get(**LOOKING)[-1]
        return last

    def fan_out(self, width: int) -> Sequence[int]:
        results: Sequence[int] = same.map(range(width)).get(**LOOKING)
        return results


def open_peer() -> Huey:
    return Huey()
