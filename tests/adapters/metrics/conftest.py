from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from jobledger.adapters.link import Link
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.names import Names
from jobledger.adapters.portal import shared_portal
from support.engines import EngineHarness
from support.servers import NatsServer


@pytest.fixture
def start_engine(nats_server: NatsServer, names: Names) -> Iterator[Callable[..., EngineHarness]]:
    """Start engines of this test's namespace."""
    engines: list[EngineHarness] = []

    def start(**options: float) -> EngineHarness:
        engines.append(EngineHarness(nats_server.url, names, **options))  # type: ignore[arg-type]
        return engines[-1]

    yield start
    for engine in engines:
        engine.stop()


@pytest.fixture
def engine(start_engine: Callable[..., EngineHarness]) -> EngineHarness:
    return start_engine().wait_ready()


@pytest.fixture
def link(nats_server: NatsServer, names: Names) -> Iterator[Link]:
    """A line to the processes of this test's namespace."""
    link = Link(lambda: Endpoint(nats_server.url), names, "test")
    shared_portal().run(link.open())
    yield link
    shared_portal().run(link.close())
