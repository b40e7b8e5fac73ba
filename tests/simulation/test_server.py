"""The simulated server answers as the real one does: the same operations, answer by answer.

What the product asks of a server is in here. Whoever has it ask for something new adds that.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from jobledger.adapters.nats.connection import open_connection
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.frames import parse_headers
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.streams import log_settings
from support.servers import NatsServer

from .engine import ENDPOINT
from .faults import PROFILES
from .running import run_seed
from .script import Operation, api, batch, perform, put
from .server import SimServer
from .world import World

_EXPECTED = "Nats-Expected-Last-Subject-Sequence"


def _stream(name: str, subjects: str, **settings: Any) -> Operation:
    return api(f"STREAM.CREATE.{name}", {"name": name, "subjects": [subjects], **settings})


def _get(stream: str, **wish: Any) -> Operation:
    return api(f"DIRECT.GET.{stream}", wish, answers=1)


def _log(names: Names) -> Operation:
    settings = log_settings(names.log_stream, [names.log_subjects]).as_dict()
    return api(f"STREAM.CREATE.{names.log_stream}", settings)


def _appending(names: Names) -> list[Operation]:
    a, b = names.log_subject("a"), names.log_subject("b")
    return [
        api("INFO"),
        put(a),  # nobody takes it: there is no stream yet
        _log(names),
        put(a, b"1", after=0),
        put(a, b"2", after=0),  # somebody was quicker
        put(a, b"2", after=1),
        put(b, b"3", after=0),
        put(b, b"4", after=2),
        put(b, b"4", Expected_Stream="another"),
        put(b, b"", Rollup="sub"),
        api(f"STREAM.INFO.{names.log_stream}", {}),
        api(f"STREAM.PURGE.{names.log_stream}", {"filter": a}),
        api(f"STREAM.MSG.DELETE.{names.log_stream}", {"seq": 1}),
        Operation(f"{names.prefix}.nobody.listens.here"),
    ]


def _batches(names: Names) -> list[Operation]:
    a, b, c = (names.log_subject(job) for job in "abc")
    return [
        _log(names),
        *batch("all", (a, 0), (b, 0), (c, 0)),
        *batch("conflict", (a, 1), (b, 7), (c, 3)),
        *batch("first-conflict", (a, 9), (b, 2)),
        *batch("again", (a, 1), (b, 2)),
        *batch("itself", (c, 3), (c, 3)),
        *list(batch("no-beginning", (a, 4), (b, 5)))[1:],
        *list(batch("gap", (a, 4), (b, 5), (c, 3)))[::2],
        *batch("alone", (c, 3)),
        *batch("unfinished", (a, 4), (b, 5), commit=False),
        put(a, b"before it is finished", after=4),
        api(f"STREAM.INFO.{names.log_stream}", {}),
        _get(names.log_stream, seq=3),
        api(f"DIRECT.GET.{names.log_stream}", {"seq": 1, "batch": 10, "next_by_subj": c}, answers=3),
    ]


def _reading(names: Names) -> list[Operation]:
    log, every = names.log_stream, names.log_subjects
    a, b = names.log_subject("a"), names.log_subject("b")
    return [
        _get("nothing", seq=1),  # no such stream
        _log(names),
        _get(log, seq=1, batch=512, next_by_subj=every),
        put(a, b"1", after=0),
        put(b, b"2"),
        put(a, b"3"),
        put(a, b""),
        api(
            f"DIRECT.GET.{log}",
            {"seq": 1, "batch": 512, "max_bytes": 1_000_000, "next_by_subj": every},
            answers=5,
        ),
        api(f"DIRECT.GET.{log}", {"seq": 1, "batch": 2, "next_by_subj": every}, answers=3),
        api(f"DIRECT.GET.{log}", {"seq": 2, "batch": 512, "next_by_subj": a}, answers=3),
        api(f"DIRECT.GET.{log}", {"seq": 1, "batch": 512, "next_by_subj": b}, answers=2),
        _get(log, seq=9, batch=512, next_by_subj=every),
        _get(log, seq=1, batch=512, next_by_subj=names.log_subject("nobody")),
        _get(log, seq=2),
        _get(log, seq=9),
        _get(log, seq=2, next_by_subj=a),
        _get(log, last_by_subj=a),
        api(
            f"DIRECT.GET.{log}",
            {"start_time": "2020-01-01T00:00:00Z", "batch": 1, "next_by_subj": b},
            answers=2,
        ),
        _get(log, start_time="2200-01-01T00:00:00Z", batch=1, next_by_subj=b),
        api(f"DIRECT.GET.{log}.{a}"),
        api(f"DIRECT.GET.{log}.{names.log_subject('nobody')}"),
        api(f"STREAM.MSG.GET.{log}", {"last_by_subj": a}),
        api(f"STREAM.MSG.GET.{log}", {"seq": 1}),
        api(f"STREAM.MSG.GET.{log}", {"seq": 3, "next_by_subj": every}),
        api(f"STREAM.MSG.GET.{log}", {"seq": 9, "next_by_subj": every}),
        api(f"STREAM.MSG.GET.{log}", {"last_by_subj": names.log_subject("nobody")}),
        api(f"STREAM.MSG.GET.{log}", {"seq": 9}),
        api("STREAM.MSG.GET.nothing", {"seq": 9}),
        api(f"STREAM.INFO.{log}", {"subjects_filter": every, "offset": 0}),
        api(f"STREAM.INFO.{log}", {"subjects_filter": b}),
        api(f"STREAM.INFO.{log}", {"subjects_filter": names.log_subject("nobody")}),
        api("STREAM.INFO.nothing", {}),
    ]


def _consuming(names: Names) -> list[Operation]:
    log = names.log_stream
    a, b, c = (names.log_subject(job) for job in "abc")
    config = {
        "ack_policy": "none",
        "filter_subject": names.log_subjects,
        "mem_storage": True,
        "num_replicas": 1,
    }
    newest = {"stream_name": log, "config": {**config, "deliver_policy": "last_per_subject"}}
    behind = {
        "stream_name": log,
        "config": {**config, "deliver_policy": "by_start_sequence", "opt_start_seq": 3},
    }
    pull = {"batch": 10, "max_bytes": 70_000_000, "expires": 200_000_000, "idle_heartbeat": 80_000_000}
    ended = 3  # two heartbeats, and the end of the request
    return [
        api(f"CONSUMER.CREATE.{log}", newest),  # no such stream
        _log(names),
        put(a, b"1"),
        put(b, b"2"),
        put(a, b"3"),
        put(c, b"4"),
        api(f"CONSUMER.CREATE.{log}", newest),
        api(f"CONSUMER.MSG.NEXT.{log}.{{consumer}}", {**pull, "batch": 2}, answers=2 + 1),
        api(f"CONSUMER.MSG.NEXT.{log}.{{consumer}}", pull, answers=1 + ended),
        put(b, b"5"),
        api(f"CONSUMER.MSG.NEXT.{log}.{{consumer}}", pull, answers=1 + ended),
        api(f"CONSUMER.DELETE.{log}.{{consumer}}", {}),
        api(f"CONSUMER.DELETE.{log}.{{consumer}}", {}),
        api(f"CONSUMER.MSG.NEXT.{log}.{{consumer}}", pull),
        api(f"CONSUMER.CREATE.{log}", behind),
        api(f"CONSUMER.MSG.NEXT.{log}.{{consumer}}", {**pull, "batch": 3}, answers=3 + 1),
        api(f"CONSUMER.CREATE.{log}", behind),
        api(f"CONSUMER.MSG.NEXT.{log}.{{consumer}}", {**pull, "max_bytes": 150}, answers=1 + 1),
    ]


def _beside_the_log(names: Names) -> list[Operation]:
    bucket, subject = f"KV_{names.engines_bucket}", f"$KV.{names.engines_bucket}"
    settings = {"max_msgs_per_subject": 1, "discard": "new", "deny_delete": True, "allow_rollup_hdrs": True}
    return [
        _stream(bucket, f"{subject}.>", **settings, allow_direct=True, allow_msg_ttl=True),
        _stream(bucket, f"{subject}.>", **settings, allow_direct=True, allow_msg_ttl=True),
        _stream(bucket, f"{subject}.>", **settings),  # with other settings
        _stream("another", f"{subject}.owner"),  # on the same subjects
        put(f"{subject}.owner", b"e1", after=0),
        put(f"{subject}.owner", b"e2", after=0),
        put(f"{subject}.owner", b"e1", after=1),
        put(f"{subject}.owner", b"", after=2, Rollup="sub"),
        put(f"{subject}.engine.e1", b"e1"),
        put(f"{subject}.engine.e1", b"e1 still"),
        Operation(f"{subject}.owner", b"", {"KV-Operation": "DEL"}),
        Operation(f"{subject}.owner", b"", {"KV-Operation": "DEL", _EXPECTED: "1"}),
        Operation(f"{subject}.owner", b"", {"KV-Operation": "DEL", _EXPECTED: "7"}),
        api(f"STREAM.INFO.{bucket}", {"subjects_filter": f"{subject}.>"}),
        api(f"DIRECT.GET.{bucket}.{subject}.owner"),
        api(f"DIRECT.GET.{bucket}", {"seq": 1, "batch": 9, "next_by_subj": f"{subject}.>"}, answers=3),
        api(f"STREAM.PURGE.{bucket}", {"filter": f"{subject}.owner", "seq": 2}),
        api(f"STREAM.PURGE.{bucket}", {"filter": f"{subject}.owner"}),
        api(f"STREAM.PURGE.{bucket}", {"filter": f"{subject}.nothing"}),
        api("STREAM.PURGE.nothing", {"filter": f"{subject}.nothing"}),
        put(f"{subject}.owner", b"e3", after=0),
        api(f"STREAM.INFO.{bucket}", {}),
        api(f"STREAM.DELETE.{bucket}", {}),
        api(f"STREAM.DELETE.{bucket}", {}),
        put(f"{subject}.owner", b"e3", after=0),
    ]


def _limits(names: Names) -> list[Operation]:
    few, small = f"{names.namespace}-few", f"{names.namespace}-small"
    return [
        _stream(few, f"{few}.*", max_msgs=2, discard="new", storage="memory"),
        put(f"{few}.a"),
        put(f"{few}.a"),
        put(f"{few}.b"),
        _stream(small, f"{small}.*", max_bytes=200, discard="new"),
        *[put(f"{small}.a", b"0123456789" * 3) for _ in range(4)],
        put(f"{small}.a", b"0123456789" * 30),
        put(f"{small}.b", after=9),
        api(f"STREAM.MSG.DELETE.{small}", {"seq": 1}),
        api(f"STREAM.MSG.DELETE.{small}", {"seq": 1}),
        put(f"{small}.a", b"0123456789" * 3),
        api(f"STREAM.INFO.{small}", {}),
        api(
            f"STREAM.UPDATE.{small}",
            {"name": small, "subjects": [f"{small}.*"], "max_bytes": 1000, "discard": "new"},
        ),
        put(f"{small}.a", b"0123456789" * 3),
    ]


_SCRIPTS = (_appending, _batches, _reading, _consuming, _beside_the_log, _limits)


def _simulated(operations: list[Operation]) -> list[list[Any]]:
    answers: list[list[Any]] = []

    async def work() -> None:
        client = await open_connection(ENDPOINT, name="script")
        answers.extend(await perform(client, operations))
        await client.close()

    with World(seed=0) as world:
        node = world.node("script", work)
        node.start()
        assert world.run(lambda: not node.running, seconds=60)
        assert node.work is not None
        node.work.result()
    return answers


def _real(url: str, operations: list[Operation]) -> list[list[Any]]:
    async def work() -> list[list[Any]]:
        client = await open_connection(Endpoint(url), name="script")
        try:
            return await perform(client, operations)
        finally:
            await client.close()

    return asyncio.run(work())


@pytest.mark.parametrize("script", _SCRIPTS, ids=lambda script: script.__name__.strip("_").replace("_", " "))
def test_the_simulated_server_answers_as_the_real_one(
    script: Any, nats_server: NatsServer, names: Names
) -> None:
    operations = script(names)
    simulated, real = _simulated(operations), _real(nats_server.url, operations)
    for operation, had, expected in zip(operations, simulated, real, strict=True):
        assert had == expected, f"to {operation}"


def _kind(operation: Operation) -> tuple[str, ...]:
    """Return what is asked for, whatever the names and numbers."""
    tokens = operation.subject.split(".")
    if tokens[:2] != ["$JS", "API"]:
        return ("append", *sorted(operation.headers))
    named = operation.subject.startswith("$JS.API.DIRECT.GET.") and len(tokens) > 5
    wish = msgspec.json.decode(operation.payload) if operation.payload else {}
    nouns = tuple(token for token in tokens[2:] if token.isupper())
    return (
        *nouns,
        "of a subject" if named else "",
        *sorted(wish if nouns[:2] != ("STREAM", "CREATE") else ()),
    )


def test_what_the_product_asks_for_is_compared(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[tuple[str, ...], Operation] = {}
    ask, append = SimServer._ask, SimServer._append

    def asking(server: SimServer, subject: str, reply: str, payload: bytes) -> bool:
        operation = Operation(subject, payload)
        asked[_kind(operation)] = operation
        return ask(server, subject, reply, payload)

    def appending(server: SimServer, stream: Any, subject: str, headers: bytes, payload: bytes) -> bytes:
        operation = Operation(subject, payload, parse_headers(headers) if headers else {})
        asked[_kind(operation)] = operation
        return append(server, stream, subject, headers, payload)

    monkeypatch.setattr(SimServer, "_ask", asking)
    monkeypatch.setattr(SimServer, "_append", appending)
    for seed in range(2 * len(PROFILES)):
        run_seed(seed)
    compared = {_kind(operation) for script in _SCRIPTS for operation in script(names)}
    assert len(asked) > 10
    assert {kind: operation for kind, operation in asked.items() if kind not in compared} == {}
