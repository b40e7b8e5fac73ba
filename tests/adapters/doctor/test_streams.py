"""Streams that would forget, copies that are missing, commits that cannot be read: found by asking."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.js import JetStreamContext

from jobledger import Client
from jobledger.adapters.doctor.followers import _is_stale
from jobledger.adapters.doctor.replication import _lagging
from jobledger.adapters.nats.log import encode_message
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.streams import log_settings
from jobledger.core.codec import NO_PREVIOUS, Commit
from jobledger.data import Health
from support.engines import EngineHarness
from support.servers import NatsCluster, NatsServer
from support.waiting import eventually

from .conftest import ACCOUNTS, SYSTEM, Looking, found, logged_in


@pytest.fixture
def engine(synced_server: NatsServer, names: Names) -> Iterator[EngineHarness]:
    engine = EngineHarness(logged_in(synced_server.url), names).wait_ready()
    yield engine
    engine.stop()


def test_a_namespace_that_is_as_it_should_be(engine: EngineHarness, looking: Looking) -> None:
    report = looking.examined()
    assert report.ok
    for check in (
        "stream settings",
        "replication",
        "server version",
        "engines",
        "checkpoints",
        "space",
        "clocks",
    ):
        found(report, check, Health.OK)


def test_a_user_who_may_not_ask_about_streams(looking: Looking, names: Names) -> None:
    report = looking.examined("curious")
    finding = found(report, "replication", Health.UNKNOWN)
    assert names.log_stream in finding.found
    assert finding.promise
    assert not report.ok


def test_a_log_there_is_not(looking: Looking) -> None:
    report = looking.examined()
    assert "there is no stream" in found(report, "replication", Health.FAILED).found
    assert not report.ok


@pytest.mark.parametrize("setting", [{"max_age": 3600.0}, {"deny_purge": False}, {"max_msgs": 5}])
def test_a_log_that_forgets(looking: Looking, names: Names, setting: dict[str, Any]) -> None:
    wanted = log_settings(names.log_stream, [names.log_subjects])
    for name, value in setting.items():
        setattr(wanted, name, value)
    looking.change(lambda js: js.add_stream(wanted))
    finding = found(looking.examined(), "stream settings", Health.FAILED)
    assert finding.promise
    assert next(iter(setting)) in finding.found


def test_a_stream_beside_it_that_forgets_what_jobs_refer_to(
    engine: EngineHarness, looking: Looking, names: Names
) -> None:
    async def shorten(js: JetStreamContext) -> None:
        await js.add_stream(name=f"OBJ_{names.objects_bucket}", subjects=["anything"], max_age=60)

    looking.change(shorten)
    assert "max_age" in found(looking.examined(), "stream settings", Health.FAILED).found


def test_a_commit_that_cannot_be_read(engine: EngineHarness, looking: Looking, names: Names) -> None:
    found(looking.examined(), "engines", Health.OK)
    looking.change(lambda js: js.publish(names.log_subject("broken"), b"not a commit"))
    finding = found(looking.examined(), "newest commits", Health.FAILED)
    assert "#1 of job broken" in finding.found
    assert "audit verify" in finding.remedy


def test_a_log_that_is_nearly_full(looking: Looking, names: Names) -> None:
    wanted = log_settings(names.log_stream, [names.log_subjects])
    wanted.max_bytes = 4000

    async def fill(js: JetStreamContext) -> None:
        await js.add_stream(wanted)
        for number in range(3):
            await js.publish(names.log_subject(f"job{number}"), b"x" * 1050)

    looking.change(fill)
    finding = found(looking.examined(), "space", Health.WARNING)
    assert finding.found.startswith("the log is 8")
    assert "full in 0 hours" in finding.found


def test_an_engine_whose_clock_is_wrong(looking: Looking, names: Names) -> None:
    tomorrow = int((datetime.now(UTC) + timedelta(days=1)).timestamp() * 1e6)
    commit = Commit(bytes(16), NO_PREVIOUS, tomorrow, "engine-7", False, [])

    async def write(js: JetStreamContext) -> None:
        await js.add_stream(log_settings(names.log_stream, [names.log_subjects]))
        await js.publish(names.log_subject("job"), encode_message(1, commit))

    looking.change(write)
    finding = found(looking.examined(), "clocks", Health.WARNING)
    assert finding.found.startswith("engine engine-7 was 86400.0 s ahead")


def test_a_namespace_without_an_engine(looking: Looking, names: Names) -> None:
    looking.change(lambda js: js.add_stream(log_settings(names.log_stream, [names.log_subjects])))
    assert "no engine" in found(looking.examined(), "engines", Health.FAILED).found


def test_a_consumer_that_nobody_comes_back_for() -> None:
    long_ago = "2026-01-01T00:00:00Z"
    consumer = {"name": "c", "config": {"durable_name": "c"}, "created": long_ago, "num_pending": 7}
    assert _is_stale(consumer)
    assert not _is_stale(consumer | {"num_pending": 0})
    assert not _is_stale(consumer | {"num_waiting": 1})
    assert not _is_stale(consumer | {"config": {}})
    assert not _is_stale(consumer | {"delivered": {"last_active": datetime.now(UTC).isoformat()}})


def test_replicas_that_are_behind_or_away() -> None:
    replicas = [
        {"name": "n1", "current": True, "active": 1e8},
        {"name": "n2", "current": False, "active": 1e9, "lag": 4000},
        {"name": "n3", "current": False, "active": 2e10},
    ]
    lagging = list(_lagging({"cluster": {"leader": "n0", "replicas": replicas}}))
    assert lagging == ["n2 is 4,000 messages behind", "n3 is away, for 20 s"]


def test_a_cluster_and_one_server_of_it_away(tmp_path: Path, names: Names) -> None:
    cluster = NatsCluster(tmp_path, more_configuration=ACCOUNTS, sync_interval="always")
    url = logged_in(cluster.url)
    try:
        settings = log_settings(names.log_stream, [names.log_subjects], replicas=3)
        eventually(lambda: _replicated(url, settings), within=30)
        with Client(url, namespace=names.namespace) as client:
            report = client.doctor(**SYSTEM)
            assert "n1, n2, n3" in found(report, "acknowledgements", Health.OK).found
            assert "3 servers" in [one for one in report.findings if one.check == "replication"][1].found

            cluster.servers["n3"].kill()
            # What the server that is away would say is not known.
            assert "n3" in found(client.doctor(**SYSTEM), "acknowledgements", Health.UNKNOWN).found
    finally:
        cluster.stop()


def _replicated(url: str, settings: Any) -> bool:
    async def make() -> bool:
        client = await nats.connect(url.split(","))
        stream = client.jetstream(timeout=0.5)
        try:
            await stream.add_stream(settings)
            cluster = (await stream.stream_info(settings.name)).cluster
        except (nats.errors.Error, nats.js.errors.Error):
            return False
        finally:
            await client.close()
        assert cluster is not None
        return bool(cluster.leader) and all(replica.current for replica in cluster.replicas or [])

    return asyncio.run(make())
