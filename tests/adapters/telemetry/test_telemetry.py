"""From the threads of tasks to the stream: nothing waits, and what cannot be stored is counted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from jobledger.adapters.nats.asking import jetstream
from jobledger.adapters.telemetry.telemetry import Telemetry
from jobledger.adapters.telemetry.trace_context import own_root
from support.servers import NatsServer

from .conftest import RUNNER, Stream, eventually, line, say

LOGGER = "jobledger.adapters.telemetry.telemetry"


def dropped(stream: Stream, job_id: str) -> int:
    return sum(one.batch.dropped for one in stream.read(job_id))


def test_records_arrive_while_the_runner_goes_on(stream: Stream) -> None:
    telemetry = stream.telemetry()
    say(telemetry, "job", "one", "two")
    eventually(lambda: stream.bodies("job") == ["one", "two"])
    say(telemetry, "job", "three")
    eventually(lambda: stream.bodies("job") == ["one", "two", "three"])
    (batch, *_) = [one.batch for one in stream.read("job")]
    assert (batch.runner, batch.trace, batch.dropped) == (RUNNER, own_root("job").trace, 0)


def test_what_was_said_last_is_stored_before_the_end(stream: Stream) -> None:
    telemetry = stream.telemetry()
    say(telemetry, "job", "last")
    stream.stop(telemetry)
    assert stream.bodies("job") == ["last"]


def test_what_comes_before_the_start_or_after_the_end_is_nobodys(stream: Stream) -> None:
    say(Telemetry(), "job", "never started")
    telemetry = stream.telemetry()
    stream.stop(telemetry)
    say(telemetry, "job", "too late")
    assert stream.bodies("job") == []


def test_many_threads_many_jobs_many_lines(stream: Stream) -> None:
    telemetry = stream.telemetry()
    bodies = [f"line {number}" for number in range(2000)]
    threads = [threading.Thread(target=say, args=(telemetry, f"job-{job % 3}", *bodies)) for job in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stream.stop(telemetry)
    for job in range(3):
        assert sorted(stream.bodies(f"job-{job}")) == sorted(bodies * 2)
        assert dropped(stream, f"job-{job}") == 0


def test_a_server_that_restarts_loses_nothing_and_repeats_nothing(
    tmp_path: Path, open_stream: Callable[[NatsServer], Stream]
) -> None:
    server = NatsServer(tmp_path).start()
    try:
        stream = open_stream(server)
        telemetry = stream.telemetry()
        said = []
        for round_ in range(3):
            bodies = [f"round {round_} line {number}" for number in range(100)]
            said += bodies
            say(telemetry, "job", *bodies)
            server.kill()
            say(telemetry, "job", f"while it was away {round_}")
            said.append(f"while it was away {round_}")
            server.start()
        eventually(lambda: stream.link.nc.is_connected)
        stream.stop(telemetry)
        assert stream.bodies("job") == said
        assert dropped(stream, "job") == 0
    finally:
        server.stop()


def test_a_server_that_stays_away_costs_the_oldest_lines_and_they_are_counted(
    tmp_path: Path, open_stream: Callable[[NatsServer], Stream], caplog: pytest.LogCaptureFixture
) -> None:
    server = NatsServer(tmp_path).start()
    try:
        stream = open_stream(server)
        telemetry = stream.telemetry(room=2000)
        say(telemetry, "job", "before")
        eventually(lambda: stream.bodies("job") == ["before"])
        server.kill()
        eventually(lambda: not stream.link.nc.is_connected)
        say(telemetry, "job", *(f"line {number}" for number in range(1000)))
        server.start()
        eventually(lambda: stream.link.nc.is_connected)
        with caplog.at_level(logging.WARNING, LOGGER):
            stream.stop(telemetry)
        kept = stream.bodies("job")[1:]
        assert kept[-1] == "line 999"
        assert 0 < len(kept) < 1000
        assert len(kept) + dropped(stream, "job") == 1000
        assert f"were dropped: {1000 - len(kept)}" in caplog.text
    finally:
        server.stop()


def test_the_end_does_not_wait_for_a_server_that_is_away(
    tmp_path: Path, open_stream: Callable[[NatsServer], Stream], caplog: pytest.LogCaptureFixture
) -> None:
    server = NatsServer(tmp_path).start()
    stream = open_stream(server)
    telemetry = stream.telemetry()
    server.kill()
    eventually(lambda: not stream.link.nc.is_connected)
    say(telemetry, "job", "one", "two")
    with caplog.at_level(logging.WARNING, LOGGER):
        stream.stop(telemetry, patience=600)  # it is given up long before
    assert "were dropped: 2" in caplog.text


def test_a_stream_that_was_deleted_is_made_again(stream: Stream) -> None:
    telemetry = stream.telemetry()
    say(telemetry, "job", "before")
    eventually(lambda: stream.bodies("job") == ["before"])
    stream.run(jetstream(stream.link.nc, f"STREAM.DELETE.{stream.names.telemetry_stream}", {}))
    say(telemetry, "job", "after")
    eventually(lambda: stream.bodies("job") == ["after"])


def test_somebody_who_listens_is_not_taken_for_the_stream(stream: Stream) -> None:
    heard = threading.Event()

    async def hear(message: object) -> None:
        heard.set()

    end = stream.run(stream.link.listen(stream.names.telemetry_subject("job"), hear))
    telemetry = stream.telemetry()
    say(telemetry, "job", "first of all")
    stream.stop(telemetry)
    assert heard.wait(5)
    assert stream.bodies("job") == ["first of all"]
    stream.run(end())


def test_a_server_for_small_messages_gets_smaller_ones(
    tmp_path: Path, open_stream: Callable[[NatsServer], Stream]
) -> None:
    server = NatsServer(tmp_path, more_configuration="max_payload: 16KB\n").start()
    try:
        stream = open_stream(server)
        telemetry = stream.telemetry()
        telemetry.keep("job", own_root("job"), line(0, "x" * 40_000))
        say(telemetry, "job", *("y" * 1000 for _ in range(100)))
        stream.stop(telemetry)
        assert stream.bodies("job") == ["y" * 1000] * 100
        assert dropped(stream, "job") == 1
    finally:
        server.stop()
