"""W8: what runners cost that have nothing to do."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.report import Figure, at_most
from benchmarks.runner import LABEL
from benchmarks.system import Product


def idle_runners(bench: Bench) -> Iterator[Figure]:
    """200 runners that are connected and idle, for half a minute: 50 in each of 4 processes, each with its own connection.

    Requests are what the server has counted as received from each runner's connection.
    """
    processes, each, seconds = bench.size(4), bench.size(50), 30 * min(1.0, max(0.02, bench.scale))
    runners = processes * each
    product, usage = bench.product, bench.product.usage()
    used: dict[str, list[float]] = {}
    requests, most = [], []
    with product.runners(processes, each=each):
        for _ in bench.runs():
            before, so_far = sent(product), dict(usage.seconds)
            began = time.perf_counter()
            with usage:
                time.sleep(seconds)
            window = time.perf_counter() - began
            after = sent(product)
            assert before.keys() == after.keys(), "a runner lost its connection"
            assert len(after) == runners, f"{len(after)} runners of {runners}"
            counts = [after[connection] - before[connection] for connection in after]
            requests.append(sum(counts) / runners / window)
            most.append(max(counts) / window)
            for purpose, total in usage.seconds.items():
                share = 100 * (total - so_far.get(purpose, 0.0)) / window
                used.setdefault(purpose, []).append(share)
    for purpose, target in {"engine": at_most(2), "nats-server": None, "runner": None}.items():
        what = f"{runners} idle runners: processor of the {purpose}{'s' if purpose == 'runner' else ''}"
        yield Figure(workload="W8", what=what, unit="%", values=used[purpose], target=target)
    yield Figure(workload="W8", what="requests of a runner", unit="/s", values=requests)
    yield Figure(
        workload="W8",
        what="requests of the runner that asks most",
        unit="/s",
        values=most,
        target=at_most(0.2),
    )


def sent(product: Product) -> dict[int, int]:
    """Return how many messages each runner's connection has sent."""
    return {one["cid"]: one["in_msgs"] for one in product.connections() if one["name"] == LABEL}
