"""What it takes to fork a large job, to compare it with its fork, and to ask what its history comes to.

    .venv/bin/python benchmarks/forks.py                  # 100,000 tasks, about 20 s
    .venv/bin/python benchmarks/forks.py --tasks 1000 --json figures.json

On the embedded server, durable as ever. The job is one task that submits all others, which return a number each. It is
forked with another input for two of them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from jobledger import Client, ExecutionContext, Job, Task
from jobledger.adapters.embedded.start import stop_server
from jobledger.projections.comparing import compare
from jobledger.projections.forking import plan_fork

T = TypeVar("T")


class Leaf(Task):
    """Returns its number."""

    index: int

    def execute(self, context: ExecutionContext) -> int:
        return self.index


class FanOut(Task):
    """Submits `width` leaves at once."""

    width: int

    def execute(self, context: ExecutionContext) -> None:
        context.submit_subtasks([Leaf(index) for index in range(self.width)])


class Figures:
    """Seconds, by what took them."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def of(self, what: str, do: Callable[[], T]) -> T:
        begin = time.perf_counter()
        result = do()
        self.seconds[what] = time.perf_counter() - begin
        print(f"{what:<44} {self.seconds[what]:8.3f} s", flush=True)
        return result


def measure(client: Client, tasks: int) -> dict[str, float]:
    jobs, figures = client.jobs(), Figures()

    def run(job: Job) -> Job:
        client.runner(tasks=[FanOut, Leaf]).run_all()
        return job.wait()

    job = figures.of("submit and run the job", lambda: run(jobs.submit("large", FanOut(tasks))))
    edits = {1: Leaf(-1), tasks: Leaf(-2)}
    fork = figures.of("fork it, with two other inputs", lambda: jobs.fork(job.id, tasks=edits))
    figures.of("run what is left of the fork", lambda: run(fork))
    diff = figures.of("compare both, read from the log", lambda: jobs.diff(job.id, fork.id))
    assert len(diff.tasks) == 2, diff
    outcome = figures.of("ask what its history comes to", lambda: jobs.what_if(job.id, tasks=[FanOut, Leaf]))
    assert not outcome, outcome
    left, right = job.refresh()._reading.view, fork.refresh()._reading.view
    figures.of("of which: plan the fork", lambda: plan_fork(left, str(fork.id), {}))
    figures.of("of which: compare", lambda: compare(left, right))
    return figures.seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--json", type=Path, help="write the figures there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            with Client(data_folder=folder) as client:
                seconds = measure(client, given.tasks)
        finally:
            stop_server(folder)
    if given.json:
        given.json.write_text(json.dumps({"tasks": given.tasks, "seconds": seconds}, indent=1))


if __name__ == "__main__":
    main()
