"""An engine, the JSON API beside it, and a program that uses it, in a namespace of their own on the shared server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobledger import Client
from jobledger.adapters.nats.names import Names
from support.api import Api, ApiService
from support.engines import EngineHarness
from support.projectors import ProjectorHarness
from support.servers import NatsServer


@pytest.fixture
def engine(nats_server: NatsServer, names: Names) -> Iterator[EngineHarness]:
    harness = EngineHarness(nats_server.url, names).wait_ready()
    yield harness
    harness.stop()


@pytest.fixture
def service(nats_server: NatsServer, names: Names) -> Iterator[ApiService]:
    """The service alone: no engine need be there. It has less patience than usual with one that is not."""
    service = ApiService(nats_server.url, names.namespace, patience=2.0).wait_ready()
    yield service
    service.stop()


@pytest.fixture
def program(nats_server: NatsServer, names: Names) -> Iterator[Api]:
    """A program that speaks to whatever service there is."""
    program = Api(nats_server.url, names.namespace)
    yield program
    program.close()


@pytest.fixture
def api(engine: EngineHarness, service: ApiService, program: Api) -> Api:
    return program


@pytest.fixture
def projector(nats_server: NatsServer, names: Names, tmp_path: Path, engine: EngineHarness) -> Iterator[None]:
    harness = ProjectorHarness(nats_server.url, names, f"sqlite:///{tmp_path / 'jobs.sqlite3'}").start()
    yield
    harness.stop()


@pytest.fixture
def client(nats_server: NatsServer, names: Names) -> Iterator[Client]:
    with Client(nats_server.url, namespace=names.namespace) as client:
        yield client
