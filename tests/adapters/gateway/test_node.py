"""The submitter in plain Node.js, run for real beside a runner in Python."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from jobledger import Client
from jobledger.adapters.nats.names import Names
from support.api import Api, ApiService
from support.engines import EngineHarness
from support.node import EXAMPLES, Node
from support.servers import NatsServer


class Program:
    """The example, where Node.js finds what it needs."""

    def __init__(self, node: Node, script: Path, environment: dict[str, str]) -> None:
        self._node = node
        self._script = script
        self._environment = environment

    def __call__(self, *arguments: str) -> CompletedProcess[str]:
        return self._node.run(self._script, *arguments, **self._environment)


@pytest.fixture
def submit(node: Node, tmp_path: Path, nats_server: NatsServer, names: Names) -> Program:
    script = node.place(tmp_path / "node", "submit.mjs") / "submit.mjs"
    return Program(node, script, {"NATS_URL": nats_server.url, "NAMESPACE": names.namespace})


@contextmanager
def running(client: Client) -> Iterator[None]:
    """A runner of the tasks beside the example, as `jobledger runner start orders` has them."""
    orders = import_module("orders")
    runner = client.runner(tasks=[orders.Charge, orders.Pack, orders.Ship])
    thread = threading.Thread(target=runner.run_forever)
    thread.start()
    try:
        yield
    finally:
        runner.stop()
        thread.join(20)


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)


@pytest.fixture
def runner(api: Api, client: Client) -> Iterator[None]:
    with running(client):
        yield


def test_it_submits_waits_and_prints_the_result(
    submit: Program, runner: None, api: Api, client: Client
) -> None:
    done = submit("order-4711", "129.50")
    assert (done.returncode, done.stderr.startswith("job ")) == (0, True), done.stderr
    shipped = {
        "order": "order-4711",
        "express": True,
        "receipt": "receipt order-4711/129.50",
        "parcel": "parcel order-4711",
    }
    assert json.loads(done.stdout) == shipped
    job = client.jobs().find(done.stderr.split()[1])
    assert (job.labels, job.info["submitted_by"]) == ({"order": "order-4711"}, "submit.mjs")
    assert job.deadline is not None

    again = submit("order-4711", "129.50")
    assert (again.stdout, again.stderr) == (done.stdout, done.stderr)


def test_it_tells_what_went_wrong(submit: Program, runner: None) -> None:
    failed = submit("order-4712", "-1")
    assert failed.returncode == 1
    assert "is FAILED: task 0, ValueError: -1.0 cannot be charged" in failed.stderr
    refused = submit("order-4712", "5")
    assert refused.returncode == 1
    assert "refused, conflict: idempotency key 'ship order-4712' belongs to job" in refused.stderr


def test_it_waits_for_a_server_that_is_only_starting(
    submit: Program, client: Client, nats_server: NatsServer, names: Names
) -> None:
    """It asks before there is an engine, or a service to answer it."""
    done: list[CompletedProcess[str]] = []
    asking = threading.Thread(target=lambda: done.append(submit("order-4713", "1")))
    asking.start()
    service = ApiService(nats_server.url, names.namespace, patience=0.2).wait_ready()
    engine = EngineHarness(nats_server.url, names).wait_ready()
    with running(client):
        asking.join(60)
    service.stop()
    engine.stop()
    assert done[0].returncode == 0, done[0].stderr
