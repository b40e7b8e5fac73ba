"""Questions to the server itself: JetStream's API, and appends. What can go wrong is told apart, and soon.

A plain request tells "the connection broke" and "you may not" alike, by silence until its timeout.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
import nats.errors
from nats.aio.msg import Msg

from jobledger.core.errors import ArgumentError, JobLedgerError, ServerAway, ServerUnavailable
from jobledger.core.undecodable import UNDECODABLE

from .wire import Wire

TIMEOUT = 5.0  # seconds for an answer
#: the same where asking again costs nothing: a question that was put while a stream had no leader is never answered
_SHORT = 2.5
_LOOK = 0.25  # seconds between two looks at what may have come instead of one
_WRONG_LAST_SEQUENCE = 10071

#: JetStream has no leader just now: an answer for somebody who can wait
_PASSING = (10008, 10009)
STREAM_NOT_FOUND = 10059
MESSAGE_NOT_FOUND = 10037


class JetStreamError(JobLedgerError):
    """The server's own refusal. Nothing was stored or changed."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__(description)
        self.code = code  #: JetStream's number for it


class NotAllowed(ServerUnavailable):
    """This user has no right to that: asking again does not help."""


class Superseded(JobLedgerError):
    """Somebody else wrote to the subject meanwhile, or this was stored before. Nothing was stored now."""


class NoStream(JobLedgerError):
    """No stream takes messages on this subject."""


class _Refused(msgspec.Struct):
    err_code: int = 0
    description: str = ""


class _Ack(msgspec.Struct):
    seq: int = 0
    error: _Refused | None = None


_decode_ack = msgspec.json.Decoder(_Ack).decode
_decode_reply = msgspec.json.Decoder(dict[str, Any]).decode
T = TypeVar("T")


async def append(
    client: Wire, subject: str, payload: bytes, *, after: int | None = None, alone: bool = False
) -> int:
    """Store a message and return its position in the stream.

    Shape:  `after` is the position that the last message of the subject must have, 0 if there must be none; None if
            it does not matter. `alone`: it takes the place of all messages of the subject.
    Errors: Superseded, where that is not so; NoStream; JetStreamError, such as for a full stream; as `ask`.
    """
    headers = {} if after is None else {"Nats-Expected-Last-Subject-Sequence": str(after)}
    if alone:
        headers["Nats-Rollup"] = "sub"
    try:
        answer = await ask(client, subject, payload, headers or None)
    except nats.errors.NoRespondersError:
        raise NoStream(f"no stream takes {subject}") from None
    ack = _read(_decode_ack, answer)
    if ack.error is None:
        return ack.seq
    if ack.error.err_code == _WRONG_LAST_SEQUENCE:
        raise Superseded(ack.error.description)
    raise _refusal(subject, ack.error.err_code, ack.error.description)


async def in_stream(work: Callable[[], Awaitable[T]], make: Callable[[], Awaitable[None]]) -> T:
    """Do `work`, which appends to a stream, and return what it returns; where no stream takes it, `make` one and do it again.

    In a cluster a stream that was just made, or whose leader was just elected, is heard of by one server after the other:
    one that has not heard of it yet says that nobody takes the message. That passes.
    Errors: ServerAway where nobody takes it although the stream is there; those of both.
    """
    try:
        return await work()
    except NoStream:
        await make()
    try:
        return await work()
    except NoStream as error:
        raise ServerAway(f"{error} yet, although it is there: it has no leader at this moment") from error


async def jetstream(client: Wire, question: str, request: dict[str, Any]) -> dict[str, Any]:
    """Ask JetStream's API, and return its answer. Errors: JetStreamError; as `ask`.

    Shape:  `question` is the subject behind "$JS.API.", such as "STREAM.INFO.name".
    """
    try:
        answer = await ask(client, f"$JS.API.{question}", msgspec.json.encode(request), timeout=_SHORT)
    except nats.errors.NoRespondersError:
        raise ServerAway(f"JetStream does not answer {question}: it is starting, or has no leader") from None
    reply = _read(_decode_reply, answer)
    error = reply.get("error")
    if isinstance(error, dict):
        raise _refusal(question, error.get("err_code", 0), error.get("description", "no reason given"))
    return reply


def _refusal(what: str, code: int, description: str) -> JetStreamError | ServerAway:
    if code in _PASSING:
        return ServerAway(f"JetStream does not answer {what}: {description}")
    return JetStreamError(code, description)


async def ask(
    client: Wire,
    subject: str,
    payload: bytes,
    headers: dict[str, str] | None = None,
    *,
    timeout: float = TIMEOUT,
) -> Msg:
    """Send a message and return the answer to it.

    Errors: ServerAway when the connection breaks or nothing comes within `timeout` seconds; ServerUnavailable when
            this user may not send it; ArgumentError when it is larger than the server's messages; NoRespondersError.
    """
    if not client.is_connected:
        raise ServerAway("the server is away")
    reconnects, complaint = client.stats["reconnects"], client.last_error
    asked = asyncio.ensure_future(client.request(subject, payload, timeout=timeout, headers=headers))
    try:
        while not (await asyncio.wait({asked}, timeout=_LOOK))[0]:
            said = client.last_error
            if said is not complaint and forbids(said, subject):
                raise denied(said)
            if not client.is_connected or client.stats["reconnects"] != reconnects:
                raise ServerAway("the connection broke before the answer came")
        return asked.result()
    except nats.errors.MaxPayloadError as error:
        raise ArgumentError(
            f"a message of {len(payload):,} bytes is too large: this server takes {client.max_payload:,} bytes"
        ) from error
    except nats.errors.NoRespondersError:
        raise
    except (nats.errors.Error, OSError) as error:
        if isinstance(error, JobLedgerError):
            raise
        raise ServerAway(f"no answer from the server: {str(error) or type(error).__name__}") from error
    finally:
        asked.cancel()


def _read(decode: Callable[[bytes], T], answer: Msg) -> T:
    try:
        return decode(answer.data)
    except UNDECODABLE as error:
        raise ServerUnavailable(f"what the NATS server answered cannot be read: {error}") from error


def forbids(error: Exception | None, subject: str) -> bool:
    """Whether this is the server's word that a user may not send this, or may not be answered."""
    return is_denied(error) and any(
        part in str(error).lower() for part in (f'"{subject.lower()}"', '"_inbox')
    )


def is_denied(error: Exception | None) -> bool:
    """Whether this is the server's word that a user may not do something."""
    return error is not None and "permissions violation" in str(error).lower()


def denied(error: Exception | None) -> NotAllowed:
    return NotAllowed(
        f"this user may not do that on the NATS server ({error}). Grant it in the server's configuration"
    )
