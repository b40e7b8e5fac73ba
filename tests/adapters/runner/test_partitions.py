"""Runners where the jobs are divided into several partitions, each with an engine of its own."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import pytest

from jobledger import ExecutionContext, Task
from jobledger.adapters import protocol as p
from jobledger.adapters.engine.partitions.fleet import look
from jobledger.adapters.nats.partitions import partition_of
from jobledger.adapters.nats.wire import Message
from support.engines import EngineHarness
from support.waiting import eventually

from .conftest import Workbench, is_completed

COUNT = 4

_order: dict[str, list[int]] = {}
_began: Counter[str] = Counter()
_gate = threading.Event()


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    _order.clear()
    _began.clear()
    _gate.clear()


class Leaf(Task):
    index: int

    def execute(self, context: ExecutionContext) -> None:
        _order.setdefault(context.current_task.job.id.hex, []).append(self.index)


class Nested(Task):
    """Tasks of which the first ones submit some themselves: these come before the others."""

    width: int

    def execute(self, context: ExecutionContext) -> None:
        context.submit_subtasks([Inner(index) for index in range(self.width)])


class Inner(Task):
    index: int

    def execute(self, context: ExecutionContext) -> None:
        context.submit_subtasks([Leaf(3 * self.index + index) for index in range(3)])


class Gated(Task):
    name: str

    def execute(self, context: ExecutionContext) -> None:
        _began[self.name] += 1
        assert _gate.wait(20)


@pytest.fixture
def divided(start_engine: Callable[..., EngineHarness], bare_new: Workbench) -> Workbench:
    """A workbench on which two engines share the partitions."""
    start_engine(partitions=COUNT)
    start_engine()

    def shared() -> bool:
        owners = bare_new.portal.run(look(bare_new.link.nc, bare_new.names)).owners
        return len(owners) == COUNT and len(set(owners.values())) == 2

    eventually(shared)
    return bare_new


def jobs_everywhere(bench: Workbench, *tasks: Task) -> list[str]:
    """Submit such jobs until there are two in each partition, and return their ids."""
    jobs: list[str] = []
    while min(Counter(partition_of(job_id, COUNT) for job_id in jobs).get(n, 0) for n in range(COUNT)) < 2:
        jobs.append(bench.submit(*tasks))
    return jobs


@pytest.mark.parametrize("concurrency", [1, 3])
def test_one_runner_completes_the_jobs_of_all_partitions(divided: Workbench, concurrency: int) -> None:
    jobs = jobs_everywhere(divided, Nested(5))
    divided.runner(Nested, Inner, Leaf, concurrency=concurrency).run_all()
    for job_id in jobs:
        job = divided.job(job_id)
        assert is_completed(job)
        assert set(job.attempt.tolist()) == {1}
        if (
            concurrency == 1
        ):  # the order within a job is the engine's, whatever comes from other partitions in between
            assert _order[job_id.replace("-", "")] == list(range(15))


def test_several_runners_share_the_jobs_of_all_partitions(divided: Workbench) -> None:
    runners = [divided.runner(Nested, Inner, Leaf, concurrency=2) for _ in range(3)]
    running = [divided.in_background(runner.run_forever) for runner in runners]
    jobs = jobs_everywhere(divided, Nested(20))
    for job_id in jobs:
        job = divided.settled(job_id)
        assert is_completed(job)
        assert set(job.attempt.tolist()) == {1}
    for runner in runners:
        runner.stop()
    for thread in running:
        thread.join(20)
    assert {job_id: sorted(order) for job_id, order in _order.items()} == {
        job_id.replace("-", ""): list(range(60)) for job_id in jobs
    }


def test_an_idle_runner_is_woken_by_a_job_of_any_partition(divided: Workbench) -> None:
    runner = divided.runner(Leaf)
    running = divided.in_background(runner.run_forever)
    for _ in range(2):
        for job_id in jobs_everywhere(divided, Leaf(1)):
            assert is_completed(divided.settled(job_id))
    runner.stop()
    running.join(20)


def test_what_was_claimed_too_much_goes_to_another_runner(divided: Workbench) -> None:
    """A runner of one worker has a request open in each partition: it may be handed a task by each of them at once."""
    first = divided.runner(Gated)
    asked = _asked(divided)
    running = [divided.in_background(first.run_forever)]
    eventually(lambda: len(asked) == COUNT)
    jobs = jobs_everywhere(divided, Gated("any"))
    eventually(lambda: _began["any"] == 1)
    others = [divided.runner(Gated, concurrency=2) for _ in range(len(jobs) // 2)]
    running += [divided.in_background(other.run_forever) for other in others]
    eventually(lambda: _began["any"] == len(jobs))
    _gate.set()
    for job_id in jobs:
        assert is_completed(divided.settled(job_id))
    for runner in (first, *others):
        runner.stop()
    for thread in running:
        thread.join(20)


def test_a_runner_without_work_asks_each_partition_once_and_seldom(divided: Workbench) -> None:
    asked = _asked(divided)
    runner = divided.runner(Leaf)
    running = divided.in_background(runner.run_forever)
    eventually(lambda: len(asked) == COUNT)
    job_id = divided.submit(Leaf(0))
    divided.settled(job_id)
    assert all(exchange.wait * 0.2 >= COUNT for _, exchange in asked if exchange.wait)
    runner.stop()
    running.join(20)
    assert {number for number, _ in asked} == set(range(COUNT))


def test_a_runner_that_is_stopped_before_there_is_a_log_ends(bare_new: Workbench) -> None:
    runner = bare_new.runner(Leaf)
    running = bare_new.in_background(runner.run_forever)
    eventually(lambda: runner._sessions)
    runner.stop()
    running.join(20)


def _asked(bench: Workbench) -> list[tuple[int, p.Exchange]]:
    """Return a list that grows by every exchange, with the partition it is meant for."""
    asked: list[tuple[int, p.Exchange]] = []

    def hear(message: Message) -> None:
        asked.append((int(message.subject.split(".")[-4]), p.decode_exchange(message.data)))

    for names in bench.names.parts(COUNT):
        bench.portal.run(bench.link.nc.listen(names.exchanges, hear))
    bench.portal.run(bench.link.nc.flush())
    return asked
