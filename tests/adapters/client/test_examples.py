"""The examples in the docstrings of what users call, run as they stand."""

from __future__ import annotations

import doctest
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

import jobledger
from jobledger import Client, ExecutionContext, Task, TaskState
from jobledger.adapters.client import client, job, jobs
from jobledger.adapters.nats.names import Names
from support.engines import EngineHarness
from support.servers import NatsServer


class Greet(Task):
    name: str

    def execute(self, context: ExecutionContext) -> None:
        context.current_task.display = f"Hello, {self.name}"


@pytest.fixture
def names(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the examples take for granted. Their `Client()` finds the test's server."""
    monkeypatch.setenv("JOBLEDGER_URL", nats_server.url)
    engine = EngineHarness(nats_server.url, Names()).wait_ready()
    with Client() as connected:
        done = connected.jobs().submit("greetings", Greet("world"))
        connected.runner(tasks=[Greet]).run_all()
        yield {"Client": Client, "Greet": Greet, "TaskState": TaskState, "client": connected, "job": done}
    engine.stop()


@pytest.mark.parametrize("module", [jobledger, client, job, jobs], ids=lambda module: module.__name__)
def test_the_examples_of(module: ModuleType, names: dict[str, Any]) -> None:
    found = doctest.DocTestFinder().find(module, extraglobs=names)
    runner = doctest.DocTestRunner()
    examples = 0
    for one in found:
        said: list[str] = []
        assert runner.run(one, out=said.append).failed == 0, "".join(said)
        examples += len(one.examples)
    assert examples
