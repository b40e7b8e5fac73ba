"""A log and a feed to look at, and publishers that end with their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from jobledger.adapters.feed.stream import AS_IT_IS, Limits
from jobledger.adapters.nats.names import Names
from support.feeds import Feed, FeedHarness
from support.servers import NatsServer

Publish = Callable[..., FeedHarness]


@pytest.fixture
def feed(nats_server: NatsServer, names: Names) -> Iterator[Feed]:
    feed = Feed(nats_server.url, names)
    yield feed
    feed.close()


@pytest.fixture
def publish(nats_server: NatsServer, names: Names) -> Iterator[Publish]:
    """Start a publisher of the namespace."""
    started: list[FeedHarness] = []

    def start(limits: Limits = AS_IT_IS) -> FeedHarness:
        started.append(FeedHarness(nats_server.url, names, limits=limits).start())
        return started[-1]

    yield start
    for harness in started:
        harness.crash()
