"""W2: tasks that come one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from benchmarks.bench import Bench, percentile
from benchmarks.report import Figure, at_least, at_most
from benchmarks.tasks import Chain
from jobledger import Job


def chain(bench: Bench) -> Iterator[Figure]:
    """A chain of 500 tasks that do nothing, each of which depends on the one before.

    A hop is the time between the claims of two tasks, by the engine's clock, as the log tells it.
    """
    length = bench.size(500, least=3)
    product, usage = bench.product, bench.product.usage()
    rates, middles, slowest = [], [], []
    with product.runners():
        for _ in bench.runs():
            job, took = product.run(Chain(length), length, usage)
            rates.append(length / took)
            hops = hops_of(job)
            middles.append(percentile(hops, 0.5))
            slowest.append(percentile(hops, 0.99))
    yield Figure(
        workload="W2",
        what=f"chain of {length} dependent tasks",
        unit="tasks/s",
        values=rates,
        per="task",
        cpu=usage.each(length * bench.repeat),
        messages=usage.messages_each(length * bench.repeat),
        target=at_least(2_000),
    )
    yield Figure(workload="W2", what="a hop, p50", unit="ms", values=middles, target=at_most(0.5))
    yield Figure(workload="W2", what="a hop, p99", unit="ms", values=slowest, target=at_most(2))


def hops_of(job: Job) -> list[float]:
    """Return the milliseconds from each claim to the next."""
    claims = [task.attempts[0].claimed_at for task in job.tasks[1:]]
    assert claims == sorted(claims), "a task was claimed before the one it depends on"
    return [(after - before).total_seconds() * 1000 for before, after in pairwise(claims)]
