"""The factory: its settings, its connection, and jobledger's own log as one of the streams it opens."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from eventsourcing.persistence import (
    OperationalError,
    StoredEvent,
)

from jobledger.adapters.nats.eventstore import JetStreamFactory
from jobledger.adapters.nats.eventstore.recorders import JetStreamApplicationRecorder
from jobledger.adapters.nats.log import LogWriter, encode_message, read_job
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.streams import ensure_log
from jobledger.adapters.nats.wire import Wire
from jobledger.core.codec import NO_PREVIOUS, TOPIC, Commit, decode_commit, digest, encode_commit
from jobledger.core.events import JobCompleted
from support.recorders import Opened, on_server
from support.servers import NatsServer


def test_recorders_that_are_dropped_take_their_connection_with_them(
    nats_server: NatsServer, names: Names
) -> None:
    factory = JetStreamFactory({"NATS_URL": nats_server.url, "NATS_STREAM": names.namespace})
    recorder = factory.application_recorder()
    assert isinstance(recorder, JetStreamApplicationRecorder)
    connection = recorder._stream.bridge.link.nc
    assert connection.is_connected

    del factory, recorder
    gc.collect()

    assert connection.is_closed


def test_recorders_of_a_closed_factory_say_so(opened: Opened, nats_server: NatsServer) -> None:
    factory = opened.factory(nats_server.url)
    recorder = factory.application_recorder()
    factory.close()

    with pytest.raises(OperationalError, match="closed"):
        recorder.max_notification_id()


def test_a_server_that_is_not_there_is_named(opened: Opened) -> None:
    factory = opened.factory("nats://user:secret@127.0.0.1:1", NATS_TIMEOUT="0.5")

    with pytest.raises(OperationalError, match=r"127\.0\.0\.1:1") as raised:
        factory.application_recorder()
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("setting", ["NATS_CREDENTIALS", "NATS_TLS_CA"])
def test_a_file_that_cannot_be_read_is_named(
    opened: Opened, nats_server: NatsServer, setting: str, tmp_path: Path
) -> None:
    factory = opened.factory(nats_server.url, **{setting: str(tmp_path / "missing")})

    with pytest.raises(OSError, match=r"a setting cannot be used: .*(credentials|TLS) file"):
        factory.application_recorder()


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"NATS_STREAM": "s"}, "NATS_URL"),
        ({"NATS_URL": "nats://127.0.0.1"}, "NATS_STREAM"),
        ({"NATS_URL": "nats://127.0.0.1", "NATS_STREAM": "a.b"}, "NATS_STREAM"),
        ({"NATS_URL": "gopher://127.0.0.1", "NATS_STREAM": "s"}, "NATS_URL"),
        ({"NATS_URL": "nats://127.0.0.1", "NATS_STREAM": "s", "NATS_USER": "me"}, "password"),
        ({"NATS_URL": "nats://127.0.0.1", "NATS_STREAM": "s", "NATS_REPLICAS": "many"}, "NATS_REPLICAS"),
        ({"NATS_URL": "nats://127.0.0.1", "NATS_STREAM": "s", "NATS_TIMEOUT": "-1"}, "NATS_TIMEOUT"),
        ({"NATS_URL": "nats://127.0.0.1", "NATS_STREAM": "s", "NATS_PREFIX": "a.>"}, "NATS_PREFIX"),
    ],
)
def test_wrong_settings_are_named(env: dict[str, str], named: str) -> None:
    with pytest.raises(OSError, match=named):
        JetStreamFactory(env)


def test_the_engine_and_the_recorders_read_what_the_other_wrote(
    opened: Opened, nats_server: NatsServer, names: Names
) -> None:
    first = Commit(bytes(16), NO_PREVIOUS, 1, "an engine", False, [JobCompleted()])
    written = encode_message(1, first)

    async def write_as_engine(nc: Wire) -> None:
        await ensure_log(nc.jetstream(), names)
        writer = LogWriter(nc, names)
        await writer.open()
        await writer.append("job-1", written, after=0)

    on_server(nats_server.url, write_as_engine)
    recorder = opened.recorder(
        nats_server.url, NATS_STREAM=names.log_stream, NATS_PREFIX=f"{names.prefix}.log"
    )
    (read,) = recorder.select_events("job-1")
    assert (read.originator_id, read.originator_version, read.topic) == ("job-1", 1, TOPIC)
    assert encode_commit(decode_commit(read.state)) == encode_commit(first) == read.state

    second = Commit(bytes(16), digest(written), 2, "a recorder", True, [])
    assert recorder.insert_events([StoredEvent("job-1", 2, TOPIC, encode_commit(second))]) == [2]
    stored = on_server(nats_server.url, lambda nc: read_job(nc, names, "job-1"))
    assert [(s.position, s.version, s.commit.writer) for s in stored] == [
        (1, 1, "an engine"),
        (2, 2, "a recorder"),
    ]
