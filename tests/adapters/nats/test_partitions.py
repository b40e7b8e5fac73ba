"""To which partition a job belongs, and how many a log has."""

from __future__ import annotations

import asyncio
from collections import Counter
from uuid import UUID

import pytest

from jobledger.adapters.nats.connection import connect
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.names import Names, names_of
from jobledger.adapters.nats.partitions import MOST_PARTITIONS, WHOLE, Partition, partition_of
from jobledger.adapters.nats.streams import (
    StreamSettingsError,
    ensure_divided,
    ensure_log,
    log_settings,
    partitions_of,
)
from support.servers import NatsServer


@pytest.mark.parametrize(
    ("job_id", "of_3", "of_8", "of_256"),
    [
        ("", 0, 0, 0),
        ("00000000-0000-0000-0000-000000000000", 1, 1, 137),
        ("3f1c2f0a-7b0e-4d5c-9a53-0d8f5b6c7e21", 1, 2, 130),
        ("0192f3a4-0c11-7a3e-8f00-1234567890ab", 1, 7, 55),
        ("nightly-2026-11-22", 2, 0, 120),
        ("größe", 2, 1, 137),
    ],
)
def test_a_job_belongs_to_the_same_partition_for_ever(job_id: str, of_3: int, of_8: int, of_256: int) -> None:
    """Logs exist whose jobs were divided by these figures."""
    assert [partition_of(job_id, count) for count in (1, 3, 8, 256)] == [0, of_3, of_8, of_256]


def test_partitions_are_about_as_large_as_each_other() -> None:
    counts = Counter(partition_of(str(UUID(int=number)), 8) for number in range(8000))
    assert len(counts) == 8
    assert all(850 < count < 1150 for count in counts.values())


def test_every_job_belongs_to_exactly_one_partition() -> None:
    for job_id in map(str, range(100)):
        assert sum(Partition(number, 5).holds(job_id) for number in range(5)) == 1
        assert WHOLE.holds(job_id)


def test_requests_about_a_job_go_to_its_partition() -> None:
    parts = Names("n").parts(4)
    within = names_of(parts, "nightly-2026-11-22")
    assert within.command == f"jobledger.n.command.{partition_of('nightly-2026-11-22', 4)}"
    assert within.log_subject("x") == Names("n").log_subject("x")
    assert len({names.command for names in parts} | {names.exchanges for names in parts}) == 8


def test_the_only_partition_has_no_number_in_its_subjects() -> None:
    (only,) = Names("n").parts(1)
    assert only.command == "jobledger.n.command"
    assert only.exchange("s", "gpu", "u") == "jobledger.n.exchange.gpu.u.s"
    assert only.heartbeats == "jobledger.n.heartbeat.*.*.*"


def test_the_number_is_fixed_when_the_log_is_made(nats_server: NatsServer, names: Names) -> None:
    async def go() -> None:
        client = await connect(Endpoint(nats_server.url), name="test")
        js = client.jetstream()
        try:
            assert await ensure_divided(js, names, partitions=4) == (4, 1)
            assert await ensure_divided(js, names) == (4, 1)
            assert await ensure_divided(js, names, partitions=4) == (4, 1)
            await ensure_log(js, names)  # whom that does not concern
            with pytest.raises(StreamSettingsError, match=r"into 4 partitions, not into 5.*or with 4"):
                await ensure_divided(js, names, partitions=5)
        finally:
            await client.close()

    asyncio.run(go())


def test_a_log_of_before_has_one(nats_server: NatsServer, names: Names) -> None:
    async def go() -> None:
        client = await connect(Endpoint(nats_server.url), name="test")
        js = client.jetstream()
        try:
            await js.add_stream(log_settings(names.log_stream, [names.log_subjects]))
            await js.publish(names.log_subject("a-job"), b"")
            assert await ensure_divided(js, names) == (1, 1)
            with pytest.raises(StreamSettingsError, match="into 1 partitions, not into 2"):
                await ensure_divided(js, names, partitions=2)
        finally:
            await client.close()

    asyncio.run(go())


@pytest.mark.parametrize("first", [None, 1])
def test_a_log_that_nobody_used_is_undecided_until_an_engine_decides(
    nats_server: NatsServer, names: Names, first: int | None
) -> None:
    async def go() -> None:
        client = await connect(Endpoint(nats_server.url), name="test")
        js = client.jetstream()
        try:
            await ensure_log(js, names)  # as a projector does that was started first
            if first is None:
                assert await ensure_divided(js, names, partitions=3) == (3, 1)
            else:
                assert await ensure_divided(js, names) == (1, 1)
                with pytest.raises(StreamSettingsError, match="into 1 partitions, not into 3"):
                    await ensure_divided(js, names, partitions=3)
            await ensure_log(js, names)
        finally:
            await client.close()

    asyncio.run(go())


@pytest.mark.parametrize("number", [0, -1, MOST_PARTITIONS + 1])
def test_impossible_numbers_are_refused(nats_server: NatsServer, names: Names, number: int) -> None:
    async def go() -> None:
        client = await connect(Endpoint(nats_server.url), name="test")
        try:
            with pytest.raises(StreamSettingsError, match=f"partitions = {number} is not possible: use 1 to"):
                await ensure_divided(client.jetstream(), names, partitions=number)
        finally:
            await client.close()

    asyncio.run(go())


@pytest.mark.parametrize("stored", ["", "x", "0", "1e3", "-4", "99999"])
def test_metadata_that_makes_no_sense_is_not_guessed_at(stored: str) -> None:
    with pytest.raises(StreamSettingsError, match="is no number from 1 to"):
        partitions_of({"jobledger-partitions": stored})
