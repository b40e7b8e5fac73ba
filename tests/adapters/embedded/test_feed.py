"""The feed of a data folder: off until it is turned on, then there through restarts and crashes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from jobledger import Client, Task
from jobledger.adapters.embedded.start import stop_server
from jobledger.adapters.nats.names import Names
from support.feeds import Feed
from support.waiting import eventually

from .conftest import Home, _pids


class Greet(Task):
    pass


@pytest.fixture
def client(home: Home) -> Iterator[Client]:
    with Client(data_folder=home.path) as client:
        yield client


def publishers(home: Home) -> list[int]:
    return _pids(
        lambda command: (
            "jobledger.adapters.feed " in command and command.endswith(f"--folder {home.data.path}")
        )
    )


def published(home: Home) -> list[dict[str, Any]]:
    """Return what another program reads, with the login of the folder, once the feed has come to the end of the log."""
    record, credentials = home.data.record(), home.data.credentials()
    assert record is not None
    assert credentials is not None
    feed = Feed(record.url.replace("nats://", f"nats://client:{credentials.client}@"), Names())
    try:
        return [json.loads(message.payload) for message in feed.complete()]
    finally:
        feed.close()


def test_it_is_off_until_it_is_turned_on_and_has_the_whole_past_then(home: Home, client: Client) -> None:
    job = client.jobs().submit("greetings", Greet())
    client.jobs().count()  # the projector has begun: so would have the publisher
    before = client.feed().status()
    assert (before.on, before.messages, before.publishers, publishers(home)) == (False, 0, [], [])
    assert client.feed().turn_on(max_age=3600).on
    assert [(event["type"], event["jobid"]) for event in published(home)] == [
        ("jobledger.job.submitted.v1", str(job.id)),
        ("jobledger.task.submitted.v1", str(job.id)),
    ]
    after = client.feed().status()
    assert [one.publishes for one in after.publishers] == [True]
    assert after.max_age is not None
    assert after.max_age.total_seconds() == 3600


def test_it_stays_on_through_restarts_and_crashes_until_it_is_turned_off(home: Home) -> None:
    with Client(data_folder=home.path) as client:
        client.feed().turn_on()
        client.jobs().submit("greetings", Greet())
        assert len(published(home)) == 2
        killed = publishers(home)
        home.kill(killed)
        client.jobs().submit("greetings", Greet())
        assert len(published(home)) == 4
    assert stop_server(home.path)
    assert publishers(home) == []
    with Client(data_folder=home.path) as client:
        client.jobs().submit("greetings", Greet())
        assert len(published(home)) == 6
        assert client.feed().rebuild(timeout=20).messages == 6
        assert not client.feed().turn_off().on
        eventually(lambda: publishers(home) == [])
        assert not home.data.feed.exists()


def test_it_does_not_outlive_a_supervisor_that_is_killed(home: Home, client: Client) -> None:
    client.feed().turn_on()
    eventually(lambda: publishers(home))
    home.kill(home.supervisors())
    eventually(lambda: not publishers(home))
