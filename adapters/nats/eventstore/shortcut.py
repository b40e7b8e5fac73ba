"""A shorter way for the messages of a consumer: from the bytes that arrive straight to whoever takes them.

On its usual way a message is matched by regular expressions, has its headers parsed, is made an object, put into a
queue and taken out of it by a task: most of what receiving one costs. A consumer delivers thousands of messages whose
headers nobody reads.

This rests on one private name of nats-py, the parser of a connection, and on two of its attributes. Where they are gone,
everything goes the usual way; `tests/adapters/eventstore/test_shortcut.py` tells.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nats.aio.client import Client
from nats.aio.subscription import Subscription
from nats.protocol.parser import AWAITING_CONTROL_LINE


class Arrived(NamedTuple):
    """A message as it came over the wire, without its headers."""

    subject: bytes
    reply: bytes
    payload: bytes


#: takes messages that arrived together, in order
Take = Callable[[list[Arrived]], None]

_PARSER = "_ps"
_END = b"\r\n"
_MESSAGES = (b"MSG", b"HMSG")
#: how the reply subject of a stored message begins, and of nothing else a consumer sends
_STORED = b"$JS.ACK."


def divert(client: Client, subscription: Subscription, take: Take) -> Callable[[], None]:
    """Have the stored messages that arrive for `subscription` handed to `take`, on the loop's thread. Return what ends it.

    To be called before the first of them is asked for. Whatever else arrives, such as heartbeats, goes its usual way.
    """
    parser = getattr(client, _PARSER, None)
    if not hasattr(parser, "buf") or not hasattr(parser, "state"):
        return lambda: None
    takers, sid = _takers(parser), b"%d" % subscription._id
    takers[sid] = take

    def end() -> None:
        takers.pop(sid, None)

    return end


def _takers(parser: Any) -> dict[bytes, Take]:
    """Return who takes what by subscription; put the entrance before the parser, the first time."""
    entrance = getattr(parser.parse, "__self__", None)
    if not isinstance(entrance, _Entrance):
        entrance = _Entrance(parser)
        parser.parse = entrance.parse
    return entrance.takers


class _Entrance:
    """Stands before the parser of one connection, and gives it everything else, one item of the protocol at a time.

    What is not whole yet lies in the parser's own buffer, which is emptied when the connection breaks.
    """

    def __init__(self, parser: Any) -> None:
        self.takers: dict[bytes, Take] = {}
        self._parser = parser
        self._usual = parser.parse
        self._enough = 0  # bytes without which what is in the buffer is not whole

    async def parse(self, data: bytes = b"") -> None:
        parser = self._parser
        if parser.state != AWAITING_CONTROL_LINE:  # in the middle of a message that began before we came
            missing = parser.needed + len(_END) - len(parser.buf)
            await self._usual(data[:missing])
            data = data[missing:]
        buffer = parser.buf
        if buffer:
            buffer += data
            if len(buffer) < self._enough:
                return
            data = bytes(buffer)
            buffer.clear()
        taken, end = self._hand_over(data, 0)
        while end:
            await self._usual(data[taken:end])
            taken, end = self._hand_over(data, end)
        buffer += data[taken:]

    def _hand_over(self, data: bytes, start: int) -> tuple[int, int]:
        """Hand over the messages from `start` on, as far as someone takes them.

        Return where they end, and where the item behind them ends that nobody takes: 0 if nothing whole is there.
        """
        take: Take | None = None
        run: list[Arrived] = []
        end = 0
        while True:
            line = data.find(_END, start)
            if line < 0:
                self._enough = 0
                break
            words = data[start:line].split()
            body = line + len(_END)
            if not words or words[0] not in _MESSAGES:
                end = body
                break
            stop = body + int(words[-1]) + len(_END)
            if stop > len(data):
                self._enough = stop - start
                break
            # (H)MSG <subject> <subscription> [reply] [length of the headers] <length>
            with_headers = words[0] == b"HMSG"
            taker = self.takers.get(words[2])
            if taker is None or len(words) < 5 + with_headers or not words[3].startswith(_STORED):
                end = stop
                break
            if taker is not take:
                if take is not None:
                    take(run)
                take, run = taker, []
            first = body + int(words[4]) if with_headers else body
            run.append(Arrived(words[1], words[3], data[first : stop - len(_END)]))
            start = stop
        if take is not None:
            take(run)
        return start, end
