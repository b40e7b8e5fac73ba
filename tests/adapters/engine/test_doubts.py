"""What becomes of requests that arrive while the engine is in doubt: about its lease, or about what is in the log."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from jobledger.adapters import protocol as p
from jobledger.adapters.engine.partitions.recovery import Checkpoint
from jobledger.adapters.engine.service import Engine
from jobledger.adapters.engine.writing.room import Room
from jobledger.adapters.link import Link
from jobledger.adapters.metrics.engine import EngineMeter
from jobledger.adapters.nats.connection import connect
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.streams import ensure_log
from jobledger.adapters.nats.wire import Message
from jobledger.adapters.portal import shared_portal
from support.engines import BareRunner, computed, event_names, refs, submit
from support.servers import NatsServer
from support.waiting import eventually


class Doubtful:
    """An engine that is told whether its lease is its own for certain."""

    def __init__(self, url: str, names: Names) -> None:
        self.sure = True
        self.asked = threading.Event()  #: it has looked whether it is
        self._url = url
        self._names = names
        shared_portal().run(self._start())

    async def _start(self) -> None:
        self._client = await connect(Endpoint(self._url), name="doubtful")
        await ensure_log(self._client.jetstream(), self._names)
        room = Room(self._client, self._names)
        self.engine = Engine(
            self._client,
            self._names,
            engine_id="doubtful",
            lease=15.0,
            meter=EngineMeter(),
            room=room,
            owned=self._owned,
        )
        await self.engine.start(Checkpoint(), lambda: None)

    async def stop(self) -> None:
        await self.engine.stop()
        await self._client.close()

    def _owned(self) -> bool:
        self.asked.set()
        return self.sure


@contextmanager
def doubtful(url: str, names: Names) -> Iterator[Doubtful]:
    engine = Doubtful(url, names)
    try:
        yield engine
    finally:
        shared_portal().run(engine.stop())


def test_who_asks_while_the_lease_is_in_doubt_is_told_to_ask_again(
    nats_server: NatsServer, names: Names, link: Link
) -> None:
    """And does not wait for an answer that nobody will give, until the time for it is over: 20 s here."""
    with doubtful(nats_server.url, names) as engine:
        submit(link)
        engine.sure = False
        engine.asked.clear()
        asking = asyncio.run_coroutine_threadsafe(
            BareRunner(link).exchanging(limit=1, wait=0.0), shared_portal().loop
        )
        assert engine.asked.wait(10)
        engine.sure = True
        eventually(asking.done, within=10)
        reply = asking.result()
        assert isinstance(reply, p.Exchanged)
        assert len(refs(reply)) == 1


def test_a_job_that_is_thrown_away_while_another_is_read_is_not_unknown(
    nats_server: NatsServer, names: Names, link: Link
) -> None:
    """Two are reported on. One is not in memory; while it is read, there is doubt about the other. The runner asks again: to
    be told that the job is unknown, it would drop a result that nobody else has."""
    with doubtful(nats_server.url, names) as engine:
        runner = BareRunner(link)
        first, second = submit(link), submit(link)
        held = {ref.job_id: ref for ref in runner.claim(limit=2)}
        answers: list[p.Reply] = []

        async def report() -> None:
            ledger = engine.engine._ledger
            for job_id in (first, second):
                live = ledger.jobs.get(job_id)
                assert live is not None
                if job_id == second:
                    ledger.jobs.forget(live)
            subject = names.exchange(runner.name, "default")
            request = p.Exchange("default", [("Task", 1, 0)], [computed(held[first]), computed(held[second])])
            engine.engine._exchanges.handle(Message(subject, "", p.encode(request), b""), answers.append)
            while not answers:
                doubted = ledger.jobs.get(first)
                if doubted is not None:
                    ledger._committer.abandon(doubted, "somebody else wrote to it")
                await asyncio.sleep(0)

        shared_portal().run(report(), timeout=10)
        (reply,) = answers
        assert isinstance(reply, p.Unavailable), reply
        assert runner.report(computed(held[first]), computed(held[second])) == []
        for job_id in (first, second):
            assert event_names(link, job_id)[-2:] == ["TaskComputed", "JobCompleted"]
