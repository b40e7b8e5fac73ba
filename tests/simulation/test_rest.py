"""Whoever cannot go on waits: nobody asks, reads or decides the same thing over and over, or waits for what cannot come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from jobledger.adapters import protocol as p
from jobledger.adapters.engine.partitions.ownership import Ownership
from jobledger.adapters.link import Link
from jobledger.adapters.nats.connection import open_connection
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.wire import Message, Wire
from jobledger.core import commands as c
from jobledger.core import events as e
from support.engines import submission, task

from .crew import without_threads
from .engine import ENDPOINT, NAMESPACE, engine
from .invariants import Invariants
from .outcome import Trace
from .runner import run_session
from .shapes import Fates
from .world import World

NAMES = Names(NAMESPACE)
JOB = "018bcfe5-6800-7000-8000-000000000001"


@pytest.fixture
def world() -> Iterator[World]:
    with World(1) as world, without_threads():
        yield world


def counted(world: World) -> Counter[str]:
    """Return how many messages have come in, by their first tokens, from now on."""
    found: Counter[str] = Counter()
    publish = world.server._publish

    def counting(cable: Any, subject: str, *rest: Any) -> None:
        found[".".join(subject.split(".")[:4])] += 1
        publish(cable, subject, *rest)

    setattr(world.server, "_publish", counting)  # noqa: B010
    return found


def test_an_engine_that_may_not_write_does_not_decide_the_same_again_and_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    owned = Ownership.sure
    taken_away = 3.0
    monkeypatch.setattr(
        Ownership,
        "sure",
        property(lambda own: world.now < taken_away and owned.fget(own)),  # type: ignore[attr-defined]
    )
    engine(world, "engine", lease=60.0).start()

    async def submit() -> None:
        link = Link(lambda: ENDPOINT, NAMES, "client")
        await link.open()
        deadline = world.machine.clock.nanoseconds() // 1000 + 5_000_000
        command = c.SubmitJob(JOB, "late", submission(task()), "", e.JobOptions(deadline=deadline))
        assert isinstance(await link.ask_about(JOB, p.encode(command), timeout=5, patience=5), p.Done)

    client = world.node("client", submit)
    client.start()
    assert world.run(lambda: not client.running, seconds=2)
    asked = counted(world)
    world.run(lambda: False, seconds=10)  # the deadline comes, and the engine may not write that
    assert 5 < asked["$JS.API.DIRECT.GET"] < 60


def test_a_run_over_several_partitions_ends_when_nothing_is_ready(world: World) -> None:
    engines = [engine(world, f"engine-{number}", partitions=3) for number in range(2)]
    for one in engines:
        one.start()
    world.run(lambda: sum(what == "ready" for _, what, _ in world.happened) == 2, seconds=10)
    asked = counted(world)

    async def work() -> None:
        link = Link(lambda: ENDPOINT, NAMES, "runner")
        await link.open()
        invariants = Invariants(Trace(lambda: world.now, None), partitions=3)
        fates = Fates(1, failing=0.0, longest=0.1)
        await run_session(link, fates, invariants, concurrency=1, forever=False, lasts=1000.0)

    for seed in range(20):  # answers of two engines rarely come in the same moment
        world.network.chance = Random(seed)
        runner = world.node(f"runner-{seed}", work)
        runner.start()
        assert world.run(lambda runner=runner: not runner.running, seconds=10)  # type: ignore[misc]
    assert asked["jobledger.sim.exchange.0"] < 20 * 4


def test_leaving_subscriptions_takes_no_longer_than_asked(world: World) -> None:
    arrived: list[bytes] = []
    took: list[float] = []

    async def leave(client: Wire) -> None:
        subscriptions = [await client.listen(f"left.{number}", take) for number in range(5)]
        await client.flush()
        client.post("left.1", b"sent before")
        began = world.now
        await client.leave(subscriptions, timeout=1.0)
        took.append(world.now - began)
        client.post("left.1", b"sent after")
        await client.flush()
        assert not client._subs

    def take(message: Message) -> None:
        arrived.append(message.data)

    async def work() -> None:
        client = await open_connection(ENDPOINT, name="leaving")
        await leave(client)
        [wire] = world.wires
        wire.cut(unnoticed=100.0)  # what is sent is lost, and nobody knows
        assert client.is_connected
        subscription = await client.listen("left.6", take)
        began = world.now
        await client.leave([subscription], timeout=1.0)
        took.append(world.now - began)

    node = world.node("node", work)
    node.start()
    assert world.run(lambda: not node.running, seconds=60)
    assert world.failures == []
    assert arrived == [b"sent before"]
    assert took[0] < 0.1
    assert took[1] == pytest.approx(1.0)
