"""The cache on the NATS server: values of any size, shared by all who share the server, and gone with their job."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from jobledger import Client, ExecutionContext, ServerUnavailable, Task
from jobledger.adapters.nats import leader, values
from jobledger.adapters.nats.chunks import CHUNK
from jobledger.adapters.nats.names import Names
from jobledger.adapters.portal import shared_portal
from jobledger.cache import CacheError, CacheNotConfigured, NatsCache
from jobledger.data import JobState
from jobledger.errors import JobLedgerError
from support.engines import EngineHarness
from support.relay import Relay
from support.servers import NatsServer
from support.waiting import eventually

LARGE = values.INLINE + 1


class Stored:
    """What the cache has left on the server."""

    def __init__(self, client: Client) -> None:
        self._link = shared_portal().run(client._session.link())
        self.names = self._link.names

    def messages(self) -> int:
        stream = self.names.cache_stream
        found = shared_portal().run(leader.subjects_in(self._link.nc, stream, ">"))
        info = shared_portal().run(self._link.nc.jetstream().stream_info(stream)) if found else None
        return info.state.messages if info else 0

    def position(self, subject: str) -> int:
        """Return the position of the last message, 0 if there is none."""
        subject = f"{self.names.cache}.{subject}"
        found = shared_portal().run(leader.newest(self._link.nc, self.names.cache_stream, subject))
        return found.position if found else 0

    def publish(self, subject: str, payload: bytes) -> None:
        shared_portal().run(self._link.nc.jetstream().publish(subject, payload))

    def limit(self, max_bytes: int) -> None:
        """Leave the cache this much room, in all."""

        async def change() -> None:
            js = self._link.nc.jetstream()
            config = (await js.stream_info(self.names.cache_stream)).config
            config.max_bytes = max_bytes
            await js.update_stream(config)

        shared_portal().run(change())


@pytest.fixture
def stored(nats_client: Client) -> Stored:
    return Stored(nats_client)


# -- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "size", [0, 1, values.INLINE, LARGE, CHUNK - 1, CHUNK, CHUNK + 1, 8 * CHUNK, 8 * CHUNK + 1, 5_000_000]
)
def test_a_value_of_any_size_is_read_as_it_was_stored(nats_cache: NatsCache, size: int) -> None:
    value = os.urandom(size)
    nats_cache["a"] = value
    assert nats_cache["a"] == value
    assert "a" in nats_cache
    assert list(nats_cache) == ["a"]


def test_a_server_that_takes_small_messages_gets_small_ones(tmp_path: Path, names: Names) -> None:
    server = NatsServer(tmp_path, more_configuration="max_payload: 16KB\n").start()
    with Client(server.url, namespace=names.namespace) as client:
        cache = NatsCache(client)
        for size in (14_000, 15_400, 16_384, 100_000):
            cache["a"] = value = os.urandom(size)
            assert cache["a"] == value
    server.stop()


def test_what_is_replaced_or_deleted_leaves_nothing_behind(nats_cache: NatsCache, stored: Stored) -> None:
    for size in (10, 1_000_000, 2_000_000, 10, 500_000):
        nats_cache["a"] = bytes(size)
        assert stored.messages() == 1 + (-(-size // CHUNK) if size > values.INLINE else 0)
    del nats_cache["a"]
    assert stored.messages() == 0


def test_of_several_who_replace_a_large_value_one_is_left(nats_cache: NatsCache, stored: Stored) -> None:
    gate = threading.Barrier(6)

    def write(number: int) -> None:
        gate.wait(10)
        for _ in range(5):
            nats_cache["a"] = bytes([number]) * LARGE

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(write, range(6)))
    assert len(set(nats_cache["a"])) == 1
    assert len(nats_cache["a"]) == LARGE
    assert stored.messages() == 2


def test_a_large_value_is_replaced_while_it_is_read(nats_cache: NatsCache) -> None:
    nats_cache["a"] = bytes(10 * CHUNK)
    over = threading.Event()

    def read() -> set[int]:
        seen: set[int] = set()
        while not over.is_set():
            value = nats_cache["a"]
            assert len(value) == 10 * CHUNK
            assert len(set(value)) == 1
            seen.add(value[0])
        return seen

    with ThreadPoolExecutor(2) as threads:
        reading = [threads.submit(read) for _ in range(2)]
        for number in range(20):
            nats_cache["a"] = bytes([number]) * (10 * CHUNK)
        over.set()
        assert reading[0].result(20) | reading[1].result(20) <= set(range(20))


# -- who shares it ----------------------------------------------------------------------------------------------------


def test_other_clients_find_the_values_and_other_namespaces_do_not(
    nats_server: NatsServer, nats_cache: NatsCache, names: Names
) -> None:
    nats_cache["job/a"] = b"1"
    with (
        Client(nats_server.url, namespace=names.namespace) as same,
        Client(nats_server.url, namespace=f"{names.namespace}-other") as other,
    ):
        assert dict(NatsCache(same).group("job").items()) == {"a": b"1"}
        assert "job/a" not in NatsCache(other)
        assert list(NatsCache(other).group("job")) == []


def test_the_values_of_a_job_are_deleted_together(nats_client: Client, stored: Stored) -> None:
    cache = NatsCache(nats_client)
    for key in ("job-1", "job-1/a", "job-1/deep/er/b", "job-10/a", "job/a", "other/job-1/a"):
        cache[key] = bytes(LARGE)
    link = shared_portal().run(nats_client._session.link())
    for _ in range(2):  # it may be done again
        shared_portal().run(values.purge(link.nc, link.names, "job-1"))
    assert list(cache) == []
    assert list(cache.group("job-1")) == list(cache.group("job-1/deep/er")) == []
    assert (
        list(cache.group("job-10")) == list(cache.group("job")) == list(cache.group("other/job-1")) == ["a"]
    )
    assert cache["job/a"] == bytes(LARGE)
    assert stored.messages() == 6


def test_deleting_what_was_never_cached_is_nothing(nats_client: Client) -> None:
    link = shared_portal().run(nats_client._session.link())
    shared_portal().run(values.purge(link.nc, link.names, "job"))
    assert "a" not in NatsCache(nats_client)


class Store(Task):
    def execute(self, context: ExecutionContext) -> None:
        context.job_cache["deep/a"] = b"from elsewhere"
        context.submit_subtask(Read())


class Read(Task):
    def execute(self, context: ExecutionContext) -> None:
        context.job_cache["read"] = context.job_cache["deep/a"]


class Awaited(Task):
    async def execute(self, context: ExecutionContext) -> None:
        context.job_cache["a"] = b"awaited"


@pytest.fixture
def engine(nats_server: NatsServer, names: Names) -> Iterator[EngineHarness]:
    harness = EngineHarness(nats_server.url, names).wait_ready()
    yield harness
    harness.stop()


def test_runners_share_it_unless_told_otherwise(
    nats_server: NatsServer, nats_client: Client, names: Names, engine: EngineHarness
) -> None:
    job, other = nats_client.jobs().submit("a", Store()), nats_client.jobs().submit("b", Awaited())
    with Client(nats_server.url, namespace=names.namespace) as elsewhere:
        elsewhere.runner(tasks=[Store]).run_all()
    nats_client.runner(tasks=[Read, Awaited], cache=NatsCache()).run_all()
    assert job.state is other.state is JobState.COMPLETED, (job.error, other.error)
    cache = NatsCache(nats_client)
    assert dict(cache.group(str(job.id)).items()) == {"read": b"from elsewhere"}
    assert dict(cache.group(str(other.id)).items()) == {"a": b"awaited"}


def test_without_a_connection_it_says_where_it_gets_one() -> None:
    for use in (lambda: NatsCache()["a"], lambda: "a" in NatsCache().group("b"), lambda: list(NatsCache())):
        with pytest.raises(CacheNotConfigured, match=r"gets one from the runner .* NatsCache\(client\)"):
            use()


def test_a_connection_is_not_handed_to_another_process(nats_cache: NatsCache) -> None:
    assert isinstance(pickle.loads(pickle.dumps(NatsCache())), NatsCache)
    for cache in (nats_cache, nats_cache.group("a")):
        with pytest.raises(TypeError, match=r"give that process a client.*NatsCache\(client\)"):
            pickle.dumps(cache)


# -- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [10, LARGE])
def test_a_full_store_is_told_and_keeps_what_it_has(nats_cache: NatsCache, stored: Stored, size: int) -> None:
    nats_cache["a"] = b"old"
    stored.limit(max_bytes=LARGE + 2000)
    nats_cache["b"] = bytes(LARGE - 100)
    before = stored.messages()
    with pytest.raises(
        CacheError, match=r"does not do what the cache asks for: .*maximum bytes.*delete jobs"
    ) as caught:
        nats_cache["c"] = bytes(max(size, 2000))
    assert isinstance(caught.value, OSError)
    assert "c" not in nats_cache
    assert nats_cache["a"] == b"old"
    assert stored.messages() == before
    del nats_cache["b"]
    nats_cache["c"] = bytes(2000)


def test_a_user_who_may_not_is_told(tmp_path: Path, names: Names) -> None:
    users = '{ user: all, password: p }, { user: none, password: p, permissions: { publish: { deny: "jobledger.>" } } }'
    server = NatsServer(tmp_path, more_configuration=f"authorization {{ users: [{users}] }}").start()
    with (
        Client(server.url, namespace=names.namespace, user="all", password="p") as entitled,
        Client(server.url, namespace=names.namespace, user="none", password="p") as other,
    ):
        NatsCache(entitled)["a"] = b"1"
        assert NatsCache(other)["a"] == b"1"
        with pytest.raises(ServerUnavailable, match=r"may not do that .*permissions violation.*Grant it"):
            NatsCache(other)["a"] = b"2"
        assert NatsCache(entitled)["a"] == b"1"
    server.stop()


@pytest.mark.parametrize("size", [10, 3 * CHUNK])
@pytest.mark.parametrize("old", [None, b"old", bytes(LARGE)])
def test_a_value_whose_acknowledgement_was_lost_is_stored_once(
    nats_server: NatsServer, nats_client: Client, names: Names, stored: Stored, size: int, old: bytes | None
) -> None:
    direct = NatsCache(nats_client)
    direct["job/b"] = b""  # so that there is a stream to answer
    if old is not None:
        direct["job/a"] = old
    with Relay(nats_server.port) as relay, Client(relay.url, namespace=names.namespace) as client:
        cache = NatsCache(client)
        "job/a" in cache  # noqa: B015  so that the connection stands
        relay.lose_answers(to=f"Expected-Last-Subject-Sequence: {stored.position('job.k.a')}\r".encode())
        with ThreadPoolExecutor(1) as threads:
            storing = threads.submit(cache.__setitem__, "job/a", bytes(size))
            assert relay.lost.wait(10)
            eventually(lambda: "job/a" in direct and direct["job/a"] == bytes(size))
            relay.mend()
            storing.result(20)
    assert direct["job/a"] == bytes(size)
    assert stored.messages() == 2 + (3 if size > values.INLINE else 0)


def test_a_deletion_whose_answer_was_lost_is_no_missing_key(
    nats_server: NatsServer, nats_client: Client, names: Names
) -> None:
    direct = NatsCache(nats_client)
    direct["job/a"] = b"1"
    with Relay(nats_server.port) as relay, Client(relay.url, namespace=names.namespace) as client:
        cache = NatsCache(client)
        assert "job/a" in cache
        relay.lose_answers(to=b"STREAM.PURGE")
        with ThreadPoolExecutor(1) as threads:
            deleting = threads.submit(cache.__delitem__, "job/a")
            eventually(lambda: "job/a" not in direct)
            relay.mend()
            deleting.result(20)


def test_a_server_that_is_away_is_waited_for_and_has_kept_everything(tmp_path: Path, names: Names) -> None:
    server = NatsServer(tmp_path).start()
    with Client(server.url, namespace=names.namespace) as client, ThreadPoolExecutor(1) as threads:
        cache = NatsCache(client)
        cache["a"] = bytes(LARGE)
        server.kill()
        reading = threads.submit(lambda: cache["a"])
        server.start()
        assert reading.result(20) == bytes(LARGE)
    server.stop()


def rubbish(stored: Stored) -> bytes:
    return b"rubbish"


def later_format(stored: Stored) -> bytes:
    return msgspec.msgpack.encode([2, bytes(16), 1, b"x", "", 0])


@pytest.mark.parametrize("payload", [rubbish, later_format])
def test_what_is_no_value_is_refused(
    nats_cache: NatsCache, stored: Stored, payload: Callable[[Stored], bytes]
) -> None:
    nats_cache["a"] = b""
    stored.publish(f"{stored.names.cache}.a.k", payload(stored))
    with pytest.raises(JobLedgerError, match=r"position 2 of the stream .* is no value of a cache"):
        nats_cache["a"]
