"""Acknowledgements and requests that get lost: what was written is found out, and nothing is written twice."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from eventsourcing.persistence import (
    IntegrityError,
    OperationalError,
    StoredEvent,
    Tracking,
)

from jobledger.adapters.nats.eventstore.recorders import JetStreamApplicationRecorder
from support.recorders import Opened, event, events
from support.relay import Relay
from support.servers import NatsServer

PATIENCE = 20.0  #: seconds


@pytest.fixture
def behind(opened: Opened, relay: Relay) -> JetStreamApplicationRecorder:
    """A recorder whose traffic can be lost, warm: its next write needs no reading."""
    recorder = opened.recorder(relay.url, NATS_TIMEOUT="1")
    recorder.insert_events(events("job", 1))
    return recorder


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
