"""A client beside an engine, in a namespace of their own on the shared server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobledger import Client
from jobledger.adapters.nats.names import Names
from jobledger.adapters.portal import shared_portal
from support.engines import BareRunner, EngineHarness
from support.servers import NatsServer


@pytest.fixture
def engine(nats_server: NatsServer, names: Names) -> Iterator[EngineHarness]:
    harness = EngineHarness(nats_server.url, names).wait_ready()
    yield harness
    harness.stop()


@pytest.fixture
def client(nats_server: NatsServer, names: Names, engine: EngineHarness) -> Iterator[Client]:
    with Client(nats_server.url, namespace=names.namespace) as client:
        yield client


@pytest.fixture
def bare_runner(client: Client) -> BareRunner:
    """Speaks a runner's protocol by hand, on the client's connection, for tasks called Add, v0.0."""
    link = shared_portal().run(client._session.link())
    return BareRunner(link, "Add", version=(0, 0))
