"""Asking all processes of a kind at once: whoever answers in time has answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from jobledger.core.errors import ServerAway
from jobledger.core.undecodable import UNDECODABLE

if TYPE_CHECKING:
    from nats.aio.msg import Msg

    from ..nats.wire import Wire
    from .session import Session

T = TypeVar("T")

_GATHER = 0.5  # seconds in which all must have answered


async def gather(
    session: Session, subject: str, question: bytes, decode: Callable[[bytes], T | None]
) -> list[T]:
    """Return the answers to a question, in the order in which they came.

    Shape:  `decode` returns None for an answer that is not meant, and may raise one of UNDECODABLE for one that is damaged.
    Errors: ServerAway, ServerUnavailable.
    """
    link = await session.link()

    async def asked(client: Wire) -> list[T]:
        found: list[T] = []

        async def answered(message: Msg) -> None:
            try:
                reply = decode(message.data)
            except UNDECODABLE:
                return  # the server's own word that nobody listens
            if reply is not None:
                found.append(reply)

        if not client.is_connected:
            raise ServerAway("the server is away")
        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox, cb=answered)
        try:
            await client.publish(subject, question, reply=inbox)
            await asyncio.sleep(_GATHER)
        finally:
            await subscription.unsubscribe()
        return found

    return await link.work(asked, patience=session.patience)
