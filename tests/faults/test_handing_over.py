"""Several engines: who is gone is found out by the server's word, and who leaves hands over at once. Leases are for the rest.

So that nothing here goes on by the end of a lease, leases do not end: the bucket they are in forgets nothing, and the engine
that stands by believes that they last for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import pytest
from nats.js.api import KeyValueConfig

from faults.conftest import Site
from faults.record import Record
from faults.tasks import Chain
from jobledger import Client
from jobledger.adapters.engine.partitions import share
from jobledger.adapters.engine.partitions.fleet import Calls
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.wire import Wire
from jobledger.adapters.portal import shared_portal
from jobledger.data import JobState
from support.engines import EngineHarness
from support.servers import NatsServer
from support.waiting import eventually

FOR_EVER = 1e9  # seconds


def wire(client: Client) -> Wire:
    return shared_portal().run(client._session.link()).nc


@pytest.fixture
def endless_leases(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    js = wire(site.client).jetstream()
    shared_portal().run(
        js.create_key_value(KeyValueConfig(Names(site.namespace).engines_bucket, direct=True))
    )
    monkeypatch.setattr(share, "TTL", FOR_EVER)


@pytest.fixture
def stand_by(site: Site, ends: ExitStack) -> Callable[[], EngineHarness]:
    """Start an engine in this process, which finds another one at work."""

    def start() -> EngineHarness:
        engine = EngineHarness(site.url, Names(site.namespace))
        ends.callback(engine.stop)
        return engine

    return start


@pytest.mark.usefixtures("endless_leases")
@pytest.mark.parametrize("partitions", [1, 4])
def test_an_engine_that_was_killed_is_taken_over_from_before_its_lease_ends(
    site: Site, record: Record, stand_by: Callable[[], EngineHarness], partitions: int
) -> None:
    first = site.engine(more=("--partitions", str(partitions))).wait_ready()
    site.runner(concurrency=2)
    jobs = [site.client.jobs().submit("chain", Chain(40, milliseconds=20)) for _ in range(partitions)]
    eventually(lambda: len(record) > 10)
    second = stand_by()
    first.kill()
    for job in jobs:
        assert job.wait(timeout=30).state is JobState.COMPLETED
    assert second.ready.is_set()
    record.check(*jobs)


@pytest.mark.usefixtures("endless_leases")
@pytest.mark.parametrize("partitions", [1, 4])
def test_an_engine_that_is_told_to_stop_answers_what_is_decided_and_hands_over(
    site: Site,
    record: Record,
    stand_by: Callable[[], EngineHarness],
    partitions: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(share, "_SUSPICIOUS", FOR_EVER)  # nobody looks whether it is still there either
    first = site.engine(more=("--partitions", str(partitions))).wait_ready()
    site.runner(concurrency=2)
    jobs = [site.client.jobs().submit("chain", Chain(40, milliseconds=20)) for _ in range(partitions)]
    eventually(lambda: len(record) > 10)
    second = stand_by()
    first.stop()
    for job in jobs:
        assert job.wait(timeout=30).state is JobState.COMPLETED
    assert second.ready.is_set()
    assert first.log.count("has left") == first.log.count("serves")
    assert "read again" not in first.log  # nothing was in doubt
    record.check(*jobs)
    assert len(record) == sum(len(job.tasks) for job in jobs)  # nothing was begun twice


def test_an_engine_without_a_connection_is_gone_and_one_that_is_suspended_is_not(
    nats_server: NatsServer, names: Names
) -> None:
    clients = [Client(nats_server.url, namespace=names.namespace) for _ in range(2)]
    asking, listening = (Calls(wire(client), names) for client in clients)
    portal = shared_portal()
    portal.run(listening.listen("there"))
    portal.run(wire(clients[1]).flush())
    assert portal.run(asking.gone(["there", "never"])) == {"never"}
    clients[1].close()
    assert portal.run(asking.gone(["there", "never"])) == {"there", "never"}
    clients[0].close()
