"""The shorter way of a consumer's messages through nats-py: taken where it is there, and not needed where it is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.protocol.parser import Parser

from jobledger.adapters.nats.eventstore import following, shortcut
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
    parser = getattr(Client(), shortcut._PARSER, None)
    assert hasattr(parser, "buf"), "nats-py calls it otherwise now: consumers are half as fast"
    assert hasattr(parser, "state"), "nats-py calls it otherwise now: consumers are half as fast"
    assert delivered(recorder) == list(range(1, 101))
    assert not [message for message in usual if message.reply]


def test_without_it_nothing_is_lost(
    recorder: JetStreamApplicationRecorder, usual: list[Msg], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shortcut, "_PARSER", "_not_there_any_more")
    assert delivered(recorder) == list(range(1, 101))
    assert len([message for message in usual if message.reply]) == 180


class Connection:
    """As much of a client as its parser knows, and what came the usual way."""

    is_closed = False

    def __init__(self) -> None:
        self._ps = Parser(self)
        self.came: list[tuple[int, bytes, bytes]] = []
        self.pings = 0

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, payload: bytes, headers: object
    ) -> None:
        self.came.append((sid, reply, payload))

    async def _process_ping(self) -> None:
        self.pings += 1


def diverted(connection: Any, sid: int, take: shortcut.Take) -> Callable[[], None]:
    subscription: Any = SimpleNamespace(_id=sid)
    return shortcut.divert(connection, subscription, take)


@pytest.mark.parametrize("seed", range(40))
def test_however_the_bytes_are_cut_each_message_goes_its_way(seed: int) -> None:
    random = Random(seed)
    connection = Connection()
    taken: list[tuple[int, bytes, bytes]] = []

    def taker(sid: int) -> shortcut.Take:
        return lambda arrived: taken.extend((sid, one.reply, one.payload) for one in arrived)

    async def feed(data: bytes) -> None:
        # The first message is begun the usual way: whoever diverts comes to a connection that lives.
        begun, at = random.randint(1, 12), 0
        await connection._ps.parse(data[:begun])
        for sid in (1, 2):
            diverted(connection, sid, taker(sid))
        at = begun
        while at < len(data):
            size = random.choice([1, 7, 100, 5000])
            await connection._ps.parse(data[at : at + size])
            at += size

    expected: list[tuple[int, bytes, bytes]] = []
    usual: list[tuple[int, bytes, bytes]] = []
    stream = b"MSG s 9 5\r\nfirst\r\n"
    usual.append((9, b"", b"first"))
    pings = 0
    for number in range(300):
        payload = random.randbytes(random.choice([0, 3, 40, 3000])) + random.choice(
            [b"", b"\r\n", b"MSG s 1 "]
        )
        sid = random.choice([1, 1, 1, 2, 3])
        reply = random.choice([b"$JS.ACK.stream.c.1.%d" % number] * 4 + [b"", b"_INBOX.x"])
        headers = random.choice([b"", b"NATS/1.0\r\nA: b\r\n\r\n"])
        sizes = b"%d %d" % (len(headers), len(headers + payload)) if headers else b"%d" % len(payload)
        line = b" ".join(
            [b"HMSG" if headers else b"MSG", b"s.%d" % number, b"%d" % sid, *filter(None, [reply]), sizes]
        )
        stream += line + b"\r\n" + headers + payload + b"\r\n"
        theirs = sid in (1, 2) and reply.startswith(b"$JS.ACK.")
        (expected if theirs else usual).append((sid, reply, payload))
        if random.random() < 0.1:
            stream += b"PING\r\n"
            pings += 1
    asyncio.run(feed(stream))
    assert taken == expected
    assert (connection.came, connection.pings) == (usual, pings)


def test_what_a_broken_connection_left_behind_is_forgotten() -> None:
    connection = Connection()
    taken: list[bytes] = []
    whole = b"MSG s 1 $JS.ACK.x 5\r\nwhole\r\n"

    async def feed() -> None:
        end = diverted(connection, 1, lambda run: taken.extend(one.payload for one in run))
        await connection._ps.parse(whole + b"MSG s 1 $JS.ACK.x 5000\r\nhalf")
        connection._ps.reset()  # as nats-py does before it connects again
        await connection._ps.parse(whole)
        end()
        await connection._ps.parse(whole)

    asyncio.run(feed())
    assert taken == [b"whole", b"whole"]
    assert connection.came == [(1, b"$JS.ACK.x", b"whole")]


def test_one_consumer_is_enough_for_many_requests(
    recorder: JetStreamApplicationRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_BATCH", 10)
    begun: list[Follower] = []
    follow = Follower._follow

    async def noted(self: Follower) -> None:
        begun.append(self)
        await follow(self)

    monkeypatch.setattr(Follower, "_follow", noted)
    recorder.insert_events([event("job", version) for version in range(1, 201)])
    with recorder.subscribe() as subscription:
        assert [next(subscription).id for _ in range(200)] == list(range(1, 201))
    assert len(begun) == 1
