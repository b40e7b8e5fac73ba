"""A connection to the telemetry stream of the test's own namespace."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar
from uuid import uuid4

import msgspec
import pytest

from jobledger.adapters.link import Link
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.wire import Wire
from jobledger.adapters.portal import shared_portal
from jobledger.adapters.telemetry import store
from jobledger.adapters.telemetry.records import Batch, Line, Record, encode_batch, encode_record
from jobledger.adapters.telemetry.telemetry import Telemetry
from jobledger.adapters.telemetry.trace_context import own_root
from support.servers import NatsServer
from support.waiting import eventually

T = TypeVar("T")
RUNNER = "runner-1"


class Stream:
    """The stream as clients read it and runners write it, through one connection."""

    def __init__(self, url: str, names: Names) -> None:
        self.names = names
        self.link = Link(lambda: Endpoint(url), names, "test")
        self.run(self.link.open())
        self._started: list[Telemetry] = []

    def run(self, work: Awaitable[T]) -> T:
        async def awaiting() -> T:
            return await work

        return shared_portal().run(awaiting(), timeout=30)

    def read(self, job_id: str, after: int = 0) -> list[store.Stored]:
        async def reading(client: Wire) -> list[store.Stored]:
            return [one async for one in store.read(client, self.names, job_id, after=after)]

        return self.run(self.link.work(reading, patience=20.0))

    def bodies(self, job_id: str) -> list[str]:
        return [line.body for one in self.read(job_id) for line in one.records if isinstance(line, Line)]

    def publish(self, job_id: str, *records: Record, identity: str = "", dropped: int = 0) -> None:
        raws = [msgspec.Raw(encode_record(record)) for record in records]
        payload = encode_batch(Batch(b"i" * 16, RUNNER, own_root(job_id).trace, dropped, raws))

        async def publishing() -> None:
            await store.ensure(self.link.nc, self.names)
            await store.publish(self.link.nc, self.names, job_id, payload, identity or uuid4().hex)

        self.run(publishing())

    def telemetry(self, **options: Any) -> Telemetry:
        """Return a telemetry that was started, as by a runner."""
        telemetry = Telemetry(**options)

        async def starting() -> None:
            telemetry.start(self.link, RUNNER)

        self.run(starting())
        self._started.append(telemetry)
        return telemetry

    def stop(self, telemetry: Telemetry, patience: float = 10.0) -> None:
        self._started.remove(telemetry)
        self.run(telemetry.stop(patience))

    def close(self) -> None:
        for telemetry in self._started:
            self.run(telemetry.stop(0.0))
        self.run(self.link.close())


def line(number: int, body: str = "") -> Line:
    return Line(number, 20, body or f"line {number}", 0, 1)


def say(telemetry: Telemetry, job_id: str, *bodies: str) -> None:
    for number, body in enumerate(bodies):
        telemetry.keep(job_id, own_root(job_id), line(number, body))


@pytest.fixture
def open_stream(names: Names) -> Iterator[Callable[[NatsServer], Stream]]:
    opened: list[Stream] = []

    def opening(server: NatsServer) -> Stream:
        opened.append(Stream(server.url, names))
        return opened[-1]

    yield opening
    for stream in opened:
        stream.close()


@pytest.fixture
def stream(nats_server: NatsServer, open_stream: Callable[[NatsServer], Stream]) -> Stream:
    return open_stream(nats_server)


__all__ = ["RUNNER", "Stream", "eventually", "line", "say"]
