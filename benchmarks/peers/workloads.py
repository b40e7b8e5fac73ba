"""The workloads, the same for every system, and what a system has to offer to be measured on them.

This runs inside each system's own environment: it imports nothing but the standard library.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Peer:
    """The submitting side of one system. Its tasks do nothing but return a number.

    A method returns once the submitter has *seen* the results, by whatever the system offers for that. What a system
    has a better way for, its peer overrides.
    """

    def submit(self, number: int) -> Callable[[], int]:
        """Submit one job and return what waits for its result, which is `number`."""
        raise NotImplementedError

    def chain(self, length: int) -> int:
        """Run `length` tasks, each of which is given the result of the one before and returns one more; the first is
        given 0. Return the last result."""
        number = 0
        for _ in range(length):
            number = self.submit(number + 1)()
        return number

    def independent(self, count: int) -> Sequence[int]:
        """Submit the jobs 0 to `count` - 1 one after the other, then wait for all of them. Return their results."""
        return [wait() for wait in [self.submit(number) for number in range(count)]]

    def fan_out(self, width: int) -> Sequence[int]:
        """As `independent`, with as few submissions as the system allows."""
        return self.independent(width)

    def close(self) -> None:
        """Give back what it holds."""


class NotAllRan(AssertionError):
    """A workload ended without the results of all its tasks."""


class Measured(NamedTuple):
    """One value of one run, and what it is."""

    what: str
    unit: str
    value: float


def fan_out(peer: Peer, width: int) -> list[Measured]:
    """W1: many tasks, submitted as one where that is possible, until all results are seen."""
    began = time.perf_counter()
    results = peer.fan_out(width)
    seconds = time.perf_counter() - began
    _require_all(results, width)
    return [Measured(f"fan-out of {width:,} tasks", "tasks/s", width / seconds)]


def chain(peer: Peer, length: int) -> list[Measured]:
    """W2: tasks of which each needs the result of the one before."""
    began = time.perf_counter()
    last = peer.chain(length)
    seconds = time.perf_counter() - began
    if last != length:
        raise NotAllRan(f"a chain of {length} tasks ended with {last}")
    return [Measured(f"chain of {length:,} dependent tasks", "tasks/s", length / seconds)]


def small_jobs(peer: Peer, count: int) -> list[Measured]:
    """W3: one job on a system that has nothing else to do, `count` times."""
    took = []
    for number in range(count):
        began = time.perf_counter()
        result = peer.submit(number)()
        took.append((time.perf_counter() - began) * 1000)
        if result != number:
            raise NotAllRan(f"job {number} returned {result}")
    took.sort()
    return [
        Measured(f"one small job, submit to result, {name}", "ms", took[round(share * (count - 1))])
        for name, share in (("p50", 0.5), ("p99", 0.99))
    ]


def many_jobs(peer: Peer, count: int) -> list[Measured]:
    """W4: independent jobs, submitted one by one, until all results are seen."""
    began = time.perf_counter()
    results = peer.independent(count)
    seconds = time.perf_counter() - began
    _require_all(results, count)
    return [Measured(f"{count:,} small jobs", "jobs/s", count / seconds)]


WORKLOADS: dict[str, Callable[[Peer, int], list[Measured]]] = {
    "W1": fan_out,
    "W2": chain,
    "W3": small_jobs,
    "W4": many_jobs,
}


def _require_all(results: Sequence[int], count: int) -> None:
    if sorted(results) != list(range(count)):
        raise NotAllRan(f"{count} tasks, but {len(set(results) & set(range(count)))} of their results")
