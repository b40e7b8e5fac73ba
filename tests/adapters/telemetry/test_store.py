"""The telemetry stream on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from jobledger.adapters.nats.asking import JetStreamError, jetstream
from jobledger.adapters.telemetry import store
from jobledger.adapters.telemetry.records import Line
from support.servers import NatsServer

from .conftest import RUNNER, Stream, line


def config(stream: Stream) -> dict[str, object]:
    info = stream.run(jetstream(stream.link.nc, f"STREAM.INFO.{stream.names.telemetry_stream}", {}))
    found: dict[str, object] = info["config"]
    return found


def test_nothing_is_read_where_nothing_was_ever_written(stream: Stream) -> None:
    assert stream.read("job") == []
    stream.run(store.purge(stream.link.nc, stream.names, "job"))


def test_the_stream_forgets_by_age_and_size_the_oldest_first(stream: Stream) -> None:
    stream.publish("job", line(1))
    found = config(stream)
    assert found["max_age"] == 30 * 86400 * 10**9
    assert found["max_bytes"] == 256 * 1024 * 1024
    assert found["discard"] == "old"
    assert found["storage"] == "file"
    assert found["subjects"] == [f"jobledger.{stream.names.namespace}.telemetry.*"]


def test_many_may_make_it_at_once(stream: Stream) -> None:
    async def all_at_once() -> None:
        await asyncio.gather(*(store.ensure(stream.link.nc, stream.names) for _ in range(20)))

    stream.run(all_at_once())
    stream.publish("job", line(1))
    assert stream.bodies("job") == ["line 1"]


def test_batches_are_read_by_job_in_the_order_they_were_stored(stream: Stream) -> None:
    stream.publish("a", line(1), line(2))
    stream.publish("b", line(3))
    stream.publish("a", line(4), dropped=7)
    first, second = stream.read("a")
    assert first.records == [line(1), line(2)]
    assert (second.records, second.batch.dropped, second.batch.runner) == ([line(4)], 7, RUNNER)
    assert [one.position for one in stream.read("a", after=first.position)] == [second.position]


def test_more_batches_than_one_answer_of_the_server_holds(stream: Stream) -> None:
    for number in range(600):
        stream.publish("job", line(number))
    assert stream.bodies("job") == [f"line {number}" for number in range(600)]


def test_a_batch_that_is_sent_again_is_stored_once(stream: Stream) -> None:
    for _ in range(3):
        stream.publish("job", line(1), identity="the same")
    assert stream.bodies("job") == ["line 1"]


def test_purging_a_job_leaves_the_others(stream: Stream) -> None:
    stream.publish("a", line(1))
    stream.publish("b", line(2))
    stream.run(store.purge(stream.link.nc, stream.names, "a"))
    assert (stream.bodies("a"), stream.bodies("b")) == ([], ["line 2"])


def test_limits_are_set_before_and_after_the_first_line_and_stay(stream: Stream) -> None:
    def limit(age: timedelta | None, size: int | None) -> None:
        stream.run(store.limit(stream.link.nc, stream.names, age, size))

    limit(timedelta(days=1), None)
    stream.publish("job", line(1))
    limit(None, 2 * 1024 * 1024)
    stream.run(store.ensure(stream.link.nc, stream.names))
    found = config(stream)
    assert (found["max_age"], found["max_bytes"]) == (86400 * 10**9, 2 * 1024 * 1024)
    assert stream.bodies("job") == ["line 1"]


def test_when_it_is_full_the_oldest_go(stream: Stream) -> None:
    stream.run(store.limit(stream.link.nc, stream.names, None, 1024 * 1024))
    for number in range(60):
        stream.publish("job", Line(number, 20, "x" * 30_000, 0, 1))
    kept = [record.at for one in stream.read("job") for record in one.records if isinstance(record, Line)]
    assert kept == list(range(kept[0], 60))
    assert 10 < len(kept) < 60


def test_a_server_without_much_room_keeps_less(
    tmp_path: Path, open_stream: Callable[[NatsServer], Stream]
) -> None:
    server = NatsServer(tmp_path, room="100MB").start()
    try:
        stream = open_stream(server)
        stream.publish("job", line(1))
        assert config(stream)["max_bytes"] == 64 * 1024 * 1024
    finally:
        server.stop()


def test_a_limit_the_server_has_no_room_for_is_refused(stream: Stream) -> None:
    with pytest.raises(JetStreamError, match="insufficient"):
        stream.run(store.limit(stream.link.nc, stream.names, None, 2**60))
