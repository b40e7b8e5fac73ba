"""A runner goes on by itself when the server, the engine or an answer is lost in the middle of a job."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from jobledger.adapters.link import Link
from jobledger.adapters.nats.names import Names
from jobledger.adapters.portal import shared_portal
from jobledger.adapters.runner.runner import TaskRunner
from jobledger.core.context import ExecutionContext
from jobledger.core.errors import ServerAway
from jobledger.core.lifecycle import TaskState
from jobledger.core.task import Task
from support.engines import EngineHarness
from support.relay import Relay
from support.servers import NatsServer
from support.waiting import eventually

from .conftest import Workbench, is_completed, states, worker_threads

_runs: Counter[int] = Counter()
_gate = threading.Event()
_arrived = threading.Event()

HALFWAY = 150


class Fan(Task):
    leaves: int

    def execute(self, context: ExecutionContext) -> None:
        leaves = context.submit_subtasks([Leaf(n) for n in range(self.leaves)])
        context.submit_subtask(Leaf(-1), depends_on=leaves)


class Leaf(Task):
    """Counts its runs; the one in the middle waits for the test."""

    number: int

    def execute(self, context: ExecutionContext) -> None:
        _runs[self.number] += 1
        if self.number == HALFWAY:
            _arrived.set()
            assert _gate.wait(60)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    _runs.clear()
    _gate.clear()
    _arrived.clear()
    yield
    _gate.set()
    assert eventually(lambda: not worker_threads()) is True


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server this test may end."""
    server = NatsServer(tmp_path).start()
    yield server
    server.stop()


def test_a_server_that_is_killed_and_started_again_costs_nothing(own_server: NatsServer) -> None:
    names = Names("outage")
    engine = EngineHarness(own_server.url, names).wait_ready()
    bench = Workbench(own_server.url, names)
    job_id = bench.submit(Fan(2 * HALFWAY))
    running = bench.in_background(bench.runner(Fan, Leaf, concurrency=2).run_all)
    assert _arrived.wait(20)
    own_server.kill()
    _gate.set()  # what runs ends while nobody can be told
    engine.ready.clear()
    own_server.start()
    running.join(60)
    assert is_completed(bench.settled(job_id, within=30))
    assert states(bench.job(job_id)) == [TaskState.COMPUTED] * (2 * HALFWAY + 2)
    assert set(_runs.values()) == {1}
    bench.close()
    engine.stop()


def test_another_engine_takes_over(start_engine: Callable[..., EngineHarness], bare_bench: Workbench) -> None:
    first = start_engine()
    job_id = bare_bench.submit(Fan(2 * HALFWAY))
    running = bare_bench.in_background(bare_bench.runner(Fan, Leaf).run_all)
    assert _arrived.wait(20)
    first.stop()
    _gate.set()
    start_engine()
    running.join(60)
    assert is_completed(bare_bench.settled(job_id))
    assert set(_runs.values()) == {1}


def is_claimed(bench: Workbench, job_id: str) -> bool:
    return bench.job(job_id).counts[TaskState.RUNNING.value] == 1


def is_at(done: int) -> bool:
    return len(_runs) >= done


def test_tasks_whose_hand_out_was_lost_are_handed_out_again(
    start_engine: Callable[..., EngineHarness], bare_bench: Workbench, nats_server: NatsServer
) -> None:
    start_engine()
    with Relay(nats_server.port) as relay:
        link = bare_bench.new_link(relay.url)
        runner = bare_bench.runner(Fan, Leaf, link=link, concurrency=2)
        running = bare_bench.in_background(runner.run_forever)
        # What it asks as it starts is not to get lost: nothing is claimed before that is answered.
        assert is_completed(bare_bench.settled(bare_bench.submit(Leaf(-2))))
        _runs.clear()
        for leaves in (20, 400, 3):
            relay.lose_answers()
            job_id = bare_bench.submit(Fan(leaves))
            assert relay.lost.wait(20)
            # The engine claims the root for the runner, which does not know. It may have lost another answer first.
            eventually(partial(is_claimed, bare_bench, job_id), within=30.0)
            _gate.set()
            relay.mend()
            assert is_completed(bare_bench.settled(job_id))
            assert set(_runs.values()) == {1}
            assert bare_bench.job(job_id).attempt.tolist() == [1] * (leaves + 2)
            _runs.clear()
        runner.stop()
        running.join(20)
        shared_portal().run(link.close())


def test_answers_lost_at_any_moment_lose_no_task(
    start_engine: Callable[..., EngineHarness], bare_bench: Workbench, nats_server: NatsServer
) -> None:
    start_engine(lease=60.0)  # on a machine that is busy otherwise, too
    with Relay(nats_server.port) as relay:
        link = bare_bench.new_link(relay.url)
        _gate.set()
        job_id = bare_bench.submit(Fan(3000))
        runner = bare_bench.runner(Fan, Leaf, link=link, concurrency=2)
        running = bare_bench.in_background(runner.run_forever)
        done = 0
        while done < 3000:
            done += 300
            eventually(partial(is_at, done))
            relay.lose_answers() if done % 600 else relay.lose_requests()
            relay.lost.wait(0.2)
            relay.mend()
        assert is_completed(bare_bench.settled(job_id))
        assert len(_runs) == 3001
        assert set(_runs.values()) == {1}
        runner.stop()
        running.join(20)
        shared_portal().run(link.close())


def test_heartbeats_keep_the_lease_of_a_task_that_outlasts_it(
    start_engine: Callable[..., EngineHarness], bare_bench: Workbench
) -> None:
    start_engine(lease=0.6)
    job_id = bare_bench.submit(Leaf(HALFWAY))
    beats = threading.Semaphore(0)

    async def beat(message: object) -> None:
        beats.release()

    async def listen() -> None:
        await bare_bench.link.nc.subscribe(bare_bench.names.heartbeats, cb=beat)
        await bare_bench.link.nc.flush()

    bare_bench.portal.run(listen())
    running = bare_bench.in_background(bare_bench.runner(Leaf).run_all)
    for _ in range(6):  # three a lease
        assert beats.acquire(timeout=20)
    _gate.set()
    running.join(20)
    assert is_completed(bare_bench.job(job_id))
    assert bare_bench.job(job_id).attempt.tolist() == [1]


def test_a_run_for_ever_waits_for_a_server_that_is_away_at_its_start(
    start_engine: Callable[..., EngineHarness], bare_bench: Workbench, caplog: pytest.LogCaptureFixture
) -> None:
    start_engine()
    tries: list[None] = []

    async def connection() -> Link:
        tries.append(None)
        if len(tries) < 3:
            raise ServerAway("nobody there")
        return bare_bench.link

    runner = TaskRunner([Leaf], link=connection, cluster="default")
    with pytest.raises(ServerAway):
        runner.run_all()
    job_id = bare_bench.submit(Leaf(0))
    running = bare_bench.in_background(runner.run_forever)
    assert is_completed(bare_bench.settled(job_id))
    runner.stop()
    running.join(20)
    assert [record.message for record in caplog.records].count("nobody there. Waiting for it") == 1
