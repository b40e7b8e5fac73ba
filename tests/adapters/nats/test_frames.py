"""Bytes from a server are divided alike, however they are cut on the way."""

from __future__ import annotations

from random import Random

import pytest

from jobledger.adapters.nats.frames import Frames, header_block, parse_headers

Delivered = tuple[int, bytes, bytes, bytes, bytes]


class Taken:
    """What came out, in order: messages of subscriptions 1 and 2, and as bytes the rest."""

    def __init__(self) -> None:
        self.all: list[Delivered | bytes] = []
        self.frames = Frames(self.deliver, self.all.append)

    def deliver(self, sid: int, subject: bytes, reply: bytes, headers: bytes, payload: bytes) -> bool:
        if sid > 2:
            return False
        self.all.append((sid, subject, reply, headers, payload))
        return True


@pytest.mark.parametrize("seed", range(40))
def test_however_the_bytes_are_cut_each_message_goes_its_way(seed: int) -> None:
    random = Random(seed)
    expected: list[Delivered | bytes] = []
    stream = b""
    for number in range(300):
        payload = random.randbytes(random.choice([0, 3, 40, 3000])) + random.choice(
            [b"", b"\r\n", b"MSG s 1 "]
        )
        sid = random.choice([1, 1, 2, 3])
        reply = random.choice([b"$JS.ACK.stream.c.1.%d" % number, b"", b"_INBOX.x"])
        headers = random.choice([b"", b"NATS/1.0\r\nA: b\r\n\r\n"])
        sizes = b"%d %d" % (len(headers), len(headers + payload)) if headers else b"%d" % len(payload)
        words = [b"HMSG" if headers else b"MSG", b"s.%d" % number, b"%d" % sid, *filter(None, [reply]), sizes]
        frame = b" ".join(words) + b"\r\n" + headers + payload + b"\r\n"
        expected.append((sid, b"s.%d" % number, reply, headers, payload) if sid < 3 else frame)
        stream += frame
        if random.random() < 0.1:
            other = random.choice([b"PING\r\n", b"+OK\r\n", b"-ERR 'slow'\r\n", b'INFO {"a":1}\r\n'])
            expected.append(other)
            stream += other
    taken = Taken()
    while stream:
        size = random.choice([1, 7, 100, 5000])
        taken.frames.feed(stream[:size])
        stream = stream[size:]
    assert taken.all == expected


def test_what_is_no_message_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        Taken().frames.feed(b"MSG subject one 5\r\nwhole\r\n")


def test_headers_are_read_as_they_were_written() -> None:
    headers = {"Nats-Expected-Last-Subject-Sequence": "7", "Name": "Łódź: a town"}
    assert parse_headers(header_block(headers)) == headers


@pytest.mark.parametrize(
    ("block", "headers"),
    [
        (b"NATS/1.0 503\r\n\r\n", {"Status": "503"}),
        (b"NATS/1.0 404 No Messages\r\n\r\n", {"Status": "404", "Description": "No Messages"}),
        (
            b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Stream:1024\r\n\r\n",
            {"Status": "100", "Description": "Idle Heartbeat", "Nats-Last-Stream": "1024"},
        ),
        (b"NATS/1.0\r\n\r\n", {}),
    ],
)
def test_the_servers_own_words_have_a_status(block: bytes, headers: dict[str, str]) -> None:
    assert parse_headers(block) == headers
