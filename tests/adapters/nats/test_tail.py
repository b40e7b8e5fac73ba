"""A tail: every message behind a position, in order, however many requests that takes."""

from __future__ import annotations

import asyncio

import pytest

from jobledger.adapters.nats import tail as module
from jobledger.adapters.nats.connection import connect
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.streams import ensure_log
from jobledger.adapters.nats.tail import Tail
from support.servers import NatsServer


def test_one_tail_is_enough_for_many_requests(
    nats_server: NatsServer, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BATCH", 10)

    async def positions() -> list[int]:
        client = await connect(Endpoint(nats_server.url), name="test")
        try:
            await ensure_log(client.jetstream(), names)
            for number in range(95):
                await client.jetstream().publish(names.log_subject(f"job-{number}"), b"a commit")
            tail = await Tail.open(client, names.log_stream, names.log_subjects, after=0)
            found = [(await anext(tail)).position for _ in range(95)]
            await tail.close()
            return found
        finally:
            await client.close()

    assert asyncio.run(positions()) == list(range(1, 96))
