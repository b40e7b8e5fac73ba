"""Which success stands for a reuse key: the newest one, until its job is deleted."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable

import pytest

from jobledger.adapters.nats import leader
from jobledger.adapters.nats.connection import connect
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.wire import Wire
from jobledger.adapters.successes import Success, forget, recall, remember
from jobledger.core.errors import ServerAway
from jobledger.core.events import Value
from support.servers import NatsServer

ONE, TWO, THREE = (hashlib.sha256(bytes([n])).digest() for n in range(3))
Run = Callable[[Callable[[Wire], Awaitable[None]]], None]


@pytest.fixture
def run(nats_server: NatsServer) -> Run:
    """Run a scenario with a connection to the server."""

    def run(scenario: Callable[[Wire], Awaitable[None]]) -> None:
        async def whole() -> None:
            client = await connect(Endpoint(nats_server.url), name="test")
            try:
                await scenario(client)
            finally:
                await client.close()

        asyncio.run(whole())

    return run


def test_a_success_is_found_by_its_key(run: Run, names: Names) -> None:
    async def scenario(client: Wire) -> None:
        assert await recall(client, names, ONE) is None  # no bucket
        small, large = Success("job", 3, Value(b"[1]")), Success("job", 4, Value(object="job/ff", size=9))
        await remember(client, names, ONE, small)
        await remember(client, names, TWO, large)
        assert await recall(client, names, ONE) == small
        assert await recall(client, names, TWO) == large
        assert await recall(client, names, THREE) is None

    run(scenario)


def test_the_newest_success_counts(run: Run, names: Names) -> None:
    async def scenario(client: Wire) -> None:
        await remember(client, names, ONE, Success("a", 1))
        await remember(client, names, ONE, Success("b", 2))
        assert await recall(client, names, ONE) == Success("b", 2)
        await remember(client, names, ONE, Success("b", 2))  # written again after a doubt
        assert await recall(client, names, ONE) == Success("b", 2)

    run(scenario)


def test_nothing_of_a_deleted_job_is_reused(run: Run, names: Names) -> None:
    async def scenario(client: Wire) -> None:
        assert await forget(client, names, "a") == 0  # no bucket
        await remember(client, names, ONE, Success("a", 1))
        await remember(client, names, TWO, Success("a", 2))
        await remember(client, names, TWO, Success("b", 1))  # ran again, by force
        await remember(client, names, THREE, Success("b", 2))
        assert await forget(client, names, "a") == 1
        assert await recall(client, names, ONE) is None
        assert await recall(client, names, TWO) == Success("b", 1)
        assert await forget(client, names, "a") == 0
        assert await forget(client, names, "b") == 2
        assert await recall(client, names, TWO) is None
        assert await leader.subjects_in(client, f"KV_{names.reuse_bucket}", ">") == []

    run(scenario)


def test_many_successes_of_one_job(run: Run, names: Names) -> None:
    keys = [hashlib.sha256(str(n).encode()).digest() for n in range(200)]

    async def scenario(client: Wire) -> None:
        await asyncio.gather(*(remember(client, names, key, Success("a", n)) for n, key in enumerate(keys)))
        assert await recall(client, names, keys[150]) == Success("a", 150)
        assert await forget(client, names, "a") == 200
        assert await recall(client, names, keys[150]) is None

    run(scenario)


def test_an_entry_that_cannot_be_read_counts_as_none(run: Run, names: Names) -> None:
    async def scenario(client: Wire) -> None:
        await remember(client, names, ONE, Success("a", 1))
        bucket = await client.jetstream().key_value(names.reuse_bucket)
        await bucket.put(f"key.{ONE.hex()}", b"\xc1")
        assert await recall(client, names, ONE) is None
        await forget(client, names, "a")
        await remember(client, names, ONE, Success("b", 1))
        assert await recall(client, names, ONE) == Success("b", 1)

    run(scenario)


def test_a_server_that_is_away(names: Names, tmp_path_factory: pytest.TempPathFactory) -> None:
    server = NatsServer(tmp_path_factory.mktemp("mortal")).start()

    async def scenario() -> None:
        client = await connect(Endpoint(server.url), name="test")
        await remember(client, names, ONE, Success("a", 1))
        await asyncio.to_thread(server.kill)
        for work in (
            recall(client, names, ONE),
            remember(client, names, TWO, Success("a", 1)),
            forget(client, names, "a"),
        ):
            with pytest.raises(ServerAway):
                await work
        with contextlib.suppress(OSError):  # the connection is lost
            await client.close()

    asyncio.run(scenario())
