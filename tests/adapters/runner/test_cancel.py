"""What a running task hears of a cancel, and how it ends by one."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from jobledger.adapters import protocol as p
from jobledger.adapters.runner.running import limits
from jobledger.core import commands as c
from jobledger.core.context import ExecutionContext, TaskCanceled
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.core.task import Task
from support.engines import command
from support.waiting import eventually

from .conftest import Workbench, is_completed, states, worker_threads

COMPUTED, QUEUED, CANCELED, FAILED = (
    TaskState.COMPUTED,
    TaskState.QUEUED,
    TaskState.CANCELED,
    TaskState.FAILED,
)

_begun = threading.Semaphore(0)
_go = threading.Event()
_saw: list[Any] = []


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    global _begun
    _begun = threading.Semaphore(0)
    _saw.clear()
    _go.clear()
    yield
    _go.set()
    assert eventually(lambda: not worker_threads()) is True


class Leaf(Task):
    def execute(self, context: ExecutionContext) -> None:
        _saw.append("leaf")


class Polite(Task):
    """Looks whether it is still wanted."""

    def execute(self, context: ExecutionContext) -> None:
        assert not context.canceled
        assert context.cancel_reason == ""
        context.submit_subtask(Leaf())
        _begun.release()
        while not _go.wait(0.001):
            context.check_canceled()


class PoliteGroup(Task):
    """The same, in several coroutines."""

    async def execute(self, context: ExecutionContext) -> None:
        async def look() -> None:
            while not _go.is_set():
                context.check_canceled()
                await asyncio.sleep(0.001)

        _begun.release()
        async with asyncio.TaskGroup() as group:
            group.create_task(look())
            group.create_task(look())


class Watches(Task):
    """Sees that it is canceled, and ends as it likes."""

    fails: bool = False

    def execute(self, context: ExecutionContext) -> None:
        _begun.release()
        while not context.canceled:
            time.sleep(0.001)
        _saw.append(context.cancel_reason)
        if self.fails:
            raise ValueError("it broke")


class Deaf(Task):
    """Never looks."""

    def execute(self, context: ExecutionContext) -> None:
        _begun.release()
        while not _go.is_set():
            time.sleep(0.001)


class DeafCoroutine(Task):
    async def execute(self, context: ExecutionContext) -> None:
        _begun.release()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            _saw.append("cancelled")
            raise


class Numb(Task):
    """Cannot even be stopped."""

    def execute(self, context: ExecutionContext) -> None:
        _begun.release()
        assert _go.wait(30)
        _saw.append("released")


class Quits(Task):
    def execute(self, context: ExecutionContext) -> None:
        raise TaskCanceled("of its own accord")


def begin(bench: Workbench, *tasks: Task) -> tuple[str, threading.Thread]:
    """Submit these, run them, and return once the first is running."""
    job_id = bench.submit(*tasks)
    running = bench.in_background(bench.runner(*{Leaf, *map(type, tasks)}).run_all)
    assert _begun.acquire(timeout=20)
    return job_id, running


def cancel_job(bench: Workbench, job_id: str, **options: Any) -> None:
    assert isinstance(command(bench.link, c.CancelJob(job_id, "c1", **options)), p.Done)


def cancel_task(bench: Workbench, job_id: str, task: int, **options: Any) -> None:
    assert isinstance(command(bench.link, c.CancelTask(job_id, "c1", task, **options)), p.Done)


# -- a job --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [Polite(), PoliteGroup()], ids=lambda task: type(task).__name__)
def test_a_task_of_a_canceled_job_that_stops_is_queued_again(bench: Workbench, task: Task) -> None:
    job_id, running = begin(bench, task)
    cancel_job(bench, job_id)
    running.join(20)
    job = bench.job(job_id)
    assert job.state == JobState.CANCELED.value
    assert states(job) == [QUEUED]
    _go.set()
    command(bench.link, c.RetryJob(job_id, "r1"))
    bench.runner(type(task), Leaf).run_all()
    assert is_completed(bench.job(job_id))


def test_a_task_sees_the_reason_and_may_end_as_ever(bench: Workbench) -> None:
    job_id, running = begin(bench, Watches())
    cancel_job(bench, job_id, reason="enough")
    running.join(20)
    assert _saw == ["enough"]
    job = bench.job(job_id)
    assert states(job) == [COMPUTED]
    assert job.state == JobState.CANCELED.value


@pytest.mark.parametrize("task", [Deaf(), DeafCoroutine()], ids=lambda task: type(task).__name__)
def test_what_does_not_stop_is_stopped_after_the_grace(bench: Workbench, task: Task) -> None:
    job_id, running = begin(bench, task)
    cancel_job(bench, job_id, grace=0)
    running.join(20)
    assert states(bench.job(job_id)) == [QUEUED]
    assert bench.events(job_id)[-1] == "TaskReleased"
    assert _saw in ([], ["cancelled"])


def test_without_a_grace_nothing_is_stopped(bench: Workbench) -> None:
    job_id, running = begin(bench, Deaf(), Watches())
    cancel_job(bench, job_id)
    eventually(lambda: len(bench.job(job_id).claimed_by) == 1)  # the other one was given back
    _go.set()
    running.join(20)
    assert states(bench.job(job_id)) == [COMPUTED, QUEUED]


def test_what_cannot_be_stopped_is_left_behind(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MERCY", 0.1)
    job_id, running = begin(bench, Numb())
    cancel_job(bench, job_id, grace=0)
    running.join(20)
    assert states(bench.job(job_id)) == [QUEUED]
    assert _saw == []
    _go.set()
    eventually(lambda: not worker_threads())
    assert states(bench.job(job_id)) == [QUEUED]  # nothing comes of it any more


# -- a task -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [Polite(), PoliteGroup()], ids=lambda task: type(task).__name__)
def test_a_canceled_task_that_stops_is_canceled(bench: Workbench, task: Task) -> None:
    job_id, running = begin(bench, task, Leaf())
    cancel_task(bench, job_id, 0, reason="not this one")
    running.join(20)
    job = bench.job(job_id)
    assert states(job) == [CANCELED, COMPUTED]
    assert job.state == JobState.CANCELED.value
    assert "TaskCanceled" in bench.events(job_id)


def test_only_the_canceled_task_is_told(bench: Workbench) -> None:
    job_id = bench.submit(Polite(), Polite())
    running = bench.in_background(bench.runner(Polite, Leaf, concurrency=2).run_all)
    for _ in range(2):
        assert _begun.acquire(timeout=20)
    cancel_task(bench, job_id, 1)
    eventually(lambda: states(bench.job(job_id))[1] is CANCELED)
    assert states(bench.job(job_id))[0] is TaskState.RUNNING
    _go.set()
    running.join(20)
    assert states(bench.job(job_id)) == [COMPUTED, CANCELED, COMPUTED]


def test_a_canceled_task_is_stopped_after_the_grace(bench: Workbench) -> None:
    job_id, running = begin(bench, Deaf())
    cancel_task(bench, job_id, 0, grace=0)
    running.join(20)
    assert states(bench.job(job_id)) == [CANCELED]


def test_a_canceled_task_that_was_claimed_and_has_not_begun_never_does(bench: Workbench) -> None:
    warm = bench.submit(*[Leaf()] * 20)  # the runner learns that tasks are short, and takes many at a time
    runner = bench.runner(Leaf, Polite)
    running = bench.in_background(runner.run_forever)
    bench.settled(warm)
    _saw.clear()
    job_id = bench.submit(Polite(), Leaf())
    assert _begun.acquire(timeout=20)
    cancel_task(bench, job_id, 1)
    eventually(lambda: states(bench.job(job_id))[1] is CANCELED)
    _go.set()
    bench.settled(job_id)
    runner.stop()
    running.join(20)
    assert states(bench.job(job_id)) == [COMPUTED, CANCELED, COMPUTED]
    assert _saw == ["leaf"]


# -- other ends ---------------------------------------------------------------------------------------------------


def test_a_canceled_task_that_fails_has_stopped_too(bench: Workbench) -> None:
    job_id, running = begin(bench, Watches(fails=True))
    cancel_task(bench, job_id, 0)
    running.join(20)
    assert states(bench.job(job_id)) == [CANCELED]


def test_a_failure_in_a_canceled_job_is_a_failure(bench: Workbench) -> None:
    job_id, running = begin(bench, Watches(fails=True))
    cancel_job(bench, job_id)
    running.join(20)
    assert states(bench.job(job_id)) == [FAILED]


def test_to_be_canceled_without_having_been_asked_is_a_failure(bench: Workbench) -> None:
    job = bench.run(Quits())
    assert states(job) == [FAILED]
    assert job.state == JobState.FAILED.value
