"""Bytes from something that is no NATS server: divided into messages, or the connection is given up."""

from __future__ import annotations

import asyncio
import tracemalloc
from random import Random

import nats.errors
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.adapters.nats.connection import connect
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.frames import (
    LARGEST,
    LONGEST_LINE,
    Frames,
    find_header,
    find_status,
    header_block,
    parse_headers,
)
from support.servers import NatsServer

from .budget import examples
from .mutation import damaged

STREAM = (
    b'INFO {"max_payload":1048576}\r\n'
    b"MSG jobledger.default.command 3 _INBOX.a.b 5\r\nhello\r\n"
    b"PING\r\n"
    b"HMSG a.b 4 12 15\r\nNATS/1.0\r\n\r\nabc\r\n"
    b"+OK\r\nMSG a 1 0\r\n\r\n"
    b"-ERR 'Unknown Protocol Operation'\r\n"
)
BLOCKS = (
    header_block({"Nats-Sequence": "12", "Nats-Subject": "a.b", "X": "y"}),
    b"NATS/1.0 404 No Messages\r\n\r\n",
    b"NATS/1.0 503\r\n\r\n",
)


class Taken:
    """What came out, how often and how much."""

    def __init__(self) -> None:
        self.frames = Frames(self.deliver, self.leave)
        self.count = 0
        self.bytes = 0

    def deliver(self, sid: int, subject: bytes, reply: bytes, headers: bytes, payload: bytes) -> bool:
        self.count += 1
        self.bytes += len(headers) + len(payload)
        return True

    def leave(self, data: bytes) -> None:
        self.count += 1
        self.bytes += len(data)


@examples(60)
@given(random=st.randoms(use_true_random=True))
def test_nothing_comes_out_that_did_not_come_in(random: Random) -> None:
    for _ in range(10):
        data = damaged(STREAM, random, [STREAM])
        taken = Taken()
        size = random.choice([1, 7, 1000]) if len(data) < 2000 else 100_000
        try:
            for start in range(0, len(data), size):
                taken.frames.feed(data[start : start + size])
        except ValueError:
            pass  # the connection is closed by that, and made again
        assert taken.bytes <= len(data)
        assert taken.count <= len(data)


@pytest.mark.parametrize(
    "line",
    [
        b"MSG a 1 -20",
        b"MSG a 1 -1",
        b"MSG a 1 99999999999",
        b"MSG a 1 %d" % (LARGEST + 1),
        b"MSG a one 5",
        b"MSG",
        b"MSG ",
        b"MSG a",
        b"HMSG ",
        b"HMSG a 1 -1 5",
        b"HMSG a 1 6 5",
        b"HMSG a 1 5 -6",
    ],
)
def test_a_message_of_a_size_that_cannot_be_ends_the_connection(line: bytes) -> None:
    taken = Taken()
    if line == b"MSG":  # no message: what it is, is for nats-py to say
        taken.frames.feed(line + b"\r\n")
        assert taken.count == 1
        return
    with pytest.raises(ValueError):  # noqa: PT011  whatever it says: it is the type that ends the connection
        taken.frames.feed(line + b"\r\n" + b"x" * 40)
    assert taken.count <= 1


def test_a_line_without_end_is_not_gathered_for_ever() -> None:
    taken = Taken()
    for _ in range(LONGEST_LINE // 65_536):
        taken.frames.feed(b"x" * 65_536)
    with pytest.raises(ValueError, match="a line of more than"):
        taken.frames.feed(b"x" * 65_536)


def test_of_a_message_that_only_says_to_be_large_nothing_is_set_aside() -> None:
    taken = Taken()
    tracemalloc.start()
    try:
        taken.frames.feed(b"MSG a 1 %d\r\nabc" % LARGEST)
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024
    finally:
        tracemalloc.stop()


@examples(60)
@given(random=st.randoms(use_true_random=True))
def test_headers_are_read_as_far_as_they_are_any(random: Random) -> None:
    for _ in range(10):
        block = damaged(random.choice(BLOCKS), random, BLOCKS)
        for name, value in parse_headers(block).items():
            (name + value).encode()
        find_status(block).encode()
        assert "\r\n" not in find_header(block, b"Nats-Sequence")


def test_no_subject_is_sent_that_a_server_would_hang_up_on(nats_server: NatsServer) -> None:
    async def send() -> int:
        client = await connect(Endpoint(nats_server.url), name="test")
        for subject, reply in (("a" * 5000, ""), ("a", "b" * 5000), ("a" * 2100, "b" * 2100)):
            with pytest.raises(nats.errors.BadSubjectError):
                client.post(subject, b"", reply)
            with pytest.raises(nats.errors.BadSubjectError):
                await client.publish(subject, b"", reply)
        client.post("a" * 2000, b"", "b" * 2000)
        await client.publish("a" * 2000, b"", "b" * 2000)
        await client.flush()
        reconnects: int = client.stats["reconnects"]
        await client.close()
        return reconnects

    assert asyncio.run(send()) == 0
