"""Recorders on a real server, and what tests of them write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

from eventsourcing.persistence import (
    StoredEvent,
)

from jobledger.adapters.nats.connection import Endpoint, connect
from jobledger.adapters.nats.eventstore import JetStreamFactory
from jobledger.adapters.nats.eventstore.recorders import JetStreamApplicationRecorder
from jobledger.adapters.nats.eventstore.tracking import JetStreamProcessRecorder
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.wire import Wire


def event(
    originator_id: UUID | str, version: int, state: bytes = b"state", topic: str = "topic"
) -> StoredEvent:
    return StoredEvent(originator_id, version, topic, state)


def events(originator_id: UUID | str, *versions: int) -> list[StoredEvent]:
    return [event(originator_id, version, b"state %d" % version) for version in versions]


def on_server(url: str, action: Callable[[Wire], Coroutine[Any, Any, Any]]) -> Any:
    """Do something to the server behind the recorders' back."""

    async def connected() -> Any:
        nc = await connect(Endpoint(url), name="behind the recorders")
        try:
            return await action(nc)
        finally:
            await nc.close()

    return asyncio.run(connected())


class Opened:
    """Makes recorders, each with a connection of its own, on the streams of one test."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._factories: list[JetStreamFactory] = []

    def factory(self, url: str, **env: str) -> JetStreamFactory:
        factory = JetStreamFactory({"NATS_URL": url, "NATS_STREAM": self._names.namespace, **env})
        self._factories.append(factory)
        return factory

    def recorder(self, url: str, **env: str) -> JetStreamApplicationRecorder:
        recorder = self.factory(url, **env).application_recorder()
        assert isinstance(recorder, JetStreamApplicationRecorder)
        return recorder

    def process_recorder(self, url: str, **env: str) -> JetStreamProcessRecorder:
        recorder = self.factory(url, **env).process_recorder()
        assert isinstance(recorder, JetStreamProcessRecorder)
        return recorder

    def close(self) -> None:
        for factory in self._factories:
            factory.close()
