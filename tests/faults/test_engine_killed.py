"""Engines that are killed."""

from __future__ import annotations

import threading

from faults.conftest import Site
from faults.record import Record
from faults.tasks import Chain, Fan, Step
from jobledger.data import AttemptOutcome, JobState
from support.waiting import eventually


def test_the_next_engine_goes_on(site: Site, record: Record) -> None:
    engine = site.engine(lease=5.0)
    runner = site.runner(concurrency=4)
    job_client = site.client.jobs()
    # Chains of tasks that take no time keep commits on their way, so that the kill meets some.
    jobs = [
        job_client.submit("fan", Fan(150, 5)),
        *(job_client.submit("chain", Chain(400)) for _ in range(3)),
    ]
    waited = threading.Thread(target=jobs[0].wait, kwargs={"timeout": 60})
    waited.start()
    eventually(lambda: len(record) > 300, within=20)
    engine.kill()
    seen = {job: len(job.history) for job in jobs}
    assert not all(job.settled for job in jobs)
    engine.start()  # it stands by until the ownership of the one before it has run out

    jobs.append(job_client.submit("while it came back", Step()))
    for job in jobs:
        job.wait(timeout=30)
        assert job.state is JobState.COMPLETED
    waited.join(10)
    assert not waited.is_alive()
    record.check(*jobs)
    assert any(len(job.history) > events for job, events in seen.items())
    assert record.processes() == {runner.pid}
    # the engine was away for less than a lease: nothing was taken from the runner
    assert all(
        attempt.outcome is not AttemptOutcome.EXPIRED
        for job in jobs
        for task in job.tasks
        for attempt in task.attempts
    )


def test_what_was_acknowledged_is_there(site: Site, record: Record) -> None:
    """An engine is killed again and again under someone who submits, cancels and retries."""
    engine = site.engine().wait_ready()
    job_client = site.client.jobs()
    for _ in range(2):
        submitted = [job_client.submit(f"job {number}", Step()) for number in range(20)]
        canceled = submitted[::2]
        assert all(job_client.cancel(job, reason="asked to") for job in canceled)
        assert [job_client.retry(job) for job in canceled[::2]] == [1] * 5
        engine.kill()
        for number, job in enumerate(submitted):
            names = [type(entry.event).__name__ for entry in job.history]
            assert names == ["JobSubmitted", "JobCanceled", "JobRetried"][: (3, 1, 2, 1)[number % 4]]
        engine.start()
    site.runner(concurrency=4)
    for job in submitted:
        if job.state is not JobState.CANCELED:
            job.wait(timeout=30)
    record.check(*submitted)
