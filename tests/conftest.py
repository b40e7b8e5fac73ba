"""What tests of more than one folder share."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobledger.adapters.nats.names import Names
from support.node import Node, node_in
from support.servers import NatsServer

# A shell that starts tests in the background has them ignore Ctrl-C: those about it need Python's own handler.
signal.signal(signal.SIGINT, signal.default_int_handler)

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """One real server for all tests that do not end it."""
    server = NatsServer(tmp_path_factory.mktemp("nats")).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def plain_nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server as it comes, for what depends on the size of messages: at most 1 MiB."""
    folder = tmp_path_factory.mktemp("plain")
    server = NatsServer(folder, more_configuration="max_payload: 1MB\n").start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def node(pytestconfig: pytest.Config) -> Node:
    """Node.js, with the npm packages of the examples; the test is skipped where they cannot be had."""
    return node_in(pytestconfig.cache.mkdir("node"))


@pytest.fixture
def names() -> Names:
    """A namespace no other test uses."""
    return Names(f"t{next(_numbers)}")


#: what fails soonest is told first: pure code, then one process, then real servers, then real deaths
_ORDER = ("core", "projections", "adapters", "programs", "faults", "cluster")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        part = item.path.relative_to(Path(__file__).parent).parts[0]
        return _ORDER.index(part) if part in _ORDER else _ORDER.index("programs")

    items.sort(key=rank)
