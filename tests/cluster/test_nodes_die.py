"""A site on three servers: what becomes of work while servers die, and when they are back."""

from __future__ import annotations

import time

import pytest

from cluster.conftest import ELECTION, Site
from faults.tasks import Chain, Fan, Step
from jobledger.adapters.metrics.gathering import Gatherer
from jobledger.adapters.nats.log import scan
from jobledger.adapters.portal import shared_portal
from jobledger.core.errors import JobLedgerError, ServerAway
from jobledger.data import JobState
from jobledger.errors import NoQuorum
from support.waiting import eventually

from .conftest import wire


def commits(site: Site) -> int:
    """Return how many commits the log has."""
    client = wire(site.client)

    async def count() -> int:
        return len([one async for one in scan(client, site.names)])

    return shared_portal().run(count())


def serving(site: Site) -> list[float]:
    """Return what the engines tell of whether they serve: over the servers that are left."""
    try:
        reports = shared_portal().run(Gatherer(site.names).gather(wire(site.client)))
    except ServerAway:
        return []
    engines = [report for report in reports if report.kind == "engine"]
    return [engine.samples["jobledger_engine_serving"][0].value for engine in engines]


def test_work_goes_on_when_the_server_dies_that_leads_the_log_and_that_everybody_is_connected_to(
    site: Site,
) -> None:
    """`kill -9`, while tasks run, are claimed and reported. Clients and runners notice no more than a pause."""
    first = site.three.first
    site.three.have_lead(site.client, site.names.log_stream, first)
    jobs = site.client.jobs()
    running = [jobs.submit("chain", Chain(60, milliseconds=20)), jobs.submit("fan", Fan(40, milliseconds=20))]
    eventually(lambda: len(site.record) > 20)
    site.three.servers[first].kill()
    running.append(jobs.submit("meanwhile", Chain(3)))
    for job in running:
        assert job.wait(timeout=ELECTION).state is JobState.COMPLETED
    site.record.check(*running)
    site.three.mend(site.client, site.names.log_stream)


def test_two_lost_servers_stop_work_say_so_and_lose_nothing_and_it_goes_on_once_they_are_back(
    site: Site,
) -> None:
    jobs = site.client.jobs()
    job = jobs.submit("chain", Chain(40, milliseconds=20))
    before = len(site.record)
    eventually(lambda: len(site.record) > before + 10)
    leader = site.three.leader(site.client, site.names.log_stream)
    lost = [server for name, server in site.three.servers.items() if name != leader]
    known = commits(site)
    for server in lost:
        server.kill()
    missing = {f"127.0.0.1:{server.port}" for server in lost}

    hasty = site.connect(patience=3.0)

    def submits() -> Exception | None:
        try:
            hasty.jobs().submit("never", Step())
        except JobLedgerError as error:
            return error
        return None

    refused = submits()
    assert isinstance(refused, NoQuorum)
    assert missing == set(refused.missing)
    assert "Nothing that was acknowledged is lost" in str(refused)
    with pytest.raises(TimeoutError, match=r"after 0\.5 s.* has no leader: of 3 NATS servers"):
        job.wait(timeout=0.5)
    eventually(lambda: any("does not serve" in engine.log for engine in site.engines), within=ELECTION)
    told = "".join(engine.log for engine in site.engines)
    assert all(address in told for address in missing)
    assert eventually(lambda: serving(site)) == [0.0, 0.0]
    stood_still = len(site.record)

    back = time.time_ns() // 1000
    for server in lost:
        server.start()
    assert job.wait(timeout=ELECTION).state is JobState.COMPLETED
    assert commits(site) > known
    assert any(one.at > back for one in site.record.begun()), stood_still
    site.record.check(job)
    site.three.mend(site.client, site.names.log_stream)
