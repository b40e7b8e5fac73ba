"""The threads: what they take and leave, and how seldom they wake the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable

from jobledger.adapters.clocks import clock
from jobledger.adapters.runner.assignment import Assignment
from jobledger.adapters.runner.attempt.user_code import LeftBehind, UserCode
from jobledger.adapters.runner.lease import Lease
from jobledger.adapters.runner.running.crew import FULL
from jobledger.adapters.runner.running.todo import Todo
from jobledger.adapters.runner.running.workers import Workers
from jobledger.core.context import TaskCanceled
from jobledger.core.submission import TaskSpec
from support.waiting import eventually

SPEC = TaskSpec("Task", 1, 0, "default")


def assignments(count: int) -> list[Assignment]:
    return [Assignment("job", "a job", task, 1, SPEC, b"") for task in range(count)]


class Bench:
    """Workers and what they are to do."""

    def __init__(self, size: int, work: Callable[[Assignment, UserCode], None]) -> None:
        lease = Lease()
        lease.renewed(clock(), 1000, uncounted=False)
        self.todo = Todo(lease, exact=size == 1, on_stale=lambda: None)
        self.workers = Workers(size, self.todo, work)
        self.told: list[str] = []

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self.workers.start(loop, lambda: self.told.append("first"), lambda: self.told.append("urgent"))


def with_workers(
    size: int, work: Callable[[Assignment], None], use: Callable[[Bench], Awaitable[None]]
) -> None:
    """Call and await `use` with running workers; then end them."""
    bench = Bench(size, lambda assignment, user_code: work(assignment))

    async def scene() -> None:
        bench.start()
        try:
            async with asyncio.timeout(10):
                await use(bench)
        finally:
            bench.todo.close()
            assert await asyncio.to_thread(bench.workers.join, 10)

    asyncio.run(scene())


def wait(event: threading.Event) -> None:
    assert event.wait(10)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_tasks_run_in_order_and_are_told_once() -> None:
    async def use(bench: Bench) -> None:
        bench.todo.answered(assignments(50))
        await until(lambda: bench.workers.finished == 50)
        await until(lambda: "urgent" in bench.told)
        assert bench.told in (["first", "urgent"], ["urgent"])
        assert [a.task for a in bench.workers.take_done()] == list(range(50))
        assert bench.workers.take_done() == []

    with_workers(1, lambda assignment: None, use)


def test_a_full_queue_is_urgent_while_there_is_more_to_do() -> None:
    go_on = threading.Event()

    def work(assignment: Assignment) -> None:
        if assignment.task == FULL:
            assert go_on.wait(10)

    async def use(bench: Bench) -> None:
        bench.todo.answered(assignments(FULL + 10))
        await until(lambda: len(bench.told) == 2)
        assert bench.told == ["first", "urgent"]
        assert bench.workers.finished == FULL
        go_on.set()

    with_workers(1, work, use)


def test_after_fetching_the_workers_tell_again() -> None:
    async def use(bench: Bench) -> None:
        for _ in range(3):
            bench.todo.answered(assignments(1))
            await until(lambda: bool(bench.told))
            assert bench.told.pop() == "urgent"
            assert len(bench.workers.take_done()) == 1

    with_workers(2, lambda assignment: None, use)


def test_what_has_not_begun_can_be_taken_back() -> None:
    go_on = threading.Event()

    async def use(bench: Bench) -> None:
        bench.todo.answered(assignments(5))
        await until(lambda: len(bench.workers.running) == 1)
        assert [a.task for a in bench.todo.take_back(3)] == [4, 3, 2]
        assert bench.todo.waiting == 1
        assert len(bench.todo.take_back(3)) == 1
        assert bench.todo.take_back(-1) == []
        go_on.set()
        await until(lambda: bench.workers.finished == 1)

    with_workers(1, lambda assignment: wait(go_on), use)


def test_what_is_lost_before_it_began_is_passed_over() -> None:
    ran: list[int] = []
    todo = assignments(3)
    todo[1].lost = True

    async def use(bench: Bench) -> None:
        bench.todo.answered(todo)
        await until(lambda: bench.workers.finished == 2)

    with_workers(1, lambda assignment: ran.append(assignment.task), use)
    assert ran == [0, 2]


def test_all_workers_work_at_the_same_time() -> None:
    together = threading.Barrier(4)

    def meet(assignment: Assignment) -> None:
        together.wait(10)

    async def use(bench: Bench) -> None:
        bench.todo.answered(assignments(8))
        await until(lambda: bench.workers.finished == 8)

    with_workers(4, meet, use)


def test_a_busy_worker_does_not_hold_up_the_end_of_the_others() -> None:
    go_on = threading.Event()
    bench = Bench(2, lambda assignment, user_code: wait(go_on))

    async def scene() -> None:
        bench.start()
        bench.todo.answered(assignments(1))
        await until(lambda: len(bench.workers.running) == 1)
        bench.todo.close()

    asyncio.run(scene())
    assert not bench.workers.join(0.0)
    go_on.set()  # it ends although the loop it would tell is closed
    assert bench.workers.join(10)


def test_the_event_loop_of_a_worker_ends_with_it() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def nothing() -> None:
        loops.append(asyncio.get_running_loop())

    bench = Bench(1, lambda assignment, user_code: user_code.run(assignment, nothing))

    async def scene() -> None:
        bench.start()
        bench.todo.answered(assignments(2))
        await until(lambda: bench.workers.finished == 2)
        bench.todo.close()

    asyncio.run(scene())
    assert bench.workers.join(10)
    assert loops[0] is loops[1]
    assert loops[0].is_closed()


def test_a_thread_that_cannot_be_stopped_is_left_behind_and_replaced() -> None:
    entered, go_on = threading.Event(), threading.Event()
    left: list[Assignment] = []

    def hang() -> None:
        entered.set()
        while not go_on.is_set():  # native code would not notice either
            with contextlib.suppress(TaskCanceled):
                assert go_on.wait(10)

    def work(assignment: Assignment, user_code: UserCode) -> None:
        with contextlib.suppress(LeftBehind):
            user_code.run(assignment, hang if assignment.task == 0 else lambda: None)

    bench = Bench(1, work)

    async def scene() -> None:
        bench.start()
        bench.todo.answered(assignments(3))
        await until(entered.is_set)
        ((worker, assignment),) = bench.workers.busy
        bench.workers.leave_behind(worker, other := assignments(1)[0], 0.1)  # which it does not run
        assert not other.reports
        bench.workers.leave_behind(worker, assignment, 0.1)
        left.append(assignment)
        await until(lambda: bench.workers.finished == 3)
        assert bench.workers.left_behind == 1
        assert [a.task for a in bench.workers.take_done()] == [0, 1, 2]
        bench.todo.close()

    asyncio.run(scene())
    assert bench.workers.join(10)
    go_on.set()
    eventually(lambda: bench.workers.left_behind == 0)
    assert bench.workers.finished == 0  # nothing came of it
    assert [len(a.reports) for a in left] == [1]
