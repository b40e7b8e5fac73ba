"""Whether a task costs the same however much work there is, or was."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.report import Figure, at_most
from benchmarks.system import Product
from benchmarks.tasks import Chain, FanOut, Parked
from jobledger import NewJob, Task

_MOST_TASKS, _MOST_LIVE_JOBS = 1_000_000, 10_000
_OF_ONE_SIZE = 300_000  # tasks of jobs of one size: of the largest, one job takes long enough
_PROBE, _HOPS = 10_000, 100


def growing_log(bench: Bench) -> Iterator[Figure]:
    """What a task costs as its job grows from 1,000 tasks to 1,000,000, and of a job of 10,000 as the log grows by these."""
    product, probe, in_log = bench.product, bench.size(_PROBE), 0
    by_job = Curve(product, "flat", "a task of a job, by its tasks")
    by_log = Curve(product, "flat", f"a task of a job of {probe:,}, by tasks in the log")
    with product.runners():
        for tasks in sizes(1_000, _MOST_TASKS, bench):
            runs = min(bench.repeat, max(1, _OF_ONE_SIZE // tasks))
            yield by_job.point(tasks, FanOut(tasks), tasks, runs)
            in_log += tasks * runs
            yield by_log.point(in_log, FanOut(probe), probe, bench.repeat)
            in_log += probe * bench.repeat
    yield from by_job.growth()
    yield from by_log.growth()


def live_jobs(bench: Bench) -> Iterator[Figure]:
    """What a task costs as 1 to 10,000 other jobs are alive, each with a task that waits for a runner."""
    product, probe, hops, alive = bench.product, bench.size(_PROBE), bench.size(_HOPS, least=3), 0
    of_fan_out = Curve(product, "live", f"a task of a fan-out of {probe:,}, by live jobs")
    of_chain = Curve(product, "live", f"a task of a chain of {hops}, by live jobs")
    with product.runners():
        for wanted in sizes(1, _MOST_LIVE_JOBS, bench):
            product.jobs.submit_many(NewJob("parked", Parked()) for _ in range(wanted - alive))
            alive = wanted
            yield of_fan_out.point(alive, FanOut(probe), probe, bench.repeat)
            yield of_chain.point(alive, Chain(hops), hops, bench.repeat)
    yield from of_fan_out.growth()
    yield from of_chain.growth()


class Curve:
    """Time of a task, at one amount of work after the other."""

    def __init__(self, product: Product, workload: str, name: str) -> None:
        self._product = product
        self._workload = workload
        self._name = name
        self._points: list[Figure] = []

    def point(self, x: int, root: Task, tasks: int, runs: int) -> Figure:
        """Measure jobs of so many tasks, where there is so much work."""
        usage = self._product.usage()
        times = [self._product.run(root, tasks, usage)[1] / tasks * 1e6 for _ in range(runs)]
        point = Figure(
            workload=self._workload,
            what=f"{self._name}: {x:,}",
            unit="µs",
            values=times,
            per="task",
            cpu=usage.each(tasks * runs),
            curve=self._name,
            x=x,
        )
        self._points.append(point)
        return point

    def growth(self) -> Iterator[Figure]:
        """Yield how many times as much a task costs at the end of the curve as at its beginning: by the clock, and in
        processor time of all processes, which depends less on what else the machine does."""
        first, last = self._points[0], self._points[-1]
        for what, ratio in (
            ("time", last.median / first.median),
            ("processor time", sum(last.cpu.values()) / sum(first.cpu.values())),
        ):
            yield Figure(
                workload=self._workload,
                what=f"{self._name}: {what}, last over first",
                unit="",
                values=[ratio],
                target=at_most(1.2),
            )


def sizes(first: int, last: int, bench: Bench) -> list[int]:
    """Return sizes, each ten times the one before."""
    found, size = [], first
    while size <= last:
        found.append(bench.size(size))
        size *= 10
    return sorted(set(found))
