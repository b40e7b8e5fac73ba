"""The stream of the feed: how it is made and limited, and what becomes of one that is set otherwise."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from nats.js.api import StreamConfig

from jobledger.adapters.feed import stream
from jobledger.adapters.feed.stream import Limits
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.streams import StreamSettingsError
from jobledger.adapters.portal import shared_portal
from jobledger.core import events as e
from jobledger.core.submission import NewTask
from support.feeds import Feed, FeedHarness, Stored, stored
from support.histories import submission, task
from support.random_history import T0

from .conftest import Publish


def made(feed: Feed, **settings: Any) -> None:
    """Have the stream of the feed as somebody else made it."""
    config = StreamConfig(name=feed.names.feed_stream, subjects=[feed.names.feed_subjects], **settings)
    shared_portal().run(feed.client.jetstream().add_stream(config))


def config(feed: Feed) -> dict[str, Any]:
    found = shared_portal().run(stream.holding(feed.client, feed.names))
    assert found is not None
    return found.config


def test_it_is_kept_in_files_and_discards_the_oldest(feed: Feed, publish: Publish) -> None:
    publish()
    found = config(feed)
    assert (found["storage"], found["retention"], found["discard"]) == ("file", "limits", "old")
    assert (found["max_bytes"], found.get("max_age", 0)) == (stream.MAX_BYTES[0], 0)
    assert found["deny_delete"]


def test_its_limits_are_those_asked_for(feed: Feed, publish: Publish) -> None:
    publish(Limits(5_000_000, timedelta(days=1)))
    found = config(feed)
    assert (found["max_bytes"], found["max_age"]) == (5_000_000, 86_400 * 10**9)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"retention": "workqueue"}, "retention"),
        ({"storage": "memory"}, "storage"),
        ({"max_msgs_per_subject": 1}, "max_msgs_per_subject"),
        ({"allow_direct": True}, "allow_atomic"),
    ],
)
def test_a_stream_with_other_settings_is_refused_by_name(
    feed: Feed, publish: Publish, settings: dict[str, Any], named: str
) -> None:
    made(feed, **{"allow_direct": True, "discard": "old", **settings})
    with pytest.raises(
        StreamSettingsError, match=rf"{feed.names.feed_stream}' has {named} = .*delete the stream"
    ):
        publish()


def test_a_stream_with_other_limits_stays_as_it_is_and_they_are_named(
    feed: Feed, publish: Publish, caplog: pytest.LogCaptureFixture
) -> None:
    publish(Limits(5_000_000)).stop()
    publish(Limits(6_000_000, timedelta(days=1)))
    assert "max_bytes is 5,000,000, not 6,000,000. It stays as it is" in caplog.text
    assert "max_age is without limit, not 1 day, 0:00:00. It stays as it is" in caplog.text
    assert config(feed)["max_bytes"] == 5_000_000


def test_a_server_without_much_room_keeps_less(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_BYTES", (2**60, 2**20))
    shared_portal().run(stream.ensure(feed.client, feed.names))
    assert config(feed)["max_bytes"] == 2**20


def test_what_exceeds_a_limit_is_discarded_and_the_gap_can_be_seen(feed: Feed, publish: Publish) -> None:
    """The numbers of messages have no gaps: the first one that is there tells how many are not."""
    feed.write([_job("job-1", 300)])
    publish(Limits(stream.MAX_BYTES[0]))
    whole = feed.complete()
    shared_portal().run(stream.limit(feed.client, feed.names, Limits(100_000)))
    feed.write([_job("job-2", 300)])
    left = feed.complete()
    first = left[0].position
    assert first > 1
    assert [message.position for message in left] == list(range(first, left[-1].position + 1))
    assert [int(event["sequence"]) for event in feed.events()] == [message.position for message in left]
    assert left[-1].position == 2 * len(whole)


def test_it_fits_a_server_as_it_comes(plain_nats_server: Any, names: Names) -> None:
    """Its messages are at most 1 MiB, whatever the log has."""
    feed = Feed(plain_nats_server.url, names)
    harness = FeedHarness(plain_nats_server.url, names).start()
    tasks = [task("Fetch", data=b'"%s"' % (b"x" * 1000)) for _ in range(900)]
    feed.write([stored("job-1", [(T0, [_submitted(tasks)])])])
    assert len(feed.complete()) == 5
    harness.stop()
    feed.close()


def _job(job_id: str, size: int) -> Stored:
    return stored(job_id, [(T0, [_submitted([task(f"Task{number}") for number in range(size)])])])


def _submitted(tasks: list[NewTask]) -> e.JobSubmitted:
    return e.JobSubmitted("a job", submission(*tasks))
