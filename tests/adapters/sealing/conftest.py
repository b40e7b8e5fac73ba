"""A client beside an engine, and a look at every byte that the server has on its disk."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobledger import Client
from jobledger.adapters.nats.names import Names
from support.engines import EngineHarness
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
