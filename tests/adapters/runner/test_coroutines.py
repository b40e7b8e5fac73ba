"""Tasks that are coroutines: one event loop for all of a runner, within the same limits as all others."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from typing import ClassVar

import pytest

from jobledger.adapters.runner.running import limits
from jobledger.core.context import ExecutionContext
from jobledger.core.lifecycle import TaskState
from jobledger.core.task import Task

from .conftest import Workbench, is_completed, states
from .test_limits import submit_with_policies

MANY = 100
COMPLETE, FAILED = TaskState.COMPUTED, TaskState.FAILED


class Together:
    """What the tasks of one runner share."""

    def __init__(self) -> None:
        self.arrived = 0
        self.all_here = asyncio.Event()
        self.threads: set[int] = set()
        self.running = 0
        self.most = 0
        self.lock = threading.Lock()

    def enter(self) -> None:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)

    def leave(self) -> None:
        with self.lock:
            self.running -= 1


class Meets(Task):
    """Ends once many run at the same time."""

    async def execute(self, context: ExecutionContext) -> int:
        together = context.runner_context
        together.threads.add(threading.get_ident())
        together.arrived += 1
        if together.arrived == MANY:
            together.all_here.set()
        async with asyncio.timeout(20):
            await together.all_here.wait()
        return threading.active_count()


def test_many_run_at_a_time_on_one_loop_and_share_what_belongs_to_it(bench: Workbench) -> None:
    before = threading.active_count()
    together = Together()
    job_id = bench.submit(*(Meets() for _ in range(MANY)))
    bench.runner(Meets, concurrency=MANY, context=together).run_all()
    assert is_completed(bench.job(job_id))
    assert len(together.threads) == 1
    assert threading.active_count() - before < 10


class Short(Task):
    async def execute(self, context: ExecutionContext) -> None: ...


def test_short_ones_keep_coming(bench: Workbench) -> None:
    job_id = bench.submit(*(Short() for _ in range(3000)))
    bench.runner(Short, concurrency=50).run_all()
    assert is_completed(bench.job(job_id))


class Sits(Task):
    async def execute(self, context: ExecutionContext) -> None:
        context.runner_context.enter()
        await asyncio.sleep(0.01)
        context.runner_context.leave()


class Stands(Task):
    def execute(self, context: ExecutionContext) -> None:
        context.runner_context.enter()
        time.sleep(0.01)
        context.runner_context.leave()


def test_coroutines_and_others_count_together(bench: Workbench) -> None:
    together = Together()
    job_id = bench.submit(*(kind() for _ in range(20) for kind in (Sits, Stands)))
    bench.runner(Sits, Stands, concurrency=4, context=together).run_all()
    assert is_completed(bench.job(job_id))
    assert 2 <= together.most <= 4


class Numbered(Task):
    number: int
    begun: ClassVar[list[str]] = []

    async def execute(self, context: ExecutionContext) -> None:
        self.begun.append(f"{self.number} begins")
        await asyncio.sleep(0)
        self.begun.append(f"{self.number} ends")


def test_one_at_a_time_keeps_to_the_order(bench: Workbench) -> None:
    Numbered.begun.clear()
    bench.submit(*map(Numbered, range(5)))
    bench.runner(Numbered).run_all()
    assert Numbered.begun == [f"{n} {what}" for n in range(5) for what in ("begins", "ends")]


_variable = contextvars.ContextVar("_variable", default=0)


class Sets(Task):
    number: int
    saw: ClassVar[list[int]] = []

    async def execute(self, context: ExecutionContext) -> None:
        self.saw.append(_variable.get())
        _variable.set(self.number)
        await asyncio.sleep(0.01)
        assert _variable.get() == self.number


def test_context_variables_are_those_of_one_attempt(bench: Workbench) -> None:
    Sets.saw.clear()
    job = bench.run(*map(Sets, range(1, 5)), runs=(), concurrency=4)
    assert is_completed(job)
    assert Sets.saw == [0] * 4


class Bystander(Task):
    """Goes on while others on the same loop come to an end, and what it began goes on too."""

    beside: ClassVar[list[str]] = []

    async def execute(self, context: ExecutionContext) -> None:
        async def child() -> str:
            while "over" not in self.beside:
                await asyncio.sleep(0.001)
            return "undisturbed"

        async with asyncio.timeout(20):
            self.beside.append(await asyncio.create_task(child()))


class Leaves(Task):
    """Leaves a task running."""

    async def execute(self, context: ExecutionContext) -> None:
        async def endless() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                Bystander.beside.append("over")

        self.left = asyncio.create_task(endless())
        await asyncio.sleep(0)


class Exits(Task):
    """A task that it began ends the program, as far as it is up to that."""

    async def execute(self, context: ExecutionContext) -> None:
        async def leave() -> None:
            Bystander.beside.append("over")
            raise SystemExit("from a child")

        await asyncio.gather(leave(), asyncio.Event().wait())


class Fails(Task):
    async def execute(self, context: ExecutionContext) -> None:
        Bystander.beside.append("over")
        raise BaseExceptionGroup("all of it", [KeyboardInterrupt()])


@pytest.mark.parametrize(("kind", "ends"), [(Leaves, COMPLETE), (Exits, FAILED), (Fails, FAILED)])
def test_what_one_leaves_or_breaks_does_not_touch_the_others(
    bench: Workbench, kind: Callable[[], Task], ends: TaskState
) -> None:
    Bystander.beside.clear()
    job_id = bench.submit(Bystander(), kind())
    bench.runner(Bystander, type(kind()), concurrency=2).run_all()
    assert states(bench.job(job_id)) == [COMPLETE, ends]
    assert Bystander.beside == ["over", "undisturbed"]


_release = threading.Event()


class Blocks(Task, timeout=0.1, on_failure="continue"):
    """Keeps the loop to itself, in native code or in Python."""

    native: bool

    async def execute(self, context: ExecutionContext) -> None:
        if self.native:
            assert _release.wait(30)
        while not _release.is_set():
            pass


@pytest.mark.parametrize("native", [False, True], ids=["python", "native"])
def test_one_that_blocks_the_loop_is_left_behind_and_later_ones_run_on_another(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch, *, native: bool
) -> None:
    monkeypatch.setattr(limits, "MERCY", 0.1)
    _release.clear()
    Numbered.begun.clear()
    try:
        job_id = submit_with_policies(bench, Blocks(native), Numbered(1))
        bench.runner(Blocks, Numbered).run_all()
        assert states(bench.job(job_id)) == [FAILED, COMPLETE]
    finally:
        _release.set()


class Obstinate(Task, timeout=0.1, on_failure="continue"):
    """Waits, whatever it is told."""

    async def execute(self, context: ExecutionContext) -> None:
        while not _release.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue


def test_one_that_will_not_end_is_left_behind_and_the_loop_goes_on(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MERCY", 0.1)
    _release.clear()
    Numbered.begun.clear()
    try:
        job_id = submit_with_policies(bench, Obstinate(), Numbered(1))
        bench.runner(Obstinate, Numbered).run_all()
        assert states(bench.job(job_id)) == [FAILED, COMPLETE]
    finally:
        _release.set()
