"""Questions and their answers over one subscription.

nats-py's own `request` costs a future, a task and a timer more for each question; a chain of short tasks notices.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable

import nats.errors
from nats.aio.subscription import Subscription

from .wire import Message, Wire

Answered = Callable[[Message | Exception], None]


class Inbox:
    """One inbox of one connection."""

    def __init__(self, client: Wire) -> None:
        self._client = client
        self._subject = client.new_inbox()
        self._open: dict[str, _Question] = {}
        self._numbers = itertools.count()
        self._subscription: Subscription | None = None

    async def open(self) -> None:
        self._subscription = await self._client.listen(f"{self._subject}.*", self._take)

    async def close(self, reason: Exception) -> None:
        """Take no more answers; whoever waits for one gets `reason`."""
        self.give_up(reason)
        if self._subscription is not None:
            with contextlib.suppress(nats.errors.Error):
                await self._subscription.unsubscribe()

    def give_up(self, reason: Exception, about: Callable[[str], bool] | None = None) -> None:
        """Let everyone who waits for an answer have `reason` instead, or those who asked on a subject that `about` names."""
        for question in list(self._open.values()):
            if about is None or about(question.subject):
                question.end(reason)

    def put(
        self, subject: str, payload: bytes, answered: Answered, *, timeout: float, headers: bytes = b""
    ) -> None:
        """Publish a question, and have `answered` called with the first answer, or with what came instead of it:
        TimeoutError after `timeout` seconds; NoRespondersError if nobody listens on the subject; what `give_up` was
        given.

        Errors: as `Wire.post`; then nothing was published.
        """
        reply = f"{self._subject}.{next(self._numbers)}"
        self._client.post(subject, payload, reply, headers)
        self._open[reply] = _Question(self._open, reply, subject, answered, timeout)

    async def ask(self, subject: str, payload: bytes, *, timeout: float, headers: bytes = b"") -> Message:
        """Publish a question and return the first answer. Errors: as `put`."""
        future = self.send(subject, payload, timeout=timeout, headers=headers)
        return await future

    def send(
        self, subject: str, payload: bytes, *, timeout: float, headers: bytes = b""
    ) -> asyncio.Future[Message]:
        """Publish a question and return its answer to come: for many questions under way. Errors: as `put`."""
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

        def answered(answer: Message | Exception) -> None:
            if future.done():
                return
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

        self.put(subject, payload, answered, timeout=timeout, headers=headers)
        return future

    def _take(self, message: Message) -> None:
        question = self._open.get(message.subject)
        if question is None:
            return
        # a status of its own makes the server's word that nobody listens
        if not message.data and message.status == "503":
            question.end(nats.errors.NoRespondersError())
        else:
            question.end(message)


class _Question:
    """One that waits for its answer."""

    __slots__ = ("_answered", "_open", "_reply", "_timer", "subject")

    def __init__(
        self, among: dict[str, _Question], reply: str, subject: str, answered: Answered, timeout: float
    ) -> None:
        self.subject = subject
        self._open = among
        self._reply = reply
        self._answered = answered
        self._timer = asyncio.get_running_loop().call_later(timeout, self.end, TimeoutError())

    def end(self, answer: Message | Exception) -> None:
        if self._open.pop(self._reply, None) is not None:
            self._timer.cancel()
            self._answered(answer)
