"""What a request is answered with that could not be served."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from jobledger.core.decisions import Refusal
from jobledger.core.errors import DamagedLog, KeyUnavailable, ServerUnavailable
from jobledger.core.undecodable import UNDECODABLE

from .. import protocol as p
from .live import NoRoom, NotWritten, TooLarge
from .writing.room import REMEDY

log = logging.getLogger(__name__)

#: sends a reply
Answer: TypeAlias = Callable[[p.Reply], None]

LEAVING = p.Unavailable("this engine is leaving")


async def answer_with(work: Awaitable[p.Reply], answer: Answer) -> None:
    """Answer with what comes of the work, or with what goes wrong."""
    try:
        reply = await work
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  whoever asked is told
        reply = answer_to(error)
    answer(reply)


def answer_to(error: BaseException) -> p.Reply:
    """Return what the asker is told of an error."""
    if isinstance(error, UNDECODABLE):
        return p.Refused("invalid", f"the request cannot be decoded: {error}")
    match error:
        case Refusal():
            return p.Refused(error.code, error.message)
        case DamagedLog():
            return p.Refused("damaged", str(error))
        case TooLarge():
            return p.Refused(
                "invalid", f"what was to be written is too large: {error}. Pass large data by reference"
            )
        case NoRoom():
            return p.Refused("log_full", f"{error}. Nothing was submitted. {REMEDY}")
        case NotWritten() | ServerUnavailable():
            return p.Unavailable(str(error))
        case KeyUnavailable():
            return p.Refused("key_unavailable", str(error))
        case asyncio.CancelledError():
            return LEAVING
        case _:
            log.error("a request failed", exc_info=error)
            return p.Refused("internal", f"the engine failed on this request: {error!r}. See its log")
