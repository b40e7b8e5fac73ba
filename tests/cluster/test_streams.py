"""What a namespace keeps, on three servers: all of them hold all of it, and whoever reads finds what was acknowledged."""

from __future__ import annotations

import asyncio

import pytest

from cluster.conftest import ELECTION, Three, wire
from jobledger.adapters.engine.clients.beside import make_streams
from jobledger.adapters.engine.options import EngineOptions
from jobledger.adapters.engine.run import run_engine
from jobledger.adapters.feed import stream as feed
from jobledger.adapters.nats.asking import append, in_stream, jetstream
from jobledger.adapters.nats.clusters import make_stream
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.replication import streams_of
from jobledger.adapters.nats.streams import ensure_log
from jobledger.adapters.portal import shared_portal
from jobledger.core.errors import ServerAway
from support.waiting import eventually_async


def test_all_that_a_namespace_keeps_is_held_by_three(three: Three, names: Names) -> None:
    """Also what was made before its first engine: by a projector, or with its first cluster."""
    client = three.connect(names.namespace)
    connection = wire(client)

    async def held_by(*streams: str) -> set[int]:
        infos = [await jetstream(connection, f"STREAM.INFO.{stream}", {}) for stream in streams]
        return {info["config"]["num_replicas"] for info in infos}

    async def serve() -> None:
        await ensure_log(connection.jetstream(), names)
        await make_stream(connection, names)
        assert await held_by(names.log_stream, names.clusters_stream) == {1}
        stop, ready = asyncio.Event(), asyncio.Event()
        engine = asyncio.create_task(
            run_engine(
                three.endpoint,
                names.namespace,
                stop=stop,
                on_ready=ready.set,
                options=EngineOptions(replicas=3),
            )
        )
        await ready.wait()
        await make_streams(connection, names)
        await feed.ensure(connection, names)
        await eventually_async(lambda: all_held(*streams_of(names)), within=ELECTION)
        stop.set()
        await engine

    async def all_held(*streams: str) -> bool:
        return await held_by(*streams) == {3}

    shared_portal().run(serve(), timeout=ELECTION)
    client.close()


def test_a_stream_that_is_there_and_takes_nothing_yet_is_waited_for(three: Three, names: Names) -> None:
    """A server hears of a stream, or of its new leader, some time after whoever made it was told that it is there."""
    client = three.connect(names.namespace)
    connection = wire(client)

    async def write() -> int:
        return await append(connection, names.log_subject("job"), b"")

    async def make() -> None:
        """Somebody else has made it, and this server has not heard of it."""

    with pytest.raises(ServerAway, match=r"no stream takes .* yet, although it is there"):
        shared_portal().run(in_stream(write, make))
    client.close()
