"""What the library's conformance tests leave open: who may write where, what is read, and what damage leads to."""

from __future__ import annotations

from uuid import uuid4

import pytest
from eventsourcing.persistence import (
    DataError,
    IntegrityError,
    ProgrammingError,
    Tracking,
)
from eventsourcing.popo import POPOApplicationRecorder
from hypothesis import given, settings
from hypothesis import strategies as st

from jobledger.adapters.nats.eventstore.recorders import JetStreamApplicationRecorder
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.records import encode_record
from support.recorders import Opened, event, events, on_server
from support.servers import NatsServer

# -- who may write ------------------------------------------------------------


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


# -- reading ------------------------------------------------------------


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


# -- damage ------------------------------------------------------------


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
