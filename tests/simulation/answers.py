"""What the server's JetStream API answers: JSON, and the headers of direct gets."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from .consumers import Consumer
from .streams import MESSAGE_NOT_FOUND, STREAM_NOT_FOUND, JetStreamRefusal, Stored, Stream, configured

if TYPE_CHECKING:
    from .jetstream import JetStream

encode = msgspec.json.Encoder().encode
_decode = msgspec.json.decode

VERSION = "2.15.1"
_NOWHEN = "0001-01-01T00:00:00Z"
NO_MESSAGE = b"NATS/1.0 404 Message Not Found\r\n\r\n"


def moment(at: int) -> str:
    """Return a time in ns as the server writes it."""
    seconds, rest = divmod(at, 1_000_000_000)
    return f"{_second(seconds)}.{rest:09d}".rstrip("0").rstrip(".") + "Z"


@cache
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


class Api:
    """Requests on `$JS.API.`, without that prefix."""

    def __init__(self, server: JetStream) -> None:
        self._server = server

    def answer(self, question: str, payload: bytes) -> dict[str, Any]:
        """Return what is answered. Errors: JetStreamRefusal; KeyError for what is not known here."""
        if question == "INFO":
            return self._account()
        noun, verb, rest = question.split(".", 2)
        wish = _decode(payload) if payload else {}
        if noun == "STREAM" and verb == "CREATE":
            return self._create(wish)
        if noun == "CONSUMER":
            of, _, name = rest.partition(".")
            return self._consumer(verb, self._stream(of), name, wish)
        if verb == "MSG":
            verb, _, of = rest.partition(".")
            return self._message(verb, self._stream(of), wish)
        stream = self._stream(rest)
        match verb:
            case "INFO":
                return self._info(stream, wish)
            case "UPDATE":
                stream.config = configured(wish)
                return {
                    "config": stream.config,
                    "created": moment(stream.created),
                    "state": self._state(stream),
                }
            case "PURGE":
                return self._purge(stream, wish)
            case "DELETE":
                self._server.drop_stream(stream)
                return {"success": True}
        raise KeyError(question)

    def _stream(self, name: str) -> Stream:
        stream = self._server.streams.get(name)
        if stream is None:
            raise JetStreamRefusal(404, STREAM_NOT_FOUND, "stream not found")
        self._server.expire(stream)
        return stream

    # -- streams --------------------------------------------------------------------------------------------------

    def _account(self) -> dict[str, Any]:
        limits = dict.fromkeys(
            ("max_memory", "max_storage", "max_streams", "max_consumers", "max_ack_pending"), -1
        )
        return {
            "memory": 0,
            "storage": 0,
            "streams": len(self._server.streams),
            "consumers": len(self._server.consumers),
            "limits": {
                **limits,
                "memory_max_stream_bytes": -1,
                "storage_max_stream_bytes": -1,
                "max_bytes_required": False,
            },
            "api": {"level": 5, "total": 0, "errors": 0},
        }

    def _create(self, wish: dict[str, Any]) -> dict[str, Any]:
        config = configured(wish)
        stream = self._server.streams.get(config["name"])
        if stream is None:
            if self._server.overlaps(config["subjects"]):
                raise JetStreamRefusal(400, 10065, "subjects overlap with an existing stream")
            stream = self._server.add_stream(config)
        elif stream.config != config:
            raise JetStreamRefusal(400, 10058, "stream name already in use with a different configuration")
        return {
            "config": stream.config,
            "created": moment(stream.created),
            "state": self._state(stream),
            "did_create": True,
        }

    def _info(self, stream: Stream, wish: dict[str, Any]) -> dict[str, Any]:
        state = self._state(stream)
        told: dict[str, Any] = {"total": 0, "offset": 0, "limit": 0}
        if pattern := wish.get("subjects_filter"):
            found = sorted(stream.subjects(pattern).items())
            if found:
                told = {"total": len(found), "offset": wish.get("offset", 0), "limit": 100_000}
                state["subjects"] = dict(found[told["offset"] :])
        return {
            **told,
            "config": stream.config,
            "created": moment(stream.created),
            "state": state,
            "cluster": {"leader": "simulated"},
        }

    def _state(self, stream: Stream) -> dict[str, Any]:
        first = stream.messages.get(stream.first)
        state: dict[str, Any] = {
            "messages": len(stream.messages),
            "bytes": stream.bytes,
            "first_seq": stream.first,
            "first_ts": moment(first.at) if first else _NOWHEN,
            "last_seq": stream.last,
            "last_ts": moment(stream.last_at) if stream.last else _NOWHEN,
            "consumer_count": sum(of is stream for of in (c.stream for c in self._server.consumers.values())),
        }
        if stream.of:
            state["num_subjects"] = len(stream.of)
            if deleted := stream.last - stream.first + 1 - len(stream.messages):
                state["num_deleted"] = deleted
        return state

    def _purge(self, stream: Stream, wish: dict[str, Any]) -> dict[str, Any]:
        if stream.config["deny_purge"]:
            raise JetStreamRefusal(500, 10110, "stream purge not permitted")
        purged = stream.purge(wish.get("filter", ""), wish.get("seq", 0), wish.get("keep", 0))
        return {"success": True, "purged": purged}

    def _message(self, verb: str, stream: Stream, wish: dict[str, Any]) -> dict[str, Any]:
        if verb == "DELETE":
            if stream.config["deny_delete"]:
                raise JetStreamRefusal(500, 10057, "message delete not permitted")
            if not stream.remove(wish["seq"]):
                raise JetStreamRefusal(500, 10057, "no message found")
            return {"success": True}
        stored = _found(stream, wish)
        if stored is None:
            raise JetStreamRefusal(404, MESSAGE_NOT_FOUND, "no message found")
        message = {"subject": stored.subject, "seq": stored.seq}
        if stored.headers:
            message["hdrs"] = base64.b64encode(stored.headers).decode()
        if stored.payload:
            message["data"] = base64.b64encode(stored.payload).decode()
        return {"message": {**message, "time": moment(stored.at)}}

    # -- consumers ------------------------------------------------------------------------------------------------

    def _consumer(self, verb: str, stream: Stream, name: str, wish: dict[str, Any]) -> dict[str, Any]:
        consumers = self._server.consumers
        if verb == "CREATE":
            name = name.partition(".")[0] or self._server.new_name()
            consumer = Consumer(stream, name, wish["config"], self._server.known(stream))
            consumers[stream.name, consumer.name] = consumer
            return {
                "stream_name": stream.name,
                "name": consumer.name,
                "created": moment(self._server.nanoseconds()),
                "config": consumer.config,
                "delivered": {"consumer_seq": 0, "stream_seq": 0},
                "ack_floor": {"consumer_seq": 0, "stream_seq": 0},
                "num_ack_pending": 0,
                "num_redelivered": 0,
                "num_waiting": 0,
                "num_pending": consumer.pending(consumer.known),
            }
        if verb == "DELETE":
            if consumers.pop((stream.name, name), None) is None:
                raise JetStreamRefusal(404, 10014, "consumer not found")
            return {"success": True}
        raise KeyError(verb)


def refused(question: str, refusal: JetStreamRefusal) -> dict[str, Any]:
    return {"type": "io.nats.jetstream.api.v1.response", "error": refusal.told}


# -- direct gets ------------------------------------------------------------------------------------------------------


def direct_gets(stream: Stream, wish: dict[str, Any], end: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield headers and payload of each answer to a direct get, where the replica asked has the stream up to `end`."""
    batch = wish.get("batch", 0)
    if not batch:
        stored = _found(stream, wish, end)
        yield (NO_MESSAGE, b"") if stored is None else (_shown(stream, stored), stored.payload)
        return
    pattern = wish.get("next_by_subj", ">")
    if "start_time" in wish:
        at = int(datetime.fromisoformat(wish["start_time"]).timestamp() * 1e9)
        found = [stored for stored in stream.since_time(pattern, at) if stored.seq <= end]
    else:
        found = list(stream.since(pattern, wish.get("seq", 1), end))
    if not found:
        yield NO_MESSAGE, b""
        return
    size, most, last, sent = 0, wish.get("max_bytes", 0), 0, 0
    for stored in found[:batch]:
        size += len(stored.subject) + len(stored.headers) + len(stored.payload)
        if most and size > most and sent:
            break
        sent += 1
        yield _shown(stream, stored, len(found) - sent, last), stored.payload
        last = stored.seq
    yield (
        b"NATS/1.0 204 EOB\r\nNats-Num-Pending: %d\r\nNats-Last-Sequence: %d\r\n\r\n"
        % (len(found) - sent, last),
        b"",
    )


def _found(stream: Stream, wish: dict[str, Any], end: int | None = None) -> Stored | None:
    end = stream.last if end is None else end
    if "last_by_subj" in wish:
        seqs = [seq for seq in stream.of.get(wish["last_by_subj"], ()) if seq <= end]
        return stream.messages[seqs[-1]] if seqs else None
    if "next_by_subj" in wish:
        return next(stream.since(wish["next_by_subj"], wish.get("seq", 1), end), None)
    stored = stream.messages.get(wish["seq"])
    return stored if stored is not None and stored.seq <= end else None


def _shown(stream: Stream, stored: Stored, pending: int | None = None, last: int = 0) -> bytes:
    own = stored.headers[:-2] if stored.headers else b"NATS/1.0\r\n"
    told = (
        f"Nats-Stream: {stream.name}\r\nNats-Subject: {stored.subject}\r\nNats-Sequence: {stored.seq}\r\n"
        f"Nats-Time-Stamp: {moment(stored.at)}\r\n"
    )
    if pending is not None:
        told += f"Nats-Num-Pending: {pending}\r\nNats-Last-Sequence: {last}\r\n"
    return own + told.encode() + b"\r\n"
