"""What keeps the engine and nats-server going, observed from inside its own process."""

from __future__ import annotations

import asyncio

import pytest

from jobledger.adapters.embedded.folder import DataFolder, ServerRecord
from jobledger.adapters.embedded.locks import FileLock
from jobledger.adapters.embedded.nats_config import SYSTEM
from jobledger.adapters.embedded.start import server_status
from jobledger.adapters.embedded.supervision import Engine, Supervision
from jobledger.adapters.embedded.usage import Usage
from jobledger.adapters.nats.connection import connect, open_connection
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.core.errors import ServerUnavailable
from support.waiting import eventually_async

from .conftest import Engines, Home


async def _no_projector(
    folder: DataFolder, endpoint: Endpoint, namespace: str, *, stop: asyncio.Event
) -> None:
    await stop.wait()


def _supervision(home: Home, lock: FileLock, engine: Engine, told: list[ServerRecord]) -> Supervision:
    return Supervision(
        home.data, lock, idle=None, on_ready=told.append, engine=engine, projector=_no_projector
    )


def test_an_engine_that_fails_is_started_again(home: Home, lock: FileLock) -> None:
    async def scenario() -> None:
        engines, told = Engines(fails_before_ready=False), list[ServerRecord]()
        supervision = _supervision(home, lock, engines, told)
        running = asyncio.create_task(supervision.run())
        await eventually_async(lambda: asyncio.sleep(0, engines.starts == 1 and told))
        engines.fail.set()
        await eventually_async(lambda: asyncio.sleep(0, engines.starts == 2))
        assert server_status(home.path).running
        supervision.stop()
        await running
        assert len(told) == 1, "told its starter more than once"

    asyncio.run(scenario())
    assert home.servers() == []
    assert home.data.record() is None


def test_an_engine_that_never_gets_ready_ends_the_start(home: Home, lock: FileLock) -> None:
    async def scenario() -> None:
        told: list[ServerRecord] = []
        supervision = _supervision(home, lock, Engines(fails_before_ready=True), told)
        with pytest.raises(ServerUnavailable, match="the engine does not start: no engine today"):
            await supervision.run()
        assert told == []

    asyncio.run(scenario())
    assert home.servers() == []


def test_a_stop_before_it_serves_is_heeded(home: Home, lock: FileLock) -> None:
    async def scenario() -> None:
        told: list[ServerRecord] = []
        supervision = _supervision(home, lock, Engines(fails_before_ready=False), told)
        running = asyncio.create_task(supervision.run())
        await eventually_async(lambda: asyncio.sleep(0, home.servers()))
        supervision.stop()
        await running

    asyncio.run(scenario())
    assert home.servers() == []


def test_use_is_what_clients_do_not_what_the_server_does_itself(home: Home, lock: FileLock) -> None:
    async def scenario() -> None:
        engines, told = Engines(fails_before_ready=False), list[ServerRecord]()
        supervision = _supervision(home, lock, engines, told)
        running = asyncio.create_task(supervision.run())
        await eventually_async(lambda: asyncio.sleep(0, told))
        credentials = home.data.ensure_credentials()
        system = await open_connection(
            Endpoint(told[0].url, user=SYSTEM, password=credentials.system), name="system"
        )
        engine = await connect(
            Endpoint(told[0].url, user="engine", password=credentials.engine), name="engine"
        )
        usage = Usage(system)
        assert await usage.unused_for(0)
        client = await connect(
            Endpoint(told[0].url, user="client", password=credentials.client), name="client"
        )
        assert not await usage.unused_for(0.01)
        await client.close()
        await eventually_async(lambda: usage.unused_for(0.01))
        assert not await usage.unused_for(60), "a client was there a moment ago"
        await engine.close()
        await system.close()
        supervision.stop()
        await running

    asyncio.run(scenario())
