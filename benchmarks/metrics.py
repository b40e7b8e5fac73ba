"""What metrics cost an engine. Prints a table.

    .venv/bin/python benchmarks/metrics.py

How long it takes to say what a million queued tasks are at, and for how long nothing else gets its turn meanwhile; and
what counting takes of each task. `benchmarks/run.py` measures the whole product, with all of this switched on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from jobledger.adapters.engine.jobs import LiveJobs
from jobledger.adapters.engine.live import LiveJob
from jobledger.adapters.metrics.engine import EngineMeter
from jobledger.adapters.metrics.kinds import KnownTasks
from jobledger.adapters.metrics.queues import survey
from jobledger.adapters.metrics.tally import contents_of
from jobledger.adapters.nats.names import Names
from jobledger.core import events as e
from jobledger.core.job import evolve
from jobledger.core.submission import NewTask, Submission, TaskSpec, columns

_COMMIT = 256  # tasks computed in one


def submission(kinds: Sequence[str], tasks: int) -> Submission:
    """Return so many tasks, of these kinds in turns."""
    specs = [TaskSpec(kind, 1, 0, "default") for kind in kinds]
    (only,) = columns(NewTask(specs[place % len(specs)], b"1", frozenset()) for place in range(tasks))
    return only


def submitted(jobs: LiveJobs, name: str, tasks: Submission) -> LiveJob:
    live = jobs.create(name)
    evolve(live.job, e.JobSubmitted(name, tasks), 1)
    live.growth.note(len(live.job.graph), 1)
    return live


async def surveyed(jobs: LiveJobs) -> tuple[float, float]:
    """Return the seconds that a survey takes, and the longest in which nothing else had its turn."""
    longest, before, done = 0.0, time.perf_counter(), False

    async def wait_for_turns() -> None:
        nonlocal longest, before
        while not done:
            now = time.perf_counter()
            longest, before = max(longest, now - before), now
            await asyncio.sleep(0)

    turns = asyncio.ensure_future(wait_for_turns())
    await asyncio.sleep(0)
    began = time.perf_counter()
    await survey([jobs], KnownTasks())
    took = time.perf_counter() - began
    longest = max(longest, time.perf_counter() - before)
    done = True
    await turns
    return took, longest


async def queues() -> None:
    unused: Any = None  # these jobs are never read
    workloads = {
        "1 job of 1,000,000 tasks of one kind": (1, submission(["A"], 1_000_000)),
        "1 job of 1,000,000 tasks of three kinds in turns": (1, submission(["A", "B", "C"], 1_000_000)),
        "1,000 jobs of 1,000 tasks": (1_000, submission(["A"], 1_000)),
        "50,000 jobs of 1 task": (50_000, submission(["A"], 1)),
    }
    for name, (number, tasks) in workloads.items():
        jobs = LiveJobs(unused, Names())
        for place in range(number):
            submitted(jobs, f"job-{place}", tasks)
        took, longest = min([await surveyed(jobs) for _ in range(5)])
        print(f"{name:<52}{took * 1000:>8.1f} ms, {longest * 1000:.1f} ms at a time", flush=True)


async def counting() -> None:
    unused: Any = None
    live = submitted(LiveJobs(unused, Names()), "job", submission(["A"], 100_000))
    meter = EngineMeter()
    best = [float("inf"), float("inf")]
    for _ in range(5):
        decisions: list[list[e.Event]] = [[e.TaskComputed(task, 1, 1, 2)] for task in range(100_000)]
        began = time.perf_counter()
        for start in range(0, len(decisions), _COMMIT):
            contents = contents_of(decisions[start : start + _COMMIT], settled=0)
            meter.wrote(live, 1, contents, 10_000, 0.001)
        noted = time.perf_counter()
        await meter.samples()
        counted = time.perf_counter()
        best = [min(best[0], noted - began), min(best[1], counted - noted)]
    for what, seconds in zip(("noted in its commit", "counted later"), best, strict=True):
        print(f"{f'a computed task is {what}':<52}{seconds / 100_000 * 1e6:>8.2f} µs")


if __name__ == "__main__":
    asyncio.run(queues())
    asyncio.run(counting())
