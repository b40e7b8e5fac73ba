"""Questions and their answers over one subscription.

nats-py's own `request` costs a future, a task and a timer more for each question; a chain of short tasks notices.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription


class Inbox:
    """One inbox of one connection."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._subject = client.new_inbox()
        self._open: dict[str, asyncio.Future[Msg]] = {}
        self._numbers = itertools.count()
        self._subscription: Subscription | None = None

    async def open(self) -> None:
        self._subscription = await self._client.subscribe(f"{self._subject}.*", cb=self._answered)

    async def close(self, reason: Exception) -> None:
        """Take no more answers; whoever waits for one gets `reason`."""
        self.give_up(reason)
        if self._subscription is not None:
            with contextlib.suppress(nats.errors.Error):
                await self._subscription.unsubscribe()

    def give_up(self, reason: Exception) -> None:
        """Let everyone who waits for an answer have `reason` instead."""
        for future in list(self._open.values()):
            if not future.done():
                future.set_exception(reason)

    async def ask(
        self, subject: str, payload: bytes, *, timeout: float, headers: dict[str, str] | None = None
    ) -> Msg:
        """Publish a question and return the first answer.

        Errors: TimeoutError after `timeout` seconds; NoRespondersError if nobody listens on the subject; what
                `give_up` was given; whatever `publish` raises.
        """
        reply = f"{self._subject}.{next(self._numbers)}"
        future: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        self._open[reply] = future
        try:
            await self._client.publish(subject, payload, reply=reply, headers=headers)
            async with asyncio.timeout(timeout):
                return await future
        finally:
            del self._open[reply]

    async def send(
        self, subject: str, payload: bytes, *, headers: dict[str, str] | None = None
    ) -> asyncio.Future[Msg]:
        """Publish a question and return its answer to come: for many questions under way. Errors: as `ask`."""
        reply = f"{self._subject}.{next(self._numbers)}"
        future: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        self._open[reply] = future
        future.add_done_callback(lambda _: self._open.pop(reply, None))
        await self._client.publish(subject, payload, reply=reply, headers=headers)
        return future

    async def _answered(self, message: Msg) -> None:
        future = self._open.get(message.subject)
        if future is None or future.done():
            return
        # a status of its own makes the server's word that nobody listens
        if not message.data and message.headers and message.headers.get("Status") == "503":
            future.set_exception(nats.errors.NoRespondersError())
        else:
            future.set_result(message)
