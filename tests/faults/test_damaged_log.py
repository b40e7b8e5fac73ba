"""A commit in the log that cannot be read."""

from __future__ import annotations

import pytest

from faults.conftest import Site
from faults.record import Record
from faults.tasks import Chain, Fan, Step
from jobledger import Job
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.records import encode_record
from jobledger.adapters.portal import shared_portal
from jobledger.errors import DamagedLog
from support.processes import PythonProcess


def damage(site: Site, job: Job) -> int:
    """Put a commit that cannot be read behind the job's last one, as a bad disk or program might; return its place."""
    subject = Names(site.namespace).log_subject(str(job.id))
    truncated = encode_record(job.history[-1].version + 1, "jobledger.commit.v1", b"\x96\xc4\x10")

    async def publish() -> int:
        link = await site.client._session.link()
        return (await link.nc.jetstream().publish(subject, truncated)).seq

    return shared_portal().run(publish())


@pytest.mark.parametrize(
    "live", [True, False], ids=["in the engine's memory", "read by the engine's successor"]
)
def test_a_damaged_commit_stops_its_job_and_no_other(live: bool, site: Site, record: Record) -> None:
    engine: PythonProcess = site.engine().wait_ready()
    job_client = site.client.jobs()
    damaged, sound = job_client.submit("damaged", Fan(3)), job_client.submit("sound", Chain(30, 5))
    if not live:
        engine.kill()
    position = damage(site, damaged)
    if not live:
        engine.start()
    site.runner(concurrency=2)

    sound.wait(timeout=30)
    told = f"the log is damaged at position {position}, in the history of job {damaged.id}"
    with pytest.raises(DamagedLog, match=told) as raised:
        job_client.find(damaged.id)
    assert raised.value.position == position
    assert raised.value.job_id == str(damaged.id)
    for ask in (lambda: damaged.state, lambda: damaged.wait(timeout=5), lambda: damaged.history):
        with pytest.raises(DamagedLog, match=told):
            ask()
    for change in (job_client.cancel, job_client.retry):
        with pytest.raises(DamagedLog, match=told):
            change(damaged)

    another = job_client.submit("another", Step())
    another.wait(timeout=30)
    record.check(sound, another)
    assert engine.alive
