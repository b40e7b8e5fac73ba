"""Reading on three servers: what one client has stored, every other one finds, also when a server is behind, or lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator

import nats.errors
import pytest

from jobledger import Client
from jobledger.adapters.engine.partitions.recovery import Checkpoint, find_live_jobs
from jobledger.adapters.nats.asking import append
from jobledger.adapters.nats.log import encode_message, read_job
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.streams import ensure_log
from jobledger.adapters.nats.values import INLINE
from jobledger.adapters.nats.wire import Wire
from jobledger.adapters.portal import shared_portal
from jobledger.cache import NatsCache
from jobledger.core import events as e
from jobledger.core.codec import NO_PREVIOUS, Commit
from jobledger.core.errors import ServerAway
from support.engines import submission, task
from support.servers import NatsCluster
from support.waiting import eventually, eventually_async

JOBS, ROUNDS = 50, 8  #: of the jobs of each round a third is asked of a server that does not have them yet


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    servers = NatsCluster(tmp_path_factory.mktemp("three"))
    yield servers
    servers.stop()


@pytest.fixture
def three(servers: NatsCluster, names: Names) -> NatsCluster:
    """Three servers that hold a log together."""

    def is_made() -> bool:
        """Electing a first leader takes the servers some seconds."""
        with (
            contextlib.suppress(ServerAway, nats.errors.Error),
            Client(servers.url, namespace=names.namespace) as client,
        ):
            shared_portal().run(ensure_log(wire(client).jetstream(), names, replicas=3))
            return True
        return False

    eventually(is_made, within=60)
    return servers


def wire(client: Client) -> Wire:
    return shared_portal().run(client._session.link()).nc


def leader_of(client: Client, stream: str) -> str:
    info = shared_portal().run(wire(client).jetstream().stream_info(stream))
    assert info.cluster is not None
    assert info.cluster.leader is not None
    return info.cluster.leader


def test_what_was_acknowledged_is_found_through_a_server_that_is_behind(
    three: NatsCluster, names: Names
) -> None:
    """Each server that holds a stream answers for it: here one that was suspended while the others wrote."""
    clients = {name: Client(server.url, namespace=names.namespace) for name, server in three.servers.items()}
    leader = leader_of(clients["n1"], names.log_stream)
    behind = next(name for name in clients if name != leader)
    writer, reader = wire(clients[leader]), wire(clients[behind])
    submitted = e.JobSubmitted("a job", submission(task()))
    payload = encode_message(1, Commit(bytes(16), NO_PREVIOUS, 1, "nobody", False, [submitted]))

    async def answers_itself() -> bool:
        """Whether the server is asked for what it holds: of a new stream, only its leader is for the first seconds."""
        others = [server for name, server in three.servers.items() if name != behind]
        for server in others:
            server.freeze()
        try:
            await reader.request(
                f"$JS.API.DIRECT.GET.{names.log_stream}.{names.log_subject('none')}", timeout=0.1
            )
        except nats.errors.Error:
            return False
        finally:
            for server in others:
                server.thaw()
        return True

    async def missed(number: int) -> set[str]:
        """Return the jobs that are not found by somebody who asks after they were acknowledged."""
        jobs = [f"job-{number}-{place}" for place in range(JOBS)]
        assert await read_job(reader, names, "no job") == []
        three.servers[behind].freeze()
        try:
            await asyncio.gather(*(append(writer, names.log_subject(job), payload) for job in jobs))
            reading = [asyncio.ensure_future(read_job(reader, names, job)) for job in jobs]
            await asyncio.sleep(0.01)  # their requests leave
        finally:
            three.servers[behind].thaw()
        (known,) = await find_live_jobs(reader, [names], {0: Checkpoint()})
        found = {job for job, commits in zip(jobs, await asyncio.gather(*reading), strict=True) if commits}
        return set(jobs) - (found & set(known.live))

    shared_portal().run(eventually_async(answers_itself))
    for number in range(ROUNDS):
        assert shared_portal().run(missed(number), timeout=60) == set()
    for client in clients.values():
        client.close()


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

    js = wire(writer).jetstream()
    for stream in (names.clusters_stream, names.cache_stream):
        info = shared_portal().run(js.stream_info(stream))
        assert info.config.num_replicas == 3
    leader = leader_of(writer, names.cache_stream)
    three.servers[leader].kill()
    clients.pop(leader).close()
    for client in clients.values():
        assert NatsCache(client)["job/a"] == value
        NatsCache(client)["job/b"] = value
        client.close()
