"""A connection of a user that may not ask JetStream itself: what would go there goes to the engine, which looks at it, and
passes on what this user has a right to.

NATS lets whoever may ask JetStream anything have the answer delivered to any subject, whatever else he may not do: to one
that a stream stores, such as the log, or to one that an engine listens to. So nobody who is not to write events asks
JetStream. The engine passes a request on only if it is to be answered in the inbox of the user; the answer comes from
JetStream itself, as if it had been asked directly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import nats.errors
from nats.aio.msg import Msg

from jobledger.core.errors import ServerAway

from .asking import NotAllowed
from .wire import Wire

#: the header that says where the request would have gone
TO = "Jobledger-To"
#: status of an answer of the engine: this user has no right to that
DENIED = "403"

#: returns the subject on which to ask the engine for a request; None for what does not go to JetStream
Gate: TypeAlias = Callable[[str, bytes], str | None]

_VERSION = b"NATS/1.0\r\n"
_LINE = b"NATS/1.0\r\n" + TO.encode() + b": %b\r\n"


class Gated(Wire):
    """A `Wire` that asks JetStream by way of the engine."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self._gate = gate

    def post(self, subject: str, payload: bytes, reply: str = "", headers: bytes = b"") -> None:
        through = self._gate(subject, payload)
        if through is None:
            super().post(subject, payload, reply, headers)
        else:
            first = _LINE % subject.encode()
            super().post(through, payload, reply, first + (headers[len(_VERSION) :] or b"\r\n"))

    async def publish(
        self, subject: str, payload: bytes = b"", reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """As nats-py's."""
        through = self._gate(subject, payload)
        if through is not None:
            subject, headers = through, {TO: subject, **(headers or {})}
        await super().publish(subject, payload, reply, headers)

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        timeout: float = 0.5,
        old_style: bool = False,
        headers: dict[str, Any] | None = None,
    ) -> Msg:
        """As nats-py's. Errors: ServerAway where no engine serves; NotAllowed for what this user may not do."""
        through = self._gate(subject, payload)
        if through is None:
            return await super().request(subject, payload, timeout, old_style, headers)
        try:
            answer = await super().request(
                through, payload, timeout, old_style, {TO: subject, **(headers or {})}
            )
        except nats.errors.NoRespondersError as error:
            raise ServerAway(
                "no engine serves this namespace: this user asks JetStream through it"
            ) from error
        if answer.headers and answer.headers.get("Status") == DENIED:
            raise denied_by_gate(subject, answer.headers.get("Description", ""))
        return answer


def denied_by_gate(subject: str, reason: str = "") -> NotAllowed:
    return NotAllowed(
        f"this user may not do that ({subject}){f': {reason}' if reason else ''}. What each role may do: "
        "jobledger access show"
    )
