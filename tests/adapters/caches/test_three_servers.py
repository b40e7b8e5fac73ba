"""Caches and clusters on three servers: what one client has stored, every other one finds, also when a server is lost."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import nats.errors
import pytest

from jobledger import Client
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.streams import ensure_log
from jobledger.adapters.nats.values import INLINE
from jobledger.adapters.portal import shared_portal
from jobledger.cache import NatsCache
from jobledger.core.errors import ServerAway
from support.servers import NatsCluster
from support.waiting import eventually


@pytest.fixture
def three(tmp_path: Path, names: Names) -> Iterator[NatsCluster]:
    """Three servers that hold a log together."""
    servers = NatsCluster(tmp_path)

    def is_made() -> bool:
        """Electing a first leader takes the servers some seconds."""
        with (
            contextlib.suppress(ServerAway, nats.errors.Error),
            Client(servers.url, namespace=names.namespace) as client,
        ):
            link = shared_portal().run(client._session.link())
            shared_portal().run(ensure_log(link.nc.jetstream(), names, replicas=3))
            return True
        return False

    eventually(is_made, within=60)
    yield servers
    servers.stop()


def test_what_was_stored_is_found_everywhere(three: NatsCluster, names: Names) -> None:
    clients = {name: Client(server.url, namespace=names.namespace) for name, server in three.servers.items()}
    writer, *readers = clients.values()
    for number, size in enumerate((10, INLINE + 1, 10, 1_000_000)):
        value = os.urandom(size)
        NatsCache(writer)["job/a"] = value  # in the place of one of another size
        writer.clusters().create("one of many", slug=f"c-{number}")
        for reader in readers:
            assert NatsCache(reader)["job/a"] == value
            assert reader.clusters().find(f"c-{number}").slug == f"c-{number}"
            assert list(NatsCache(reader).group("job")) == ["a"]

    js = shared_portal().run(writer._session.link()).nc.jetstream()
    for stream in (names.clusters_stream, names.cache_stream):
        info = shared_portal().run(js.stream_info(stream))
        assert info.config.num_replicas == 3
    leader = info.cluster.leader if info.cluster else None
    assert leader is not None
    three.servers[leader].kill()
    clients.pop(leader).close()
    for client in clients.values():
        assert NatsCache(client)["job/a"] == value
        NatsCache(client)["job/b"] = value
        client.close()
