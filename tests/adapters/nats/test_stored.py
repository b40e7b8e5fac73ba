"""Reading what a stream holds: over one subscription, however many read at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, closing

import pytest

from jobledger.adapters.nats import stored as module
from jobledger.adapters.nats.connection import connect
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.stored import stored_messages
from jobledger.adapters.nats.streams import ensure_log
from jobledger.adapters.nats.wire import Wire
from jobledger.core.errors import ServerAway
from support.relay import Relay
from support.servers import NatsServer


@asynccontextmanager
async def log_of(client: Wire, names: Names, jobs: int, commits: int) -> AsyncIterator[Wire]:
    """A log in which each job has as many commits, and a connection to it, which is closed in the end."""
    try:
        await ensure_log(client.jetstream(), names)
        for number in range(commits):
            for job in range(jobs):
                await client.jetstream().publish(names.log_subject(f"job-{job}"), f"{job}/{number}".encode())
        yield client
    finally:
        await client.close()


async def read(client: Wire, names: Names, job: int) -> list[str]:
    subject = names.log_subject(f"job-{job}")
    return [one.payload.decode() async for one in stored_messages(client, names.log_stream, subject)]


def test_those_who_read_at_once_get_what_is_theirs_over_one_subscription(
    nats_server: NatsServer, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 3)

    async def reading() -> tuple[list[list[str]], int]:
        client = await connect(Endpoint(nats_server.url), name="test")
        async with log_of(client, names, jobs=5, commits=7):
            before = len(client._subs)
            found = await asyncio.gather(*(read(client, names, job) for job in range(5)))
            return found, len(client._subs) - before

    found, subscriptions = asyncio.run(reading())
    assert found == [[f"{job}/{number}" for number in range(7)] for job in range(5)]
    assert subscriptions == 1


def test_what_comes_to_a_reader_that_has_left_is_dropped(nats_server: NatsServer, names: Names) -> None:
    async def reading() -> list[str]:
        client = await connect(Endpoint(nats_server.url), name="test")
        async with log_of(client, names, jobs=2, commits=50):
            messages = stored_messages(client, names.log_stream, names.log_subject("job-0"))
            async with aclosing(messages):
                await anext(messages)
            return await read(client, names, 1)

    assert asyncio.run(reading()) == [f"1/{number}" for number in range(50)]


def test_it_is_read_over_the_connection_that_took_the_place_of_a_broken_one(
    nats_server: NatsServer, names: Names
) -> None:
    async def reading() -> list[str]:
        with closing(Relay(nats_server.port)) as relay:
            client = await connect(Endpoint(relay.url), name="test")
            async with log_of(client, names, jobs=1, commits=3):
                await read(client, names, 0)
                relay.cut()
                while True:
                    try:
                        return await read(client, names, 0)
                    except ServerAway:
                        await asyncio.sleep(0.01)

    assert asyncio.run(asyncio.wait_for(reading(), 10)) == ["0/0", "0/1", "0/2"]
