"""The short way in and out of a connection, beside everything that still goes nats-py's way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import nats.errors
import pytest

from jobledger.adapters import loops
from jobledger.adapters.nats.connection import connect
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.frames import header_block
from jobledger.adapters.nats.inbox import Inbox
from jobledger.adapters.nats.wire import Message, Wire
from support.servers import NatsServer

Run = Callable[[Coroutine[Any, Any, Any]], Any]

PATIENCE = 10.0  # seconds


@pytest.fixture(params=[asyncio.run, loops.run], ids=["asyncio", "own loop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine on an event loop as users have it, and on ours."""
    chosen: Run = request.param
    return chosen


def on(server: NatsServer, run: Run, test: Callable[[Wire], Coroutine[Any, Any, None]]) -> None:
    async def connected() -> None:
        client = await connect(Endpoint(server.url), name="test")
        try:
            async with asyncio.timeout(PATIENCE):
                await test(client)
        finally:
            await client.close()

    run(connected())


class Heard:
    """Keeps messages, and can be waited on."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._news = asyncio.Event()

    def __call__(self, message: Message) -> None:
        self.messages.append(message)
        self._news.set()

    async def enough(self, count: int) -> list[Message]:
        while len(self.messages) < count:
            self._news.clear()
            await self._news.wait()
        return self.messages


def test_a_message_comes_as_it_was_sent(nats_server: NatsServer, run: Run) -> None:
    async def test(client: Wire) -> None:
        heard = Heard()
        subject = client.new_inbox()
        await client.listen(subject, heard)
        large = bytes(client.max_payload)
        client.post(subject, b"plain", "somebody")
        client.post(subject, b"with headers", headers=header_block({"A": "b"}))
        client.post(subject, large)
        plain, with_headers, third = await heard.enough(3)
        assert (plain.subject, plain.reply, plain.data, plain.headers) == (
            subject,
            "somebody",
            b"plain",
            None,
        )
        assert (with_headers.data, with_headers.headers) == (b"with headers", {"A": "b"})
        assert third.data == large

    on(nats_server, run, test)


def test_what_is_posted_and_what_is_published_keep_their_order(nats_server: NatsServer, run: Run) -> None:
    async def test(client: Wire) -> None:
        heard = Heard()
        subject = client.new_inbox()
        await client.listen(subject, heard)
        for number in range(0, 100, 2):
            client.post(subject, b"%d" % number)
            await client.publish(subject, b"%d" % (number + 1))
        assert [int(message.data) for message in await heard.enough(100)] == list(range(100))

    on(nats_server, run, test)


def test_subscriptions_of_nats_py_work_beside_it(nats_server: NatsServer, run: Run) -> None:
    async def test(client: Wire) -> None:
        heard = Heard()
        subject = client.new_inbox()
        await client.listen(subject, heard)
        usual = await client.subscribe(subject)
        client.post(subject, b"for both", headers=header_block({"A": "b"}))
        message = await usual.next_msg(PATIENCE)
        assert (message.data, message.headers) == (b"for both", {"A": "b"})
        assert [one.data for one in await heard.enough(1)] == [b"for both"]

    on(nats_server, run, test)


def test_who_has_left_hears_nothing_more(nats_server: NatsServer, run: Run) -> None:
    async def test(client: Wire) -> None:
        heard = Heard()
        subject = client.new_inbox()
        subscription = await client.listen(subject, heard)
        client.post(subject, b"before")
        await heard.enough(1)
        await subscription.unsubscribe()
        client.post(subject, b"after")
        await client.flush()
        assert [message.data for message in heard.messages] == [b"before"]

    on(nats_server, run, test)


def test_who_leaves_hears_what_was_sent_before(nats_server: NatsServer, run: Run) -> None:
    async def test(client: Wire) -> None:
        heard = Heard()
        subjects = [client.new_inbox() for _ in range(3)]
        subscriptions = [await client.listen(subject, heard) for subject in subjects]
        await client.flush()
        for subject in subjects:
            client.post(subject, b"before")
        await client.leave(subscriptions, timeout=PATIENCE)
        assert [message.data for message in heard.messages] == [b"before"] * 3
        client.post(subjects[0], b"after")
        await client.flush()
        assert len(heard.messages) == 3

    on(nats_server, run, test)


def test_a_callback_that_fails_takes_nothing_from_others(
    nats_server: NatsServer, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(client: Wire) -> None:
        heard = Heard()
        subject = client.new_inbox()

        def fail(message: Message) -> None:
            raise RuntimeError(f"cannot handle {message.data!r}")

        await client.listen(subject, fail)
        await client.listen(subject, heard)
        client.post(subject, b"this")
        await heard.enough(1)

    on(nats_server, run, test)
    assert "cannot handle b'this'" in caplog.text


def test_work_at_the_end_of_a_turn_can_still_send_with_it(nats_server: NatsServer, run: Run) -> None:
    async def test(client: Wire) -> None:
        heard, gathered = Heard(), list[bytes]()
        subject, answers = client.new_inbox(), client.new_inbox()
        await client.listen(answers, heard)
        await client.listen(subject, lambda message: gathered.append(message.data))

        def answer() -> None:
            if gathered:
                client.post(answers, b" ".join(gathered))
                gathered.clear()

        end = client.at_turn_end(answer)
        for word in (b"all", b"in", b"one"):
            client.post(subject, word)
        await client.flush()
        assert b" ".join(message.data for message in await heard.enough(1)) == b"all in one"
        end()
        client.post(subject, b"unheard")
        await client.flush()
        assert gathered == [b"unheard"]

    on(nats_server, run, test)


def test_what_cannot_be_sent_is_refused(nats_server: NatsServer, run: Run) -> None:
    async def test(client: Wire) -> None:
        with pytest.raises(nats.errors.MaxPayloadError):
            client.post("subject", bytes(client.max_payload + 1))
        headers = header_block({"Name": "value"})
        with pytest.raises(nats.errors.MaxPayloadError):  # the server would hang up, for good
            client.post("subject", bytes(client.max_payload - len(headers) + 1), headers=headers)
        client.post("subject", bytes(client.max_payload - len(headers)), headers=headers)
        await client.flush()
        assert client.is_connected
        await client.close()
        with pytest.raises(nats.errors.ConnectionClosedError):
            client.post("subject", b"")

    on(nats_server, run, test)


def test_a_question_has_one_end(nats_server: NatsServer, run: Run) -> None:
    async def test(client: Wire) -> None:
        inbox = Inbox(client)
        await inbox.open()
        echo, silent = client.new_inbox(), client.new_inbox()
        await client.listen(echo, lambda message: client.post(message.reply, message.data))
        await client.listen(silent, lambda message: None)
        answers = await asyncio.gather(*(inbox.ask(echo, b"%d" % n, timeout=PATIENCE) for n in range(500)))
        assert [int(answer.data) for answer in answers] == list(range(500))
        with pytest.raises(nats.errors.NoRespondersError):
            await inbox.ask("nobody.listens", b"", timeout=PATIENCE)
        with pytest.raises(TimeoutError):
            await inbox.ask(silent, b"", timeout=0.01)
        open_question = inbox.send(silent, b"", timeout=PATIENCE)
        await inbox.close(RuntimeError("the end"))
        with pytest.raises(RuntimeError, match="the end"):
            await open_question

    on(nats_server, run, test)


class Closed(asyncio.Protocol):
    """Hears that a connection is closed."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    def connection_lost(self, error: Exception | None) -> None:
        self.event.set()


def test_a_connection_that_has_just_broken_is_told_as_one(nats_server: NatsServer, run: Run) -> None:
    """Before nats-py hears of it, too: uvloop's own word for that is a RuntimeError."""

    async def test(client: Wire) -> None:
        subject = client.new_inbox()
        await client.listen(subject, Heard())
        await client.flush()
        closed, socket = Closed(), client._transport._io_writer.transport  # type: ignore[union-attr]
        unaware = socket.get_protocol()
        socket.set_protocol(closed)
        socket.abort()
        await closed.event.wait()
        await asyncio.sleep(0)
        assert client.is_connected
        client.post(subject, b"lost")
        with pytest.raises(nats.errors.Error):
            await client.flush(timeout=1)
        unaware.connection_lost(None)

    on(nats_server, run, test)


@pytest.mark.parametrize("what", ["request", "flush"])
def test_a_cancellation_that_meets_the_answer_is_one(nats_server: NatsServer, run: Run, what: str) -> None:
    """Until Python 3.12 `asyncio.wait_for` drops it: a loop of requests could not be ended then."""

    async def test(client: Wire) -> None:
        await client.listen("met", lambda message: client.post(message.reply, b"answer"))
        asked = asyncio.ensure_future(
            client.request("met", timeout=5) if what == "request" else client.flush()
        )
        while not (waiting := list(client._resp_map.values()) if what == "request" else client._pongs):
            await asyncio.sleep(0)
        waiting[0].add_done_callback(lambda _: asked.cancel())
        with pytest.raises(asyncio.CancelledError):
            await asked

    on(nats_server, run, test)
