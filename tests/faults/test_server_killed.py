"""nats-server is killed under an engine, a runner and a client, each of which has to find back by itself."""

from __future__ import annotations

import threading
import time
from functools import partial

from faults.conftest import Site
from faults.record import Record
from faults.tasks import Chain, Fan
from jobledger import Job
from jobledger.data import AttemptOutcome, JobState
from support.servers import NatsServer
from support.waiting import eventually


def test_everything_resumes_when_it_is_back(own_site: Site, own_server: NatsServer, record: Record) -> None:
    engine = own_site.engine(lease=10.0)
    runner = own_site.runner(concurrency=4)
    job_client = own_site.client.jobs()
    # Chains of tasks that take no time keep requests on their way, so that every kill loses some.
    jobs = [job_client.submit("chain", Chain(1000)) for _ in range(4)]
    for _ in range(4):
        eventually(partial(_moved_on, record, len(record) + 300), within=30)
        own_server.kill()
        own_server.start()
    for job in jobs:
        job.wait(timeout=30)
        assert job.state is JobState.COMPLETED
    record.check(*jobs)
    # All the time the runner was alive, and what it had been given was known to it.
    ended = [attempt.outcome for job in jobs for task in job.tasks for attempt in task.attempts]
    assert AttemptOutcome.EXPIRED not in ended
    assert record.processes() == {runner.pid}
    assert engine.alive
    assert runner.alive


def test_it_may_be_away_for_ten_seconds(own_site: Site, own_server: NatsServer, record: Record) -> None:
    engine = own_site.engine(lease=5.0)
    runner = own_site.runner(concurrency=4)
    job_client = own_site.client.jobs()
    job = job_client.submit("fan", Fan(400, milliseconds=5))
    eventually(lambda: len(record) > 60, within=20)

    states: list[JobState] = []
    submitted: list[Job] = []
    waits = threading.Thread(target=lambda: states.append(job.wait(timeout=60).state))
    submits = threading.Thread(target=lambda: submitted.append(job_client.submit("meanwhile", Fan(3))))
    waits.start()
    own_server.kill()
    back_at = time.monotonic() + 10
    submits.start()  # nobody is there to hear it
    begun = _standstill(record)
    eventually(lambda: time.monotonic() >= back_at, within=12)
    assert len(record) == begun
    own_server.start()

    for thread in (waits, submits):
        thread.join(30)
        assert not thread.is_alive()
    assert states == [JobState.COMPLETED]
    (meanwhile,) = submitted
    meanwhile.wait(timeout=30)
    record.check(job, meanwhile)
    assert record.processes() == {runner.pid}
    assert runner.alive
    assert engine.alive


def _moved_on(record: Record, begun: int) -> bool:
    return len(record) >= begun


def _standstill(record: Record) -> int:
    """Wait until the runner has nothing left that it could begin; return how many tasks it has begun."""
    last, since = len(record), time.monotonic()

    def still() -> bool:
        nonlocal last, since
        if len(record) != last:
            last, since = len(record), time.monotonic()
        return time.monotonic() - since > 1

    eventually(still, within=8)
    return last
