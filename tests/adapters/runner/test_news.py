"""What is told of an attempt while it runs, and what is not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from nats.aio.msg import Msg

from jobledger.adapters import protocol as p
from jobledger.adapters.runner.exchange import news
from jobledger.core import events as e
from jobledger.core.context import ExecutionContext
from jobledger.core.task import Task
from support.engines import EngineHarness, history
from support.waiting import eventually

from .conftest import Workbench, is_completed, worker_threads
from .scripted import JOB, ScriptedEngine, handed_out

_gate = threading.Event()
_step = threading.Semaphore(0)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    global _step
    _step = threading.Semaphore(0)
    _gate.clear()
    monkeypatch.setattr(news, "PERIOD", 0.05)
    yield
    _gate.set()
    assert eventually(lambda: not worker_threads()) is True


class Counts(Task):
    """Counts one more whenever the test says so."""

    def execute(self, context: ExecutionContext) -> None:
        progress = context.progress("rows")
        progress.add(10)
        while not _gate.is_set():
            if _step.acquire(timeout=0.01):
                progress.done(1)
                context.current_task.display = f"at {progress.finished}"  # type: ignore[attr-defined]


class Leaf(Task):
    def execute(self, context: ExecutionContext) -> None:
        context.progress().add(1)


def progressed(bench: Workbench, job_id: str) -> list[e.TaskProgressed]:
    events = [event for s in history(bench.link, job_id) for event in s.commit.events]
    return [event for event in events if isinstance(event, e.TaskProgressed)]


def test_a_task_that_runs_for_long_is_followed_while_it_does(bench: Workbench) -> None:
    job_id = bench.submit(Counts())
    running = bench.in_background(bench.runner(Counts).run_all)
    first = eventually(lambda: progressed(bench, job_id))[0]
    assert (first.task, first.attempt) == (0, 1)
    assert first.started > 0
    assert first.progress == [e.Progress("rows", 10, 0)]
    assert first.display is None
    _step.release()
    _step.release()
    latest = eventually(lambda: [n for n in progressed(bench, job_id) if n.display == "at 2"])[0]
    assert latest.progress == [e.Progress("rows", 10, 2)]
    assert latest.started == first.started
    _gate.set()
    running.join(20)
    assert is_completed(bench.job(job_id))


def listen(bench: Workbench) -> list[p.Heartbeat]:
    """Return the list of the heartbeats of this test, as it grows."""
    heard: list[p.Heartbeat] = []

    async def hear(message: Msg) -> None:
        heard.append(p.decode_heartbeat(message.data))

    async def subscribe() -> None:
        await bench.link.nc.subscribe(bench.names.heartbeats, cb=hear)
        await bench.link.nc.flush()

    bench.portal.run(subscribe())
    return heard


def test_what_does_not_change_is_told_once(
    start_engine: Callable[..., EngineHarness], bare_bench: Workbench
) -> None:
    start_engine(lease=0.6)
    heard = listen(bare_bench)
    job_id = bare_bench.submit(Counts())
    running = bare_bench.in_background(bare_bench.runner(Counts).run_all)
    eventually(lambda: len(heard) > 5)  # those that keep the lease go on
    assert sum(bool(beat.running) for beat in heard) == 1
    assert len(progressed(bare_bench, job_id)) == 1
    _gate.set()
    running.join(20)


def test_short_tasks_are_no_news(bench: Workbench) -> None:
    heard = listen(bench)
    job_id = bench.submit(*[Leaf()] * 300)
    bench.runner(Leaf, concurrency=2).run_all()
    assert is_completed(bench.job(job_id))
    assert progressed(bench, job_id) == []
    assert [beat for beat in heard if beat.running] == []


def test_news_that_may_not_have_arrived_is_told_again(bare_bench: Workbench) -> None:
    engine = ScriptedEngine(bare_bench)
    engine.deaf_to_heartbeats = 2
    running = bare_bench.in_background(bare_bench.runner(Counts).run_all)
    engine.next().answer(handed_out(Counts()), lease=0.3)
    told: list[Any] = []
    while len(told) < 3:
        told += engine.heartbeats.get(timeout=20).running
    assert {(news.job_id, news.task, news.display) for news in told} == {(JOB, 0, None)}
    _gate.set()
    engine.answer_to_the_end(running)


def test_much_news_is_told_in_several_parts(bare_bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "_MOST_BYTES", 1)
    engine = ScriptedEngine(bare_bench)
    running = bare_bench.in_background(bare_bench.runner(Counts, concurrency=3).run_all)
    engine.next().answer(handed_out(Counts(), Counts(), Counts()))
    told: list[int] = []
    while len(told) < 3:
        (only,) = engine.heartbeats.get(timeout=20).running
        told.append(only.task)
    assert sorted(told) == [0, 1, 2]
    _gate.set()
    engine.answer_to_the_end(running)
