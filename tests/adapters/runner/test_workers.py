"""The threads: what they take and leave, and how seldom they wake the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from jobledger.adapters.runner.assignment import Assignment
from jobledger.adapters.runner.execution import Coroutines
from jobledger.adapters.runner.workers import FULL, Workers
from jobledger.core.submission import TaskSpec

SPEC = TaskSpec("Task", 1, 0, "default")


def assignments(count: int) -> list[Assignment]:
    return [Assignment("job", "a job", task, 1, SPEC, b"") for task in range(count)]


def with_workers(
    size: int, work: Callable[[Assignment], None], use: Callable[[Workers, list[str]], Any]
) -> Workers:
    """Call and await `use` with running workers and the list of what they told the loop; then stop them."""
    workers = Workers(size, lambda assignment, coroutines: work(assignment))

    async def scene() -> None:
        told: list[str] = []
        loop = asyncio.get_running_loop()
        workers.start(loop, lambda: told.append("first"), lambda: told.append("urgent"))
        try:
            async with asyncio.timeout(10):
                await use(workers, told)
        finally:
            workers.stop()
            assert await asyncio.to_thread(workers.join, 10)

    asyncio.run(scene())
    return workers


def wait(event: threading.Event) -> None:
    assert event.wait(10)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_tasks_run_in_order_and_are_told_once() -> None:
    async def use(workers: Workers, told: list[str]) -> None:
        workers.add(assignments(50))
        await until(lambda: workers.finished == 50)
        await until(lambda: "urgent" in told)
        assert told in (["first", "urgent"], ["urgent"])
        assert [a.task for a in workers.take_done()] == list(range(50))
        assert workers.take_done() == []

    with_workers(1, lambda assignment: None, use)


def test_a_full_queue_is_urgent_while_there_is_more_to_do() -> None:
    go_on = threading.Event()

    def work(assignment: Assignment) -> None:
        if assignment.task == FULL:
            assert go_on.wait(10)

    async def use(workers: Workers, told: list[str]) -> None:
        workers.add(assignments(FULL + 10))
        await until(lambda: len(told) == 2)
        assert told == ["first", "urgent"]
        assert workers.finished == FULL
        go_on.set()

    with_workers(1, work, use)


def test_after_fetching_the_workers_tell_again() -> None:
    async def use(workers: Workers, told: list[str]) -> None:
        for _ in range(3):
            workers.add(assignments(1))
            await until(lambda: bool(told))
            assert told.pop() == "urgent"
            assert len(workers.take_done()) == 1

    with_workers(2, lambda assignment: None, use)


def test_what_has_not_begun_can_be_taken_back() -> None:
    go_on = threading.Event()

    async def use(workers: Workers, told: list[str]) -> None:
        workers.add(assignments(5))
        await until(lambda: len(workers.running) == 1)
        assert [a.task for a in workers.take_back(3)] == [4, 3, 2]
        assert workers.waiting == 1
        assert len(workers.take_back(3)) == 1
        assert workers.take_back(-1) == []
        go_on.set()
        await until(lambda: workers.finished == 1)

    with_workers(1, lambda assignment: wait(go_on), use)


def test_what_is_lost_before_it_began_is_passed_over() -> None:
    ran: list[int] = []
    todo = assignments(3)
    todo[1].lost = True

    async def use(workers: Workers, told: list[str]) -> None:
        workers.add(todo)
        await until(lambda: workers.finished == 2)

    with_workers(1, lambda assignment: ran.append(assignment.task), use)
    assert ran == [0, 2]


def test_all_workers_work_at_the_same_time() -> None:
    together = threading.Barrier(4)

    def meet(assignment: Assignment) -> None:
        together.wait(10)

    async def use(workers: Workers, told: list[str]) -> None:
        workers.add(assignments(8))
        await until(lambda: workers.finished == 8)

    with_workers(4, meet, use)


def test_a_busy_worker_does_not_hold_up_the_end_of_the_others() -> None:
    go_on = threading.Event()
    workers = Workers(2, lambda assignment, coroutines: wait(go_on))

    async def scene() -> None:
        workers.start(asyncio.get_running_loop(), lambda: None, lambda: None)
        workers.add(assignments(1))
        await until(lambda: len(workers.running) == 1)
        workers.stop()

    asyncio.run(scene())
    assert not workers.join(0.0)
    go_on.set()  # it ends although the loop it would tell is closed
    assert workers.join(10)


def test_the_event_loop_of_a_worker_ends_with_it() -> None:
    seen: list[Coroutines] = []

    async def nothing() -> None: ...

    def work(assignment: Assignment, coroutines: Coroutines) -> None:
        coroutines.run(nothing())
        seen.append(coroutines)

    workers = Workers(1, work)

    async def scene() -> None:
        workers.start(asyncio.get_running_loop(), lambda: None, lambda: None)
        workers.add(assignments(2))
        await until(lambda: workers.finished == 2)
        workers.stop()

    asyncio.run(scene())
    assert workers.join(10)
    assert seen[0] is seen[1]
