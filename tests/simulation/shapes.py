"""The tasks that simulated jobs are made of: real task classes, whose code takes virtual time.

What becomes of an attempt is its `Fate`, drawn from the seed for its job, task and attempt alone: which runner has it and
when makes no difference, and what a retry finds is the same whatever happened in between.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from jobledger import Concurrency, ExecutionContext, Retry, Task


class Fate(NamedTuple):
    """What becomes of one attempt."""

    lasts: float  #: seconds
    fails: bool
    stubborn: bool  #: it goes on although it was told to stop
    number: int  #: random, for whatever else is to be decided


class Fates:
    """The fates of all attempts of a run. What failed three times does not fail any more."""

    def __init__(self, seed: int, *, failing: float, longest: float) -> None:
        self._seed = seed
        self._failing = failing
        self._longest = longest

    def of(self, job: str, task: int, attempt: int) -> Fate:
        random = Random(zlib.crc32(f"{self._seed}/{job}/{task}/{attempt}".encode()))
        lasts = random.choice((0.0, 0.001, 0.01, 0.05, 0.3, self._longest))
        fails = attempt <= 3 and random.random() < self._failing
        return Fate(lasts, fails, random.random() < 0.05, random.getrandbits(30))


class Broke(Exception):
    """The task's own failure."""


async def lived(context: ExecutionContext) -> Fate:
    """Let the attempt take its time, and return its fate. Errors: Broke, if that is it."""
    fates: Fates = context.runner_context
    task = context.current_task
    fate = fates.of(task.job.name, int(task.id.rpartition("/")[2]), task.attempt)
    try:
        await asyncio.sleep(fate.lasts)
    except asyncio.CancelledError:
        if not fate.stubborn:
            raise
        await asyncio.sleep(1.5)
    if fate.fails:
        raise Broke(f"attempt {task.attempt}")
    return fate


class Step(Task):
    """One that submits nothing."""

    size: int = 0

    async def execute(self, context: ExecutionContext) -> int | None:
        fate = await lived(context)
        if fate.number % 3 == 0:
            context.current_task.display = f"step {self.size}"
        return self.size if fate.number % 2 else None


class Flaky(Task, retry=Retry(4, delay=0.2, backoff=2.0)):
    """One that is tried again."""

    async def execute(self, context: ExecutionContext) -> None:
        await lived(context)


class Limited(Task, concurrency=Concurrency("api", 1), retry=Retry(4)):
    """One of which only one runs at a time."""

    async def execute(self, context: ExecutionContext) -> None:
        await lived(context)


class Timed(Task, timeout=0.2, retry=Retry(1), on_failure="continue"):
    """One whose time may be up."""

    async def execute(self, context: ExecutionContext) -> None:
        context.progress("waits").add(2)
        await lived(context)
        context.progress("waits").done(2)


class Fan(Task, retry=Retry(4)):
    """Several side by side, and one after all of them."""

    width: int

    async def execute(self, context: ExecutionContext) -> None:
        fate = await lived(context)
        kinds: Sequence[Task] = [leaf(fate.number >> place, place) for place in range(self.width)]
        futures = context.submit_subtasks(kinds)
        context.submit_subtask(Flaky(), depends_on=futures)


class Chain(Task, retry=Retry(4)):
    """One after the other."""

    length: int

    async def execute(self, context: ExecutionContext) -> None:
        fate = await lived(context)
        first = context.submit_subtask(leaf(fate.number, 0))
        if self.length > 1:
            context.submit_subtask(Chain(self.length - 1), depends_on=first)


class Tree(Task, retry=Retry(4), priority=1):
    """Two of its own kind below it."""

    depth: int

    async def execute(self, context: ExecutionContext) -> None:
        await lived(context)
        if self.depth:
            context.submit_subtasks([Tree(self.depth - 1), Tree(self.depth - 1)])


class Layers(Task, retry=Retry(4)):
    """Layers of which each waits for parts of the one before."""

    width: int

    async def execute(self, context: ExecutionContext) -> None:
        fate = await lived(context)
        random = Random(fate.number)
        above = context.submit_subtasks([Step(place) for place in range(self.width)])
        for place in range(self.width):
            some = random.sample(above, random.randint(1, self.width))
            context.submit_subtask(Flaky(), depends_on=some, priority=place % 2)


class Optional(Task, retry=Retry(4)):
    """Some below it may fail for good, and the job goes on."""

    width: int

    async def execute(self, context: ExecutionContext) -> None:
        await lived(context)
        first = context.submit_subtasks([Step(place) for place in range(self.width)], optional=True)
        context.submit_subtask(Flaky(), depends_on=first, optional=True)
        context.submit_subtask(Timed())


KINDS: tuple[type[Task], ...] = (Step, Flaky, Limited, Timed, Fan, Chain, Tree, Layers, Optional)


def leaf(number: int, place: int) -> Task:
    """Return one that submits nothing."""
    return (Step(place), Flaky(), Limited(), Step(place))[number % 4]


def root(random: Random) -> Task:
    """Return the root task of a job of up to a dozen tasks."""
    choices: Sequence[Task] = (
        Fan(random.randint(1, 7)),
        Chain(random.randint(1, 5)),
        Tree(random.randint(1, 2)),
        Layers(random.randint(2, 4)),
        Optional(random.randint(1, 4)),
        Limited(),
        Step(),
    )
    return random.choice(choices)
