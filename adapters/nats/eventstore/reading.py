"""Reading a stream: pages of it by direct get, and single messages from its leader.

A direct get may be answered by a replica that lags behind: good enough to read, never to decide what to write.
What a write rests on comes from the leader.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any, NamedTuple

from eventsourcing.persistence import OperationalError
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from ..wire import Wire
from .errors import STREAM_NOT_FOUND
from .messages import Message

PAGE = 1000  #: messages of a page at most
_PAGE_BYTES = 4 * 1024 * 1024  #: a page ends before it is larger, unless one message alone is


class Page(NamedTuple):
    messages: list[Message]
    more: bool  #: whether the stream holds more of them


class Inbox:
    """Collects answers of many messages. All requests share one subscription, told apart by the last token."""

    def __init__(self, nc: Wire) -> None:
        self._nc = nc
        self._subject = nc.new_inbox()
        self._tokens = itertools.count()
        self._open: dict[str, tuple[list[Msg], asyncio.Future[None]]] = {}

    async def open(self) -> None:
        await self._nc.subscribe(f"{self._subject}.*", cb=self._collect)

    async def _collect(self, msg: Msg) -> None:
        answer, done = self._open.get(msg.subject.rpartition(".")[2], (None, None))
        if answer is None or done is None or done.done():
            return  # given up on
        answer.append(msg)
        if msg.headers is None or "Status" in msg.headers:
            done.set_result(None)

    async def request(self, subject: str, payload: bytes, timeout: float) -> list[Msg]:
        """Return all messages of the answer, of which the last one carries the status."""
        token = str(next(self._tokens))
        answer: list[Msg] = []
        done = asyncio.get_running_loop().create_future()
        self._open[token] = (answer, done)
        try:
            await self._nc.publish(subject, payload, reply=f"{self._subject}.{token}")
            await asyncio.wait_for(done, timeout)
        finally:
            del self._open[token]
        return answer


async def read_page(
    inbox: Inbox, stream: str, subject: str | None, start: int, limit: int, timeout: float
) -> Page:
    """Return the messages from position `start` on, in order, of this subject (or filter) or of all.

    Errors: OperationalError when the answer is incomplete.
    """
    request: dict[str, Any] = {"seq": start, "batch": limit, "max_bytes": _PAGE_BYTES}
    if subject is not None:
        request["next_by_subj"] = subject
    *found, end = await inbox.request(f"$JS.API.DIRECT.GET.{stream}", json.dumps(request).encode(), timeout)
    status = end.headers or {}
    match status.get("Status"):
        case "404":
            return Page([], more=False)
        case "204":
            pass
        case "503":
            raise OperationalError(
                f"nothing answers reads of stream {stream!r}: deleted, or without direct get?"
            )
        case code:
            raise OperationalError(f"stream {stream!r} cannot be read from position {start}: status {code}")
    messages = []
    previous = 0
    for msg in found:
        headers = msg.headers or {}
        position = int(headers["Nats-Sequence"])
        # each names its predecessor in the answer: a hole would be an event silently left out of a replay
        if int(headers["Nats-Last-Sequence"]) != previous:
            raise OperationalError(
                f"a part of the answer from stream {stream!r} was lost before {position}; read again"
            )
        messages.append(Message(position, headers["Nats-Subject"], msg.data))
        previous = position
    if int(status.get("Nats-Last-Sequence", 0)) != previous:
        raise OperationalError(
            f"the end of the answer from stream {stream!r} was lost after {previous}; read again"
        )
    return Page(messages, more=bool(messages) and int(status.get("Nats-Num-Pending", 0)) > 0)


async def last(js: JetStreamContext, stream: str, subject: str) -> Message | None:
    """Return the leader's last message of this subject (or filter), None when there is none."""
    try:
        return _message(await js.get_msg(stream, subject=subject))
    except NotFoundError as error:
        if error.err_code == STREAM_NOT_FOUND:
            raise
        return None


async def first_after(js: JetStreamContext, stream: str, subject: str, position: int) -> Message | None:
    """Return the leader's first message of this subject (or filter) behind the position, None when there is none."""
    try:
        return _message(await js.get_msg(stream, subject=subject, seq=position + 1, next=True))
    except NotFoundError as error:
        if error.err_code == STREAM_NOT_FOUND:
            raise
        return None


def _message(raw: RawStreamMsg) -> Message:
    assert raw.seq is not None
    assert raw.subject is not None
    return Message(raw.seq, raw.subject, raw.data or b"")
