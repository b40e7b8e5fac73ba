"""A question to the engine whose answer is called back: for those who ask thousands of times a second.

The first try is answered nearly always, and has no coroutine: that is 25 of 200 us of a hop in a chain of tasks (Python
3.11). Where it is not, the question goes on as `Link.ask` does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import nats.errors

from jobledger.core.errors import ServerUnavailable
from jobledger.core.undecodable import UNDECODABLE

from . import protocol as p
from .nats.wire import Message

#: seconds before the second try
_PAUSE = 0.02

#: makes the request from the number of tries before it
Request = Callable[[int], bytes]


class Question:
    """One question. `ended` is called with the answer, or with the error."""

    def __init__(self, request: Request, ended: Callable[[p.Answer | Exception], None]) -> None:
        self._request = request
        self._ended = ended
        self._again: Callable[[Request], Coroutine[Any, Any, p.Answer]]
        self._task: asyncio.Task[None] | None = None
        self._over = False

    def put(
        self,
        first: Callable[[bytes, Callable[[Message | Exception], None]], None],
        again: Callable[[Request], Coroutine[Any, Any, p.Answer]],
    ) -> None:
        """Ask: `first` once, calling back, and where that does not do, by `again`, as often as it takes."""
        self._again = again
        try:
            first(self._request(0), self._answered)
        except (nats.errors.Error, OSError, ServerUnavailable):
            self._go_on()  # which finds out, and says, what is wrong

    def break_off(self) -> None:
        """Call nobody any more."""
        self._over = True
        if self._task is not None:
            self._task.cancel()

    def _answered(self, answer: Message | Exception) -> None:
        if self._over:
            return
        if isinstance(answer, Exception):
            self._go_on()
            return
        try:
            reply: p.Reply = p.decode_reply(answer.data)
        except UNDECODABLE as error:
            self._ended(p.unreadable(error))
            return
        if isinstance(reply, p.Unavailable):
            self._go_on()
        else:
            self._ended(reply)

    def _go_on(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._try_again())

    async def _try_again(self) -> None:
        answer: p.Answer | Exception
        try:
            await asyncio.sleep(_PAUSE)
            answer = await self._again(lambda tries: self._request(tries + 1))
        except Exception as error:  # noqa: BLE001  it is for whoever asked
            answer = error
        self._ended(answer)
