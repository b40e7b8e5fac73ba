"""Operations on a server, and its answers in a form that does not depend on which server it was, or when."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from jobledger.adapters.nats.frames import header_block, parse_headers
from jobledger.adapters.nats.wire import Message, Wire

_DEADLINE = 10.0  # seconds for the answers to one operation

#: what differs from server to server and from moment to moment
_VOLATILE = {
    "type",
    "ts",
    "created",
    "cluster",
    "time",
    "first_ts",
    "last_ts",
    "metadata",
    "did_create",
    "api",
    "name",
}
#: said in other words by other versions, or depending on what else a server holds; read by nobody here
_IDLE = {"total", "offset", "limit", "ack_floor", "delivered", "config"}
_USE = {"memory", "storage", "reserved_memory", "reserved_storage", "streams", "consumers"}


class Operation(NamedTuple):
    """A message to the server, and how many answers it has."""

    subject: str
    payload: bytes = b""
    headers: dict[str, str] = {}
    answers: int = 1


def api(question: str, wish: dict[str, Any] | None = None, *, answers: int = 1) -> Operation:
    return Operation(
        f"$JS.API.{question}", b"" if wish is None else msgspec.json.encode(wish), answers=answers
    )


def put(subject: str, payload: bytes = b"x", *, after: int | None = None, **headers: str) -> Operation:
    """Return what stores a message; `after` is the expected sequence of the last one on its subject."""
    told = {f"Nats-{name.replace('_', '-')}": value for name, value in headers.items()}
    if after is not None:
        told["Nats-Expected-Last-Subject-Sequence"] = str(after)
    return Operation(subject, payload, told)


def batch(name: str, *messages: tuple[str, int | None], commit: bool = True) -> Iterator[Operation]:
    """Yield what stores several messages in one transaction: subjects, and what each expects."""
    for number, (subject, after) in enumerate(messages, 1):
        last = commit and number == len(messages)
        told = {"Batch_Id": name, "Batch_Sequence": str(number), **({"Batch_Commit": "1"} if last else {})}
        operation = put(subject, b"x", after=after, **told)
        yield operation if last else operation._replace(answers=0)


async def perform(client: Wire, operations: list[Operation]) -> list[list[Any]]:
    """Return the answers to each operation, made comparable."""
    known: dict[str, str] = {}  # names that the server made up
    return [await _perform(client, operation, known) for operation in operations]


async def _perform(client: Wire, operation: Operation, known: dict[str, str]) -> list[Any]:
    arrived: list[Message] = []
    enough = asyncio.Event()
    inbox = client.new_inbox()

    def take(message: Message) -> None:
        arrived.append(message)
        if len(arrived) == operation.answers:
            enough.set()

    subscription = await client.listen(inbox, take)
    subject = operation.subject.format(**known)
    headers = header_block(operation.headers) if operation.headers else b""
    client.post(subject, operation.payload, inbox if operation.answers else "", headers)
    if operation.answers:
        async with asyncio.timeout(_DEADLINE):
            await enough.wait()
    await client.flush()
    await subscription.unsubscribe()
    for message in arrived:
        if subject.startswith("$JS.API.CONSUMER.CREATE") and b'"name"' in message.data:
            known["consumer"] = msgspec.json.decode(message.data)["name"]
    return [_comparable(message, inbox, known.get("consumer", "")) for message in arrived]


def _comparable(message: Message, inbox: str, consumer: str) -> Any:
    headers = parse_headers(message._block) if message._block else {}
    headers.pop("Nats-Time-Stamp", None)
    if consumer:
        headers = {name: value.replace(consumer, "<consumer>") for name, value in headers.items()}
    if headers.get("Status") == "100":  # how far it is, is told by what was delivered
        headers = {"Status": "100"}
    reply = message.reply.split(".") if message.reply else []
    if reply[:2] == ["$JS", "ACK"]:
        reply = [token for place, token in enumerate(reply) if place != 7]  # the time
    data: Any = message.data
    if message.data.startswith(b"{"):
        data = _shown(msgspec.json.decode(message.data))
    return (
        "" if message.subject == inbox else message.subject,
        ["<consumer>" if token == consumer else token for token in reply],
        headers,
        data,
    )


def _shown(answer: dict[str, Any]) -> dict[str, Any]:
    if "error" in answer and "stream" not in answer:
        return {"error": answer["error"]}
    shown = {name: value for name, value in answer.items() if name not in _VOLATILE}
    config = shown.get("config")
    shown = {name: value for name, value in shown.items() if name not in _IDLE | _USE}
    if config is not None and "retention" in config:
        # "not set" has several spellings
        shown["config"] = {name: value for name, value in config.items() if value and name not in _VOLATILE}
    for part in ("state", "message"):
        if part in shown:
            shown[part] = {name: value for name, value in shown[part].items() if name not in _VOLATILE}
    return shown
