"""The world itself: what it does to processes and to a server is what kill, SIGSTOP and a lost power supply do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from jobledger.adapters.nats.asking import append
from jobledger.adapters.nats.connection import open_connection
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.streams import ensure_log
from jobledger.adapters.nats.wire import Wire
from jobledger.core.errors import ServerAway

from .engine import ENDPOINT
from .jetstream import JetStream
from .running import run_seed
from .world import Node, World

NAMES = Names("sim")
SUBJECT = NAMES.log_subject("a")


@pytest.fixture
def world() -> Iterator[World]:
    with World(1) as world:
        yield world


def stored(world: World) -> list[bytes]:
    return [message.payload for message in world.server.streams[NAMES.log_stream].messages.values()]


def writer(world: World, acknowledged: list[int]) -> Node:
    """Return a process that stores one message after the other, and notes which are acknowledged."""

    async def write() -> None:
        client: Wire = await open_connection(ENDPOINT, name="writer")
        await ensure_log(client.jetstream(), NAMES)
        number = 0
        while True:
            number += 1
            try:
                await append(client, SUBJECT, b"%d" % number)
            except ServerAway:
                await asyncio.sleep(0.1)
            else:
                acknowledged.append(number)

    return world.node("writer", write)


def test_whatever_is_acknowledged_outlives_the_server(world: World) -> None:
    acknowledged: list[int] = []
    node = writer(world, acknowledged)
    node.start()
    for _ in range(5):
        world.run(lambda: False, seconds=0.05)
        world.server.crash()
        world.run(lambda: False, seconds=0.5)
        world.server.restart()
    world.run(lambda: len(acknowledged) > 500, seconds=10)
    kept = [int(payload) for payload in stored(world)]
    assert set(acknowledged) <= set(kept)
    assert len(kept) == len(set(kept))
    assert set(kept) > set(acknowledged), "something came to the disk whose acknowledgement did not come back"


def test_a_killed_process_does_nothing_more_and_what_it_sent_arrives(world: World) -> None:
    acknowledged: list[int] = []
    node = writer(world, acknowledged)
    node.start()
    world.run(lambda: len(acknowledged) == 10, seconds=10)
    node.kill()
    world.run(lambda: False, seconds=10)
    assert len(acknowledged) == 10
    assert [int(payload) for payload in stored(world)] in ([*range(1, 11)], [*range(1, 12)])
    assert world.server.cables == []


def test_what_a_stopped_process_was_about_to_send_leaves_when_it_goes_on(world: World) -> None:
    acknowledged: list[int] = []
    node = writer(world, acknowledged)
    node.start()
    world.run(lambda: len(acknowledged) == 10, seconds=10)
    node.suspend_in_write(lambda: None)
    world.run(lambda: False, seconds=2)
    assert node.suspended
    assert len(stored(world)) == 10
    node.resume()
    world.run(lambda: len(acknowledged) > 11, seconds=1)
    assert [int(payload) for payload in stored(world)] == [*range(1, len(stored(world)) + 1)]


def test_a_disk_that_loses_what_it_has_acknowledged_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = JetStream._lose_what_is_in_memory

    def losing(server: JetStream) -> None:
        honest(server)
        stream = server.streams.get(NAMES.log_stream)
        if stream is not None:
            stream.forget_behind(stream.last - 2)

    monkeypatch.setattr(JetStream, "_lose_what_is_in_memory", losing)
    assert any(run_seed(seed, "restarts").problem for seed in range(5))
