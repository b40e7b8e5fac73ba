"""What a stream's leader is asked: what is there at this moment, and to delete by subject."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable
from typing import Any

from .asking import MESSAGE_NOT_FOUND, STREAM_NOT_FOUND, JetStreamError, jetstream
from .stored import StoredMessage
from .wire import Wire

_AT_ONCE = 32  # requests on their way


async def newest(client: Wire, stream: str, subject: str) -> StoredMessage | None:
    """Return the last message on a subject; None if there is none, or no such stream.

    Errors, of each of these: ServerAway; ServerUnavailable; JetStreamError.
    """
    answer = await _ask(client, f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject})
    if answer is None:
        return None
    message = answer["message"]
    return StoredMessage(message["seq"], subject, base64.b64decode(message.get("data", "")))


async def first_behind(client: Wire, stream: str, subject: str, position: int) -> StoredMessage | None:
    """Return the first message on a subject, or on those that a pattern stands for, behind a position; None if there is none."""
    question = f"STREAM.MSG.GET.{stream}"
    answer = await _ask(client, question, {"seq": position + 1, "next_by_subj": subject})
    if answer is None:
        return None
    message = answer["message"]
    return StoredMessage(message["seq"], message["subject"], base64.b64decode(message.get("data", "")))


async def subjects_in(client: Wire, stream: str, pattern: str) -> list[str]:
    """Return the subjects with stored messages; [] too if there is no such stream."""
    subjects: list[str] = []
    while True:  # the server answers with up to 100,000 at once
        request = {"subjects_filter": pattern, "offset": len(subjects)}
        answer = await _ask(client, f"STREAM.INFO.{stream}", request)
        found = [] if answer is None else list(answer["state"].get("subjects") or ())
        subjects += found
        if answer is None or not found or len(subjects) >= answer.get("total", 0):
            return subjects


async def purge(client: Wire, stream: str, subjects: Iterable[str], *, before: int = 0) -> None:
    """Delete all messages on these subjects, or those at positions below `before`."""
    limit = {"seq": before} if before else {}
    waiting = list(subjects)
    for start in range(0, len(waiting), _AT_ONCE):
        some = waiting[start : start + _AT_ONCE]
        await asyncio.gather(
            *(_ask(client, f"STREAM.PURGE.{stream}", {"filter": one, **limit}) for one in some)
        )


async def _ask(client: Wire, question: str, request: dict[str, Any]) -> dict[str, Any] | None:
    """Return the answer; None where what is asked for does not exist."""
    try:
        return await jetstream(client, question, request)
    except JetStreamError as error:
        if error.code in (MESSAGE_NOT_FOUND, STREAM_NOT_FOUND):
            return None
        raise
