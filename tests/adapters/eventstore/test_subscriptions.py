"""Subscriptions: every event once and in order, whatever happens to the connection."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from eventsourcing.persistence import (
    OperationalError,
    ProgrammingError,
)

from jobledger.adapters.nats.eventstore.following import HEARTBEAT, _within
from jobledger.adapters.nats.eventstore.recorders import JetStreamApplicationRecorder
from jobledger.adapters.nats.names import Names
from support.recorders import Opened, event, events, on_server
from support.relay import Relay
from support.servers import NatsServer
from support.waiting import eventually

PATIENCE = 20.0  #: seconds


def test_a_subscription_delivers_more_than_it_has_room_for(recorder: JetStreamApplicationRecorder) -> None:
    with recorder.subscribe() as subscription:
        for start in range(0, 10_000, 1000):
            recorder.insert_events([event("job", v) for v in range(start, start + 1000)])

        assert [next(subscription).id for _ in range(10_000)] == list(range(1, 10_001))


def test_a_subscription_delivers_more_bytes_than_it_holds(recorder: JetStreamApplicationRecorder) -> None:
    with recorder.subscribe() as subscription:
        for version in range(1, 61):
            recorder.insert_events([event("job", version, bytes(2_000_000))])
        eventually(lambda: subscription._backlog.paused)

        assert [next(subscription).id for _ in range(60)] == list(range(1, 61))


def test_new_events_gather_until_somebody_is_in_a_hurry(recorder: JetStreamApplicationRecorder) -> None:
    with recorder.subscribe(rest=3600.0) as subscription:
        eventually(lambda: subscription._follower._coming)  # it has found that there are none yet
        recorder.insert_events(events("job", 1))
        assert next(subscription).id == 1  # nothing has come before: it is passed on at once
        eventually(lambda: not subscription._follower._coming)
        recorder.insert_events(events("job", 2, 3))
        assert not subscription.waiting
        subscription.hurry(True)
        assert [next(subscription).id for _ in range(2)] == [2, 3]
        recorder.insert_events(events("job", 4))
        assert next(subscription).id == 4


def test_a_cancellation_that_meets_the_news_is_not_lost() -> None:
    async def meet() -> bool:
        event = asyncio.Event()
        waiting = asyncio.ensure_future(_within(3600.0, event))
        await asyncio.sleep(0)  # it begins to wait
        event.set()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return waiting.cancelled()

    assert asyncio.run(meet())


def test_what_is_in_the_past_comes_without_a_rest(recorder: JetStreamApplicationRecorder) -> None:
    for start in range(0, 3000, 1000):
        recorder.insert_events([event("job", version) for version in range(start, start + 1000)])
    with recorder.subscribe(rest=3600.0) as subscription:
        assert [next(subscription).id for _ in range(3000)] == list(range(1, 3001))


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
