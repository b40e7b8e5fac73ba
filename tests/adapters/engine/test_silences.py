"""How long a runner was silent is counted over engines: where they are replaced all the time, what the dead hold comes free."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import msgspec
import pytest

from jobledger.adapters.engine.runners.leases import Leases
from jobledger.adapters.engine.runners.silences import Silences
from jobledger.adapters.link import Link
from jobledger.adapters.portal import shared_portal
from jobledger.core.errors import ServerUnavailable
from support.engines import BareRunner, EngineHarness, event_names, folded, submit
from support.waiting import eventually

Start = Callable[..., EngineHarness]

LEASE = 20.0  #: seconds: longer than anything is waited for here
run = shared_portal().run


def noted(link: Link) -> dict[str, float]:
    """Return who is noted to be silent, and for how long."""

    async def read() -> bytes:
        bucket = await link.nc.jetstream().key_value(link.names.checkpoints_bucket)
        return (await bucket.get(link.names.silences_key)).value or b""

    seconds = msgspec.msgpack.decode(run(read()))[1]
    assert isinstance(seconds, dict)
    return seconds


def note(link: Link, seconds: dict[str, float]) -> None:
    """Have an engine that is gone have noted this."""

    async def write() -> None:
        bucket = await link.nc.jetstream().key_value(link.names.checkpoints_bucket)
        await bucket.put(link.names.silences_key, msgspec.msgpack.encode(["gone", seconds]))

    run(write())


@pytest.fixture
def held(start_engine: Start, link: Link) -> tuple[BareRunner, str]:
    """A runner that holds a task, and the job; the engine of that moment is gone."""
    engine = start_engine(lease=LEASE).wait_ready()
    runner = BareRunner(link)
    job = submit(link)
    runner.claim()
    engine.stop()
    return runner, job


def test_an_engine_notes_who_did_not_speak_to_it(
    held: tuple[BareRunner, str], start_engine: Start, link: Link
) -> None:
    runner, _ = held
    start_engine(lease=LEASE).wait_ready()
    first = eventually(lambda: noted(link).get(runner.name))
    assert first is not None
    eventually(lambda: noted(link)[runner.name] > first)


def test_the_next_one_counts_on_and_ends_the_lease(
    held: tuple[BareRunner, str], start_engine: Start, link: Link
) -> None:
    runner, job = held
    note(link, {runner.name: LEASE})
    start_engine(lease=LEASE).wait_ready()
    eventually(lambda: "LeaseExpired" in event_names(link, job))
    assert runner.name not in folded(link, job).claimed_by.values()


def test_whoever_speaks_again_is_answered_once_that_is_taken_back(
    held: tuple[BareRunner, str], start_engine: Start, link: Link
) -> None:
    runner, job = held
    note(link, {runner.name: LEASE - 15.0, "another": 1.0})
    start_engine(lease=LEASE).wait_ready()
    assert runner.name in noted(link)
    runner.heartbeat()
    assert runner.name not in noted(link)
    assert folded(link, job).claimed_by == {0: runner.name}


def test_nothing_is_taken_of_an_engine_that_was_deposed(link: Link, start_engine: Start) -> None:
    start_engine().wait_ready().stop()
    note(link, {"silent": 1.0})

    def silences() -> Silences:
        return Silences(link.nc, link.names, Leases(LEASE, lambda: 0.0, lambda _: None), uuid4().hex)

    deposed, successor = silences(), silences()
    run(deposed.open())
    run(successor.open())
    assert deposed.noted == successor.noted == {"silent"}
    with pytest.raises(ServerUnavailable, match="another engine"):
        run(deposed.heard("silent"))
    run(successor.heard("silent"))
    assert noted(link) == {}


def test_a_note_that_is_damaged_costs_time_and_nothing_else(
    held: tuple[BareRunner, str], start_engine: Start, link: Link
) -> None:
    runner, job = held

    async def damage() -> None:
        bucket = await link.nc.jetstream().key_value(link.names.checkpoints_bucket)
        await bucket.put(link.names.silences_key, b"\xc1")

    run(damage())
    start_engine(lease=LEASE).wait_ready()
    runner.heartbeat()
    assert folded(link, job).claimed_by == {0: runner.name}
