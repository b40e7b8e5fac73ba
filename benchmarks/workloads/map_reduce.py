"""W5: what is left of the processor for the tasks themselves."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.burning import burn, burned, rounds_of
from benchmarks.report import Figure, at_least
from benchmarks.tasks import MapReduce

_SECONDS = 0.001  # of processor time, that a task takes


def map_reduce(bench: Bench) -> Iterator[Figure]:
    """4,000 tasks of 1 ms of real work each, in 4 processes, and one that adds up what they found.

    What the cores allow is measured in the same run, right before and after each: as many plain processes, which do
    nothing but the work itself. "Left for tasks" counts all processor time that anything of the product used for the job.
    """
    parts, rounds = bench.size(4_000, least=8), rounds_of(_SECONDS)
    expected = sum(burn(seed, rounds) for seed in range(parts))
    processes = bench.size(4, least=2)
    ways = {
        f"{processes} runner processes": bench.product.runners(processes),
        f"one runner with a pool of {processes} processes": bench.product.runners(pool=processes),
    }
    for way, runners in ways.items():
        usage = bench.product.usage()
        rates, shares, bare, worked = [], [], [], 0.0
        with runners:
            before = burned(parts, rounds, processes)
            for _ in bench.runs():
                job, took = bench.product.run(MapReduce(parts, rounds), parts + 1, usage)
                assert job.tasks[parts + 1].result == expected
                after = burned(parts, rounds, processes)
                rates.append(parts / took)
                bare.append((before.rate + after.rate) / 2)
                shares.append(100 * rates[-1] / bare[-1])
                worked += (before.processor + after.processor) / 2
                before = after
        yield Figure(
            workload="W5",
            what=f"{way}: map-reduce of {parts:,} tasks of 1 ms",
            unit="tasks/s",
            values=rates,
            per="task",
            cpu=usage.each(parts * bench.repeat),
            messages=usage.messages_each(parts * bench.repeat),
        )
        yield Figure(
            workload="W5",
            what=f"{way}: plain processes, without the product",
            unit="tasks/s",
            values=bare,
        )
        yield Figure(
            workload="W5",
            what=f"{way}: of what the cores allow",
            unit="%",
            values=shares,
            target=at_least(90),
        )
        yield Figure(
            workload="W5",
            what=f"{way}: of all processor time, left for tasks",
            unit="%",
            values=[100 * worked / usage.total],
        )
