"""Tasks of many shapes, each of which does next to nothing."""

from __future__ import annotations

from jobledger import ExecutionContext, Retry, Task


class Leaf(Task):
    number: int = 0

    def execute(self, context: ExecutionContext) -> int:
        return self.number


class Fan(Task):
    """Tasks side by side, and one that waits for all of them and reads what they returned."""

    width: int

    def execute(self, context: ExecutionContext) -> None:
        leaves = context.submit_subtasks([Leaf(number) for number in range(self.width)])
        context.submit_subtask(Total(), depends_on=leaves)


class Total(Task):
    def execute(self, context: ExecutionContext) -> int:
        return sum(context.results())


class Chain(Task):
    """One after the other."""

    length: int

    def execute(self, context: ExecutionContext) -> None:
        last = context.submit_subtask(Leaf())
        for _ in range(self.length - 1):
            last = context.submit_subtask(Leaf(), depends_on=[last])


class Tree(Task):
    """Each level submits the next."""

    depth: int

    def execute(self, context: ExecutionContext) -> None:
        context.current_task.display = f"{self.depth} below"
        if self.depth:
            context.submit_subtasks([Tree(self.depth - 1), Tree(self.depth - 1)])


class Telling(Task):
    """Logs, counts, opens a span, and keeps something in the job's cache."""

    def execute(self, context: ExecutionContext) -> None:
        context.logger.info("read", rows=3)
        with context.tracer.span("reading"):
            context.progress("rows").add(3)
            context.progress("rows").done(3)
        context.job_cache["rows"] = b"3"


class Flaky(Task, retry=Retry(2)):
    """Succeeds at its third attempt."""

    def execute(self, context: ExecutionContext) -> None:
        if context.current_task.attempt < 3:
            raise OSError("not yet")


class Hopeless(Task):
    def execute(self, context: ExecutionContext) -> None:
        raise ValueError("never")


class Optional(Task):
    """One part of it fails, which is nobody's business."""

    def execute(self, context: ExecutionContext) -> None:
        context.submit_subtask(Hopeless(), optional=True)
        context.submit_subtask(Leaf())


TASKS = [Leaf, Fan, Total, Chain, Tree, Telling, Flaky, Hopeless, Optional]

#: what is submitted in turn, and how many tasks each comes to
SHAPES: list[tuple[Task, int]] = [
    (Fan(28), 30),
    (Chain(9), 10),
    (Tree(4), 31),
    (Telling(), 1),
    (Fan(60), 62),
    (Flaky(), 1),
    (Leaf(), 1),
    (Optional(), 3),
    (Fan(40), 42),
    (Hopeless(), 1),
]
