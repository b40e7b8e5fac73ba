"""W4: one client with very many small jobs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from benchmarks.accounting import Usage
from benchmarks.bench import Bench
from benchmarks.report import Figure, at_least
from benchmarks.system import Product
from benchmarks.tasks import Leaf
from jobledger import Job, JobState, NewJob

Submit = Callable[[Product, str, int], list[Job]]


def many_jobs(bench: Bench) -> Iterator[Figure]:
    """5,000 independent jobs of one task that does nothing, submitted by one client and then waited for."""
    count = bench.size(5_000)
    with bench.product.runners():
        for way, submit in WAYS.items():
            rates = Rates(bench.product.usage())
            for run in bench.runs():
                one_run(bench.product, f"{submit.__name__} {run:03}", count, submit, rates)
            yield from rates.figures(way, count, bench.repeat)


@dataclass
class Rates:
    """Jobs a second, of each run."""

    usage: Usage
    submitted: list[float] = field(default_factory=list)
    completed: list[float] = field(default_factory=list)
    waited_for: list[float] = field(default_factory=list)

    def figures(self, way: str, count: int, runs: int) -> Iterator[Figure]:
        yield Figure(
            workload="W4",
            what=f"{way}: {count:,} jobs submitted",
            unit="jobs/s",
            values=self.submitted,
            per="job",
            cpu=self.usage.each(count * runs),
            messages=self.usage.messages_each(count * runs),
            target=at_least(5_000),
        )
        yield Figure(
            workload="W4",
            what=f"{way}: {count:,} jobs completed, by the log",
            unit="jobs/s",
            values=self.completed,
            target=at_least(3_000),
        )
        yield Figure(
            workload="W4",
            what=f"{way}: {count:,} jobs, all waited for",
            unit="jobs/s",
            values=self.waited_for,
        )


def one_run(product: Product, name: str, count: int, submit: Submit, rates: Rates) -> None:
    """Submit the jobs, wait for all, and see that the view across jobs knows of all of them."""
    with rates.usage:
        clock, began = time.time(), time.perf_counter()
        jobs = submit(product, name, count)
        submitted = time.perf_counter() - began
        product.jobs.wait_all(jobs, timeout=600)
        waited = time.perf_counter() - began
        product.until_projected()
    rows = product.jobs.rows(name=name)
    assert len(rows) == len({job.id for job in jobs}) == count, f"{len(rows):,} of {count:,} jobs"
    assert all(row.state is JobState.COMPLETED for row in rows)
    completed = max(row.finished for row in rows) / 1e6 - clock  # one machine, one clock
    rates.submitted.append(count / submitted)
    rates.completed.append(count / completed)
    rates.waited_for.append(count / waited)


def one_by_one(product: Product, name: str, count: int) -> list[Job]:
    return [product.jobs.submit(name, Leaf(index)) for index in range(count)]


def together(product: Product, name: str, count: int) -> list[Job]:
    return product.jobs.submit_many(NewJob(name, Leaf(index)) for index in range(count))


#: how a user may submit them
WAYS: dict[str, Submit] = {"a loop of submit()": one_by_one, "submit_many()": together}
