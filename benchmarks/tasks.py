"""The tasks that are run to be measured."""

from __future__ import annotations

import time

from benchmarks.burning import burn
from jobledger import ExecutionContext, Task


class Leaf(Task):
    """Does nothing."""

    index: int

    def execute(self, context: ExecutionContext) -> None:
        pass


class FanOut(Task):
    """Submits `width` leaves at once."""

    width: int

    def execute(self, context: ExecutionContext) -> None:
        context.submit_subtasks([Leaf(index) for index in range(self.width)])


class Chain(Task):
    """Submits `length` leaves, each of which depends on the one before."""

    length: int

    def execute(self, context: ExecutionContext) -> None:
        before = None
        for index in range(self.length):
            before = context.submit_subtask(Leaf(index), depends_on=before)


class MapReduce(Task):
    """Has `parts` numbers worked out side by side, and then added up."""

    parts: int
    rounds: int

    def execute(self, context: ExecutionContext) -> None:
        parts = context.submit_subtasks([Burn(index, self.rounds) for index in range(self.parts)])
        context.submit_subtask(Add(), depends_on=parts)


class Burn(Task):
    """Keeps the processor busy for so many rounds."""

    seed: int
    rounds: int

    def execute(self, context: ExecutionContext) -> int:
        return burn(self.seed, self.rounds)


class Add(Task):
    """Adds up what the tasks before it found."""

    def execute(self, context: ExecutionContext) -> int:
        return sum(filter(None, context.results(as_type=int)))


class Parked(Task):
    """A task that no runner takes: its job stays alive."""

    def execute(self, context: ExecutionContext) -> None:
        PARKED_BEGAN.append(time.perf_counter())


#: when the parked tasks of this process began, once it has a runner for them
PARKED_BEGAN: list[float] = []

#: what a runner's process takes
SERVED = [Leaf, FanOut, Chain, MapReduce, Burn, Add]
