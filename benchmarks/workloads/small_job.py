"""W3: how long somebody waits for one small job."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.bench import Bench, percentile
from benchmarks.report import Figure, at_most
from benchmarks.tasks import Leaf
from jobledger import JobState


def small_job(bench: Bench) -> Iterator[Figure]:
    """A job of one task that does nothing, on an idle system: from `submit` until `wait` returns, 200 times a run."""
    count = bench.size(200, least=2)
    product, usage = bench.product, bench.product.usage()
    middles, slowest = [], []
    with product.runners():
        for _ in bench.runs():
            took = []
            with usage:
                for index in range(count):
                    began = time.perf_counter()
                    job = product.jobs.submit("small", Leaf(index)).wait(60)
                    took.append((time.perf_counter() - began) * 1000)
                product.until_projected()
            assert job.state is JobState.COMPLETED
            middles.append(percentile(took, 0.5))
            slowest.append(percentile(took, 0.99))
    yield Figure(
        workload="W3",
        what="one small job, submit to wait(), p50",
        unit="ms",
        values=middles,
        per="job",
        cpu=usage.each(count * bench.repeat),
        messages=usage.messages_each(count * bench.repeat),
        target=at_most(1.5),
    )
    yield Figure(
        workload="W3",
        what="one small job, submit to wait(), p99",
        unit="ms",
        values=slowest,
        target=at_most(4),
    )
