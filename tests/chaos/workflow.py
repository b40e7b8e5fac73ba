"""Jobs of varied shapes whose tasks check each other's results: one that is lost or wrong fails its job.

`jobledger runner start chaos.workflow:runner` runs them; what is noted on the way is said in `notes`.
"""

from __future__ import annotations

import asyncio
import os
import threading

from chaos import notes
from jobledger import Concurrency, ExecutionContext, Runner, Task

_notes = notes.of_environment()


def begin(context: ExecutionContext, milliseconds: int = 0) -> None:
    """Note that the attempt has begun, and take a while."""
    task = context.current_task
    if _notes is not None:
        _notes.write(notes.BEGUN, [(task.id, task.attempt, os.getpid())])
    if milliseconds:
        threading.Event().wait(milliseconds / 1000)


class WrongResult(Exception):
    """A task was given other results than those it depends on had."""


class Leaf(Task):
    """Returns its value."""

    value: int
    milliseconds: int = 0

    def execute(self, context: ExecutionContext) -> int:
        begin(context, self.milliseconds)
        return self.value


class AsyncLeaf(Task):
    """The same as a coroutine."""

    value: int
    milliseconds: int = 0

    async def execute(self, context: ExecutionContext) -> int:
        begin(context)
        await asyncio.sleep(self.milliseconds / 1000)
        return self.value


class Exclusive(Task, concurrency=Concurrency("chaos", 2)):
    """The same, of which few run at a time."""

    value: int
    milliseconds: int = 0

    def execute(self, context: ExecutionContext) -> int:
        begin(context, self.milliseconds)
        return self.value


class Flaky(Task):
    """The same at its second attempt."""

    value: int
    milliseconds: int = 0

    def execute(self, context: ExecutionContext) -> int:
        begin(context, self.milliseconds)
        if context.current_task.attempt == 1:
            raise RuntimeError("the first attempt always fails")
        return self.value


class Hopeless(Task):
    """Always fails."""

    def execute(self, context: ExecutionContext) -> None:
        begin(context)
        raise RuntimeError("every attempt fails")


class Sum(Task):
    """Adds up what those before it returned, and knows what that has to be."""

    expected: int

    def execute(self, context: ExecutionContext) -> int:
        begin(context)
        found: int = sum(value for value in context.results() if value is not None)
        if found != self.expected:
            raise WrongResult(f"{found} instead of {self.expected}")
        return found


class Next(Task):
    """Goes on counting from the one before it."""

    number: int
    milliseconds: int = 0

    def execute(self, context: ExecutionContext) -> int:
        begin(context, self.milliseconds)
        if self.number and context.results() != [self.number - 1]:
            raise WrongResult(f"number {self.number} after {context.results()}")
        return self.number


class Fan(Task):
    """Many side by side, and their sum. `kind`: plain, async, exclusive or flaky."""

    width: int
    milliseconds: int = 0
    kind: str = "plain"

    def execute(self, context: ExecutionContext) -> None:
        begin(context)
        leaf = {"plain": Leaf, "async": AsyncLeaf, "exclusive": Exclusive, "flaky": Flaky}[self.kind]
        leaves = [leaf(number, self.milliseconds) for number in range(self.width)]
        futures = context.submit_subtasks(leaves, max_retries=2 if self.kind == "flaky" else 0)
        context.submit_subtask(Sum(sum(range(self.width))), depends_on=futures)


class Chain(Task):
    """One after another."""

    length: int
    milliseconds: int = 0

    def execute(self, context: ExecutionContext) -> None:
        begin(context)
        last = context.submit_subtask(Next(0, self.milliseconds))
        for number in range(1, self.length):
            last = context.submit_subtask(Next(number, self.milliseconds), depends_on=[last])


class Tree(Task):
    """Two below each, `depth` levels of them."""

    depth: int
    milliseconds: int = 0

    def execute(self, context: ExecutionContext) -> None:
        begin(context, self.milliseconds)
        if self.depth:
            context.submit_subtasks([Tree(self.depth - 1, self.milliseconds)] * 2)


class Layers(Task):
    """Each layer waits for the whole of the one before, and for all below it."""

    layers: int
    width: int
    milliseconds: int = 0

    def execute(self, context: ExecutionContext) -> None:
        begin(context)
        before = context.submit_subtasks([Chain(2, self.milliseconds)] * self.width)
        for layer in range(1, self.layers):
            leaves = [Leaf(layer, self.milliseconds)] * self.width
            before = context.submit_subtasks(leaves, depends_on=before)
        context.submit_subtask(Sum(self.width * (self.layers - 1)), depends_on=before)


class Mixed(Task):
    """Tasks that fail once, tasks that fail always and may, and one that waits for all of them."""

    width: int
    milliseconds: int = 0

    def execute(self, context: ExecutionContext) -> None:
        begin(context)
        failing = [context.submit_subtask(Hopeless(), optional=True) for _ in range(self.width)]
        flaky = context.submit_subtasks([Flaky(1, self.milliseconds)] * self.width, max_retries=2)
        context.submit_subtask(Sum(self.width), depends_on=[*failing, *flaky])


TASKS: list[type[Task]] = [
    Leaf,
    AsyncLeaf,
    Exclusive,
    Flaky,
    Hopeless,
    Sum,
    Next,
    Fan,
    Chain,
    Tree,
    Layers,
    Mixed,
]

runner = Runner(tasks=TASKS)

if _notes is not None:
    notes.install(_notes)
