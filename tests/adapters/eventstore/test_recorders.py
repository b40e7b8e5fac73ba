"""What the library's conformance tests leave open: who may write where, and what lost traffic and damage lead to."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import nats
import pytest
from eventsourcing.persistence import (
    DataError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    StoredEvent,
    Tracking,
)
from eventsourcing.popo import POPOApplicationRecorder
from hypothesis import given, settings
from hypothesis import strategies as st
from nats.aio.client import Client

from jobledger.adapters.nats.eventstore import JetStreamFactory
from jobledger.adapters.nats.eventstore.following import HEARTBEAT
from jobledger.adapters.nats.eventstore.recorders import JetStreamApplicationRecorder
from jobledger.adapters.nats.eventstore.tracking import JetStreamProcessRecorder
from jobledger.adapters.nats.log import LogWriter, encode_message, read_job
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.records import encode_record
from jobledger.adapters.nats.streams import ensure_log
from jobledger.core.codec import NO_PREVIOUS, TOPIC, Commit, decode_commit, digest, encode_commit
from jobledger.core.events import JobCompleted
from support.relay import Relay
from support.servers import NatsServer
from support.waiting import eventually

PATIENCE = 20.0


def event(
    originator_id: UUID | str, version: int, state: bytes = b"state", topic: str = "topic"
) -> StoredEvent:
    return StoredEvent(originator_id, version, topic, state)


def events(originator_id: UUID | str, *versions: int) -> list[StoredEvent]:
    return [event(originator_id, version, b"state %d" % version) for version in versions]


def on_server(url: str, action: Callable[[Client], Coroutine[Any, Any, Any]]) -> Any:
    """Do something to the server behind the recorders' back."""

    async def connected() -> Any:
        nc = await nats.connect(url)
        try:
            return await action(nc)
        finally:
            await nc.close()

    return asyncio.run(connected())


class Opened:
    """Makes recorders, each with a connection of its own, on the streams of one test."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._factories: list[JetStreamFactory] = []

    def factory(self, url: str, **env: str) -> JetStreamFactory:
        factory = JetStreamFactory({"NATS_URL": url, "NATS_STREAM": self._names.namespace, **env})
        self._factories.append(factory)
        return factory

    def recorder(self, url: str, **env: str) -> JetStreamApplicationRecorder:
        recorder = self.factory(url, **env).application_recorder()
        assert isinstance(recorder, JetStreamApplicationRecorder)
        return recorder

    def process_recorder(self, url: str, **env: str) -> JetStreamProcessRecorder:
        recorder = self.factory(url, **env).process_recorder()
        assert isinstance(recorder, JetStreamProcessRecorder)
        return recorder

    def close(self) -> None:
        for factory in self._factories:
            factory.close()


@pytest.fixture
def opened(names: Names) -> Iterator[Opened]:
    opened = Opened(names)
    yield opened
    opened.close()


@pytest.fixture
def recorder(opened: Opened, nats_server: NatsServer) -> JetStreamApplicationRecorder:
    return opened.recorder(nats_server.url)


# -- who may write ----------------------------------------------------------------------------------------------------


def test_a_stale_writer_is_refused_and_may_go_on_after_reading(
    opened: Opened, nats_server: NatsServer
) -> None:
    one, other = opened.recorder(nats_server.url), opened.recorder(nats_server.url)
    one.insert_events(events("job", 1))
    other.insert_events(events("job", 2))

    with pytest.raises(IntegrityError, match="decide anew"):
        one.insert_events([event("job", 2, b"another state")])

    assert [e.originator_version for e in one.select_events("job", gt=1)] == [2]
    assert one.insert_events(events("job", 3)) == [3]


def test_a_writer_that_missed_others_but_not_their_outcome_is_not_refused(
    opened: Opened, nats_server: NatsServer
) -> None:
    one, other = opened.recorder(nats_server.url), opened.recorder(nats_server.url)
    one.insert_events(events("job", 1))
    other.insert_events(events("job", 2, 3))

    # what it remembers of the subject is outdated; that version 4 follows version 3 is for the log to say
    assert one.insert_events(events("job", 4)) == [4]


def test_identical_bytes_are_no_excuse(opened: Opened, nats_server: NatsServer) -> None:
    one, other = opened.recorder(nats_server.url), opened.recorder(nats_server.url)
    one.insert_events(events("job", 1))

    with pytest.raises(IntegrityError):
        other.insert_events(events("job", 1))


@pytest.mark.parametrize("versions", [(7,), (1, 3), (1, 1), (2, 1)])
def test_versions_have_no_gaps(recorder: JetStreamApplicationRecorder, versions: tuple[int, ...]) -> None:
    with pytest.raises(IntegrityError):
        recorder.insert_events(events("job", *versions))

    assert recorder.select_events("job") == []


def test_originators_are_written_together_or_not_at_all(recorder: JetStreamApplicationRecorder) -> None:
    assert recorder.insert_events([*events("a", 1), *events("b", 1), *events("a", 2)]) == [1, 2, 3]

    with pytest.raises(IntegrityError):
        recorder.insert_events([*events("a", 3), *events("b", 1)])
    with pytest.raises(IntegrityError):
        recorder.insert_events([*events("c", 1), *events("b", 1)])

    assert recorder.max_notification_id() == 3
    assert recorder.insert_events([*events("b", 2), *events("c", 1)]) == [4, 5]


def test_one_stale_originator_refuses_the_whole_batch(opened: Opened, nats_server: NatsServer) -> None:
    one, other = opened.recorder(nats_server.url), opened.recorder(nats_server.url)
    one.insert_events([*events("a", 1), *events("b", 1)])
    other.insert_events(events("b", 2))

    with pytest.raises(IntegrityError, match=r"version 2 .* has version 2 at position 3"):
        one.insert_events([*events("a", 2, 3), event("b", 2, b"another state")])

    assert one.select_events("a") == events("a", 1)
    assert one.select_events("b") == events("b", 1, 2)


def test_a_stream_that_was_made_anew_is_written_from_its_start(
    recorder: JetStreamApplicationRecorder, nats_server: NatsServer, names: Names, opened: Opened
) -> None:
    recorder.insert_events(events("job", 1, 2, 3))
    on_server(nats_server.url, lambda nc: nc.jetstream().delete_stream(names.namespace))
    opened.recorder(nats_server.url)

    # what it remembers is of a stream that is gone
    assert recorder.select_events("job") == []
    assert recorder.insert_events(events("job", 1)) == [1]


def test_a_position_processed_twice_takes_its_events_with_it(opened: Opened, nats_server: NatsServer) -> None:
    process = opened.process_recorder(nats_server.url)
    process.insert_events(events("a", 1), tracking=Tracking("upstream", 5))

    with pytest.raises(IntegrityError):
        process.insert_events(events("a", 2), tracking=Tracking("upstream", 5))

    assert process.select_events("a") == events("a", 1)
    ids = process.insert_events(events("a", 2), tracking=Tracking("upstream", 6))
    assert ids == [3]  # between them and behind stand the positions
    assert [n.id for n in process.select_notifications(None, 10)] == [1, 3]
    assert process.max_notification_id() == 3


def test_positions_rise_whoever_records_them(opened: Opened, nats_server: NatsServer) -> None:
    one, other = (opened.factory(nats_server.url).tracking_recorder() for _ in range(2))
    one.insert_tracking(Tracking("upstream", 5))
    other.insert_tracking(Tracking("upstream", 6))

    one.insert_tracking(Tracking("upstream", 8))
    with pytest.raises(IntegrityError):
        other.insert_tracking(Tracking("upstream", 7))

    assert other.max_tracking_id("upstream") == 8


def test_more_events_than_a_batch_holds_are_refused(recorder: JetStreamApplicationRecorder) -> None:
    with pytest.raises(ProgrammingError, match="1001 events at once"):
        recorder.insert_events([event("job", version) for version in range(1001)])


def test_an_event_larger_than_the_server_takes_is_refused(recorder: JetStreamApplicationRecorder) -> None:
    with pytest.raises(DataError, match="max_payload"):
        recorder.insert_events([event("job", 1, bytes(9_000_000))])


# -- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", ["events", "snapshots"])
def test_selects_as_the_recorder_in_memory_does(
    opened: Opened, nats_server: NatsServer, purpose: str
) -> None:
    recorder = opened.factory(nats_server.url).aggregate_recorder(purpose)
    oracle = POPOApplicationRecorder()
    bounds = st.none() | st.integers(-1, 9)

    @settings(deadline=None, max_examples=60)
    @given(
        count=st.integers(0, 7),
        gt=bounds,
        lte=bounds,
        desc=st.booleans(),
        limit=st.none() | st.integers(1, 9),
    )
    def check(count: int, gt: int | None, lte: int | None, desc: bool, limit: int | None) -> None:
        originator_id = uuid4()
        for each in (recorder, oracle):
            each.insert_events(events(originator_id, *range(1, count + 1)))
        found, expected = (
            each.select_events(originator_id, gt=gt, lte=lte, desc=desc, limit=limit)
            for each in (recorder, oracle)
        )
        assert found == expected

    check()


def test_notifications_are_selected_as_the_recorder_in_memory_does(
    recorder: JetStreamApplicationRecorder,
) -> None:
    oracle = POPOApplicationRecorder()
    for each in (recorder, oracle):
        each.insert_events([event("a", v, topic=f"topic{v % 3}") for v in range(1, 8)])
    bounds = st.none() | st.integers(0, 9)

    @settings(deadline=None, max_examples=100)
    @given(
        start=bounds,
        limit=st.integers(1, 9),
        stop=bounds,
        topics=st.lists(st.sampled_from(["topic0", "topic1", "other"]), unique=True),
        inclusive=st.booleans(),
    )
    def check(start: int | None, limit: int, stop: int | None, topics: list[str], inclusive: bool) -> None:
        found, expected = (
            each.select_notifications(start, limit, stop, topics, inclusive_of_start=inclusive)
            for each in (recorder, oracle)
        )
        assert found == expected

    check()


def test_snapshots_are_added_in_any_order_each_once(opened: Opened, nats_server: NatsServer) -> None:
    recorder = opened.factory(nats_server.url).aggregate_recorder(purpose="snapshots")
    recorder.insert_events(events("job", 20))
    recorder.insert_events(events("job", 9))

    with pytest.raises(IntegrityError):
        recorder.insert_events(events("job", 9))

    assert recorder.select_events("job") == events("job", 9, 20)
    assert recorder.select_events("job", lte=19, desc=True, limit=1) == events("job", 9)


def test_reads_histories_of_many_pages(recorder: JetStreamApplicationRecorder) -> None:
    for start in range(1, 2501, 500):
        recorder.insert_events([event("job", v, bytes(9000)) for v in range(start, start + 500)])

    assert [e.originator_version for e in recorder.select_events("job")] == list(range(1, 2501))
    assert [n.id for n in recorder.select_notifications(None, 2200)] == list(range(1, 2201))


@pytest.mark.parametrize("warm", [True, False])
def test_versions_far_from_the_start_are_found(
    opened: Opened, nats_server: NatsServer, recorder: JetStreamApplicationRecorder, warm: bool
) -> None:
    for start in range(0, 1000, 100):
        recorder.insert_events([event("job", v) for v in range(start, start + 100)])
        recorder.insert_events([event("another", v) for v in range(start * 2, start * 2 + 200)])
    reader = recorder if warm else opened.recorder(nats_server.url)

    for gt in (0, 49, 50, 51, 99, 100, 500, 777, 998, 999, 2000):
        assert [e.originator_version for e in reader.select_events("job", gt=gt)] == list(range(gt + 1, 1000))
        assert [e.originator_version for e in reader.select_events("job", gt=gt, lte=gt + 2, limit=1)] == [
            v for v in [gt + 1] if v < 1000
        ]


# -- lost traffic -----------------------------------------------------------------------------------------------------


@pytest.fixture
def relay(nats_server: NatsServer) -> Iterator[Relay]:
    with Relay(nats_server.port) as relay:
        yield relay


@pytest.fixture
def behind(opened: Opened, relay: Relay) -> JetStreamApplicationRecorder:
    """A recorder whose traffic can be lost, warm: its next write needs no reading."""
    recorder = opened.recorder(relay.url, NATS_TIMEOUT="1")
    recorder.insert_events(events("job", 1))
    return recorder


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


ONE = events("job", 2)
SEVERAL = [*events("job", 2), *events("another", 1), *events("job", 3)]


@pytest.mark.parametrize("stored_events", [ONE, SEVERAL], ids=["one", "several"])
def test_a_lost_acknowledgement_is_found_out(
    stored_events: list[StoredEvent],
    behind: JetStreamApplicationRecorder,
    relay: Relay,
    recorder: JetStreamApplicationRecorder,
    background: ThreadPoolExecutor,
) -> None:
    relay.lose_answers()
    inserted: Future[Any] = background.submit(behind.insert_events, stored_events)
    assert relay.lost.wait(PATIENCE)
    relay.mend()

    assert inserted.result(PATIENCE) == list(range(2, 2 + len(stored_events)))
    assert len(recorder.select_notifications(None, 10)) == 1 + len(stored_events)
    assert behind.insert_events(events("job", stored_events[-1].originator_version + 1))


def test_a_lost_acknowledgement_is_found_out_behind_what_others_wrote_since(
    behind: JetStreamApplicationRecorder,
    relay: Relay,
    recorder: JetStreamApplicationRecorder,
    background: ThreadPoolExecutor,
) -> None:
    relay.lose_answers()
    inserted: Future[Any] = background.submit(behind.insert_events, events("job", 2))
    assert relay.lost.wait(PATIENCE)
    assert recorder.insert_events(events("job", 3)) == [3]
    relay.mend()

    assert inserted.result(PATIENCE) == [2]


@pytest.mark.parametrize("stored_events", [ONE, SEVERAL], ids=["one", "several"])
def test_what_never_arrived_is_written_again_once(
    stored_events: list[StoredEvent],
    behind: JetStreamApplicationRecorder,
    relay: Relay,
    recorder: JetStreamApplicationRecorder,
    background: ThreadPoolExecutor,
) -> None:
    relay.lose_requests()
    inserted: Future[Any] = background.submit(behind.insert_events, stored_events)
    assert relay.lost.wait(PATIENCE)
    relay.mend()

    assert inserted.result(PATIENCE) == list(range(2, 2 + len(stored_events)))
    assert len(recorder.select_notifications(None, 10)) == 1 + len(stored_events)


def test_what_never_arrived_is_refused_when_others_were_faster(
    behind: JetStreamApplicationRecorder,
    relay: Relay,
    recorder: JetStreamApplicationRecorder,
    background: ThreadPoolExecutor,
) -> None:
    relay.lose_requests()
    inserted: Future[Any] = background.submit(behind.insert_events, events("job", 2))
    assert relay.lost.wait(PATIENCE)
    recorder.insert_events([event("job", 2, b"another state")])
    relay.mend()

    with pytest.raises(IntegrityError):
        inserted.result(PATIENCE)


def test_what_others_did_about_the_same_position_is_not_taken_for_ours(
    opened: Opened, nats_server: NatsServer, relay: Relay, background: ThreadPoolExecutor
) -> None:
    behind = opened.process_recorder(relay.url, NATS_TIMEOUT="1")
    other = opened.process_recorder(nats_server.url)
    behind.insert_events([], tracking=Tracking("upstream", 4))
    relay.lose_requests()
    inserted: Future[Any] = background.submit(
        behind.insert_events, [*events("a", 1), *events("b", 1)], tracking=Tracking("upstream", 5)
    )
    assert relay.lost.wait(PATIENCE)
    other.insert_events(events("a", 1), tracking=Tracking("upstream", 5))
    relay.mend()

    with pytest.raises(IntegrityError):
        inserted.result(PATIENCE)
    assert other.select_events("b") == []


def test_a_wrong_guess_is_no_conflict_when_traffic_is_lost(
    opened: Opened, recorder: JetStreamApplicationRecorder, relay: Relay, background: ThreadPoolExecutor
) -> None:
    recorder.insert_events(events("job", 0))
    behind = opened.recorder(relay.url, NATS_TIMEOUT="1")  # takes version 1 for the first one
    relay.lose_requests()
    inserted: Future[Any] = background.submit(behind.insert_events, events("job", 1))
    assert relay.lost.wait(PATIENCE)
    relay.mend()

    assert inserted.result(PATIENCE) == [2]


def test_an_outcome_that_stays_unknown_is_called_so(opened: Opened, relay: Relay) -> None:
    recorder = opened.recorder(relay.url, NATS_TIMEOUT="0.2")
    recorder.insert_events(events("job", 1))
    relay.lose_requests()

    with pytest.raises(OperationalError, match="unknown"):
        recorder.insert_events(events("job", 2))


def test_connections_that_keep_breaking_lose_nothing_and_double_nothing(
    opened: Opened, relay: Relay, recorder: JetStreamApplicationRecorder, background: ThreadPoolExecutor
) -> None:
    behind = opened.recorder(relay.url, NATS_TIMEOUT="0.5")
    size = 300  # a batch large enough to be cut in two
    done = threading.Event()

    def keep_cutting() -> None:
        for _ in range(8):
            if done.wait(0.35):
                return
            relay.cut()
        done.set()

    background.submit(keep_cutting)
    version = 0
    while not done.is_set():
        try:
            behind.insert_events(events("job", *range(version + 1, version + size + 1)))
            version += size
        except (OperationalError, IntegrityError):
            # of an attempt given up, what the client still held back may arrive yet: the log says how far it got
            found = recorder.select_events("job", desc=True, limit=1)
            reached = found[0].originator_version if found else 0
            assert reached in (version, version + size)
            version = reached

    stored = recorder.select_events("job")
    assert len(stored) in (version, version + size)
    assert stored == events("job", *range(1, len(stored) + 1))


# -- damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b"\xff damaged", "not a record"),
        (encode_record(2, "t", b"")[:-1], "not a record"),
        (b"\x94\x02\x01\xa1t\xc4\x00", "format 2"),
    ],
)
def test_a_damaged_message_is_named(
    recorder: JetStreamApplicationRecorder,
    nats_server: NatsServer,
    names: Names,
    payload: bytes,
    problem: str,
) -> None:
    recorder.insert_events(events("job", 1))
    on_server(nats_server.url, lambda nc: nc.jetstream().publish(f"{names.namespace}.job", payload))
    named = rf"position 2 of stream '{names.namespace}', originator 'job'.*{problem}"

    with pytest.raises(DataError, match=named):
        recorder.select_events("job")
    with pytest.raises(DataError, match=named):
        recorder.select_events("job", desc=True, limit=1)
    with pytest.raises(DataError, match=named):
        recorder.select_notifications(None, 10)
    with pytest.raises(DataError, match=named):
        recorder.insert_events(events("job", 3))
    with recorder.subscribe() as subscription:
        assert next(subscription).id == 1
        with pytest.raises(DataError, match=named):
            next(subscription)
    # what is before it, and beside it, can still be read
    assert recorder.select_events("job", limit=1) == events("job", 1)
    assert recorder.insert_events(events("another", 1)) == [3]


def test_a_subject_that_is_no_originators_is_named(
    recorder: JetStreamApplicationRecorder, nats_server: NatsServer, names: Names
) -> None:
    subject = f"{names.namespace}.%zz"
    on_server(nats_server.url, lambda nc: nc.jetstream().publish(subject, encode_record(1, "t", b"")))

    with pytest.raises(DataError, match=rf"position 1 .*subject '{subject}'"):
        recorder.select_notifications(None, 10)


def test_a_version_that_does_not_follow_is_named(
    recorder: JetStreamApplicationRecorder, nats_server: NatsServer, names: Names
) -> None:
    recorder.insert_events(events("job", 1))
    stranger = encode_record(3, "t", b"")
    on_server(nats_server.url, lambda nc: nc.jetstream().publish(f"{names.namespace}.job", stranger))

    with pytest.raises(DataError, match=r"position 2 .*version 3 of originator 'job' follows version 1"):
        recorder.select_events("job")


# -- subscriptions ----------------------------------------------------------------------------------------------------


def test_a_subscription_delivers_more_than_it_has_room_for(recorder: JetStreamApplicationRecorder) -> None:
    with recorder.subscribe() as subscription:
        for start in range(0, 10_000, 1000):
            recorder.insert_events([event("job", v) for v in range(start, start + 1000)])

        assert [next(subscription).id for _ in range(10_000)] == list(range(1, 10_001))


def test_a_subscription_delivers_more_bytes_than_it_holds(recorder: JetStreamApplicationRecorder) -> None:
    with recorder.subscribe() as subscription:
        for version in range(1, 61):
            recorder.insert_events([event("job", version, bytes(2_000_000))])
        eventually(lambda: subscription._backlog.paused)  # type: ignore[attr-defined]

        assert [next(subscription).id for _ in range(60)] == list(range(1, 61))


def test_a_subscription_survives_a_crash_of_the_server(opened: Opened, tmp_path: Any) -> None:
    server = NatsServer(tmp_path).start()
    try:
        recorder = opened.recorder(server.url)
        recorder.insert_events(events("job", 1, 2))
        with recorder.subscribe() as subscription:
            assert [next(subscription).id, next(subscription).id] == [1, 2]
            server.kill()
            server.start()
            opened.recorder(server.url).insert_events(events("job", 3))

            assert next(subscription).id == 3
        assert recorder.insert_events(events("job", 4)) == [4]
    finally:
        server.stop()


def test_a_subscription_survives_broken_connections(
    opened: Opened, relay: Relay, recorder: JetStreamApplicationRecorder
) -> None:
    with opened.recorder(relay.url).subscribe() as subscription:
        for version in range(1, 11):
            recorder.insert_events(events("job", version))
            if version % 3 == 0:
                relay.cut()
            began = time.monotonic()
            assert next(subscription).id == version
            # the connection that is back is enough of a sign; silence would take three heartbeats to be noticed
            assert time.monotonic() - began < 3 * HEARTBEAT


def test_a_subscription_whose_stream_is_deleted_ends_with_an_error(
    recorder: JetStreamApplicationRecorder, nats_server: NatsServer, names: Names
) -> None:
    recorder.insert_events(events("job", 1))
    with recorder.subscribe() as subscription:
        next(subscription)
        on_server(nats_server.url, lambda nc: nc.jetstream().delete_stream(names.namespace))

        with pytest.raises(ProgrammingError, match="deleted"):
            next(subscription)
        with pytest.raises(StopIteration):
            next(subscription)


def test_a_subscription_left_open_ends_with_the_connection(opened: Opened, nats_server: NatsServer) -> None:
    factory = opened.factory(nats_server.url)
    subscription = factory.application_recorder().subscribe()
    factory.close()

    with pytest.raises(OperationalError, match="closed"):
        next(subscription)


def test_stopping_wakes_a_reader_that_waits(
    recorder: JetStreamApplicationRecorder, background: ThreadPoolExecutor
) -> None:
    recorder.insert_events(events("job", 1))
    reached = threading.Event()

    def read() -> list[int]:
        ids = []
        for notification in subscription:
            ids.append(notification.id)
            reached.set()
        return ids

    with recorder.subscribe() as subscription:
        reading = background.submit(read)
        assert reached.wait(PATIENCE)
        subscription.stop()

        assert reading.result(PATIENCE) == [1]


# -- the connection ---------------------------------------------------------------------------------------------------


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


# -- jobledger's own log ----------------------------------------------------------------------------------------------


def test_the_engine_and_the_recorders_read_what_the_other_wrote(
    opened: Opened, nats_server: NatsServer, names: Names
) -> None:
    first = Commit(bytes(16), NO_PREVIOUS, 1, "an engine", False, [JobCompleted()])
    written = encode_message(1, first)

    async def write_as_engine(nc: Client) -> None:
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
