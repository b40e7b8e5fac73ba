"""Tasks of a job that needs all that runners may do: two clusters, large values, a cache, log lines, earlier successes."""

from __future__ import annotations

import time

from jobledger import ExecutionContext, Runner, Task

LARGE = 200_000


class Leaf(Task):
    number: int

    def execute(self, context: ExecutionContext) -> str:
        context.job_cache[f"leaf-{self.number}"] = bytes(LARGE)
        context.logger.info("a leaf")
        return "y" * (LARGE if self.number == 0 else 10)


class Sum(Task, reuse=True):
    """Runs in the other cluster, on what the leaves returned and left in the cache."""

    padding: str

    def execute(self, context: ExecutionContext) -> int:
        returned = sum(len(text) for text in context.results(as_type=str) if text is not None)
        return returned + sum(len(context.job_cache[key]) for key in context.job_cache) + len(self.padding)


class Root(Task):
    def execute(self, context: ExecutionContext) -> None:
        leaves = context.submit_subtasks([Leaf(0), Leaf(1)], cluster="gpu")
        context.submit_subtask(Sum("p" * LARGE), depends_on=leaves, cluster="cpu")


class Waits(Task):
    """Until it is told that it is not wanted any more."""

    def execute(self, context: ExecutionContext) -> None:
        while not context.canceled:
            time.sleep(0.01)


runner = Runner(tasks=[Root, Leaf, Sum, Waits])
#: what `Sum` returns
TOTAL = LARGE + 10 + 2 * LARGE + LARGE
