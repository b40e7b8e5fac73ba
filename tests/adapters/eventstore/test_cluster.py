"""On three servers: reading one's own writes, and going on when the leader of the stream dies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from eventsourcing.persistence import OperationalError, StoredEvent

from jobledger.adapters.nats.eventstore import JetStreamFactory
from jobledger.adapters.nats.eventstore.recorders import JetStreamApplicationRecorder
from support.servers import NatsCluster
from support.waiting import eventually

ELECTION = 60.0  #: seconds; some five where nothing else runs
T = TypeVar("T")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[NatsCluster]:
    cluster = NatsCluster(tmp_path)
    yield cluster
    cluster.stop()


def once_possible(action: Callable[[], T]) -> T:
    """Return what the action returns as soon as it is not refused for want of a leader."""

    def attempt() -> tuple[T] | None:
        try:
            return (action(),)
        except OperationalError:
            return None

    found = eventually(attempt, within=ELECTION)
    assert found is not None
    return found[0]


def test_reads_what_it_wrote_and_outlives_the_leader(cluster: NatsCluster) -> None:
    env = {"NATS_URL": cluster.url, "NATS_STREAM": "s", "NATS_REPLICAS": "3", "NATS_TIMEOUT": "2"}
    factory = JetStreamFactory(env)
    try:
        recorder = once_possible(factory.application_recorder)
        assert isinstance(recorder, JetStreamApplicationRecorder)
        with recorder.subscribe() as subscription:
            for version in range(1, 101):
                written = [StoredEvent("job", version, "topic", b"state")]
                recorder.insert_events(written)
                # the replica that answers may lag behind, what is read must not
                assert recorder.select_events("job", gt=version - 1) == written

            stream = recorder._stream
            info = stream.bridge.run(stream.bridge.link.js.stream_info("s"))
            assert info.cluster is not None
            assert info.cluster.leader is not None
            cluster.servers[info.cluster.leader].kill()

            def insert_the_next() -> int:
                # whether an attempt that failed took effect is unknown: the log says what is next
                (last,) = recorder.select_events("job", desc=True, limit=1)
                recorder.insert_events([StoredEvent("job", last.originator_version + 1, "topic", b"state")])
                return last.originator_version + 1

            version = once_possible(insert_the_next)
            assert version in (101, 102)
            assert [next(subscription).originator_version for _ in range(version)] == list(
                range(1, version + 1)
            )
    finally:
        factory.close()
