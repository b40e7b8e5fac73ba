"""The shorter way of a consumer's messages through nats-py: taken where it is there, and not needed where it is not."""

from __future__ import annotations

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from jobledger.adapters.nats.eventstore import shortcut
from jobledger.adapters.nats.eventstore.following import Follower
from jobledger.adapters.nats.eventstore.recorders import JetStreamApplicationRecorder
from support.recorders import event


@pytest.fixture
def usual(monkeypatch: pytest.MonkeyPatch) -> list[Msg]:
    """What came the usual way."""
    came: list[Msg] = []
    receive = Follower._receive

    async def noted(self: Follower, message: Msg) -> None:
        came.append(message)
        await receive(self, message)

    monkeypatch.setattr(Follower, "_receive", noted)
    return came


def delivered(recorder: JetStreamApplicationRecorder) -> list[int]:
    """Return the positions that two subscriptions at a time deliver, of events before and after their beginning."""
    recorder.insert_events([event("job", version) for version in range(1, 51)])
    with recorder.subscribe() as first, recorder.subscribe(gt=20) as second:
        recorder.insert_events([event("job", version) for version in range(51, 101)])
        found = [next(first).id for _ in range(100)]
        assert [next(second).id for _ in range(80)] == found[20:]
    return found


def test_stored_messages_take_it(recorder: JetStreamApplicationRecorder, usual: list[Msg]) -> None:
    assert hasattr(Client, shortcut._ENTRANCE), "nats-py calls it otherwise now: consumers are half as fast"
    assert delivered(recorder) == list(range(1, 101))
    assert not [message for message in usual if message.reply]


def test_without_it_nothing_is_lost(
    recorder: JetStreamApplicationRecorder, usual: list[Msg], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shortcut, "_ENTRANCE", "_not_there_any_more")
    assert delivered(recorder) == list(range(1, 101))
    assert len([message for message in usual if message.reply]) == 180
