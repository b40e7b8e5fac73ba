"""Large values wait for a server that is away, as reports do: what was computed is not lost by that."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobledger.adapters import objects
from jobledger.adapters.nats.names import Names
from jobledger.core import events as e
from jobledger.core.task import ExecutionContext, Task
from support.engines import EngineHarness, history
from support.servers import NatsServer

from .conftest import Workbench, is_completed

SIZE = 400_000

_runs: Counter[str] = Counter()
_gate = threading.Event()
_arrived = threading.Event()


class Produce(Task):
    """Works until the test lets it end, and returns more than a message holds."""

    def execute(self, context: ExecutionContext) -> str:
        _runs["Produce"] += 1
        _arrived.set()
        assert _gate.wait(60)
        context.submit_subtask(Consume("y" * SIZE))
        return "x" * SIZE


class Consume(Task):
    text: str

    def execute(self, context: ExecutionContext) -> int:
        return len(self.text)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    _runs.clear()
    _gate.clear()
    _arrived.clear()
    yield
    _gate.set()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server this test may end."""
    server = NatsServer(tmp_path).start()
    yield server
    server.stop()


def test_what_was_computed_while_the_server_was_away_is_stored_once_it_is_back(
    own_server: NatsServer,
) -> None:
    names = Names("outage")
    engine = EngineHarness(own_server.url, names).wait_ready()
    bench = Workbench(own_server.url, names)
    job_id = bench.submit(Produce())
    running = bench.in_background(bench.runner(Produce, Consume).run_all)
    assert _arrived.wait(20)
    own_server.kill()
    _gate.set()
    own_server.start()
    running.join(60)
    job = bench.settled(job_id)
    assert is_completed(job)
    assert _runs["Produce"] == 1
    (value,) = [
        event.result
        for stored in history(bench.link, job_id)
        for event in stored.commit.events
        if isinstance(event, e.TaskComputed) and event.task == 0
    ]
    assert value is not None
    data = bench.portal.run(objects.get(bench.link.nc, names, value.object))
    assert len(data) == SIZE + 2
    bench.close()
    engine.stop()
