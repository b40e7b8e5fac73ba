from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobledger.adapters.nats.eventstore.recorders import JetStreamApplicationRecorder
from jobledger.adapters.nats.names import Names
from support.recorders import Opened
from support.relay import Relay
from support.servers import NatsServer


@pytest.fixture
def opened(names: Names) -> Iterator[Opened]:
    opened = Opened(names)
    yield opened
    opened.close()


@pytest.fixture
def recorder(opened: Opened, nats_server: NatsServer) -> JetStreamApplicationRecorder:
    return opened.recorder(nats_server.url)


@pytest.fixture
def relay(nats_server: NatsServer) -> Iterator[Relay]:
    with Relay(nats_server.port) as relay:
        yield relay


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor
