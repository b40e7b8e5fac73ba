"""Runners that are killed, and tasks that kill their runner."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from faults.conftest import Site
from faults.record import Record
from faults.tasks import Chain, Fan, KillsItsProcess, Step
from jobledger import JobFailed
from jobledger.data import AttemptOutcome, JobState, TaskState
from support.waiting import eventually


def test_another_runner_takes_over(site: Site, record: Record) -> None:
    site.engine(lease=1.0)
    first = site.runner(concurrency=4)
    job = site.client.jobs().submit("fan", Fan(300, milliseconds=5))
    eventually(lambda: len(record) > 60, within=20)
    first.kill()
    computed = {task.number for task in job.tasks.filter(state=TaskState.COMPUTED)}
    assert computed
    assert not job.settled

    second = site.runner(concurrency=4)
    job.wait(timeout=30)
    assert job.state is JobState.COMPLETED
    assert job.tasks_by_state[TaskState.COMPUTED] == 302
    record.check(job)
    taken_over = {begun.task for begun in record.begun() if begun.process == second.pid}
    assert not taken_over & {f"{job.id}/{number}" for number in computed}

    ended = [attempt for task in job.tasks for attempt in task.attempts[:-1]]
    assert {attempt.outcome for attempt in ended} <= {AttemptOutcome.EXPIRED, AttemptOutcome.RELEASED}
    assert any("no sign of life" in attempt.reason for attempt in ended)


def test_a_runner_that_was_killed_while_it_waited_is_not_waited_for(site: Site, record: Record) -> None:
    """The engine holds its request open, and would answer it with the next task that is ready."""
    site.engine(lease=60.0)
    idle = site.runner()
    job_client = site.client.jobs()
    job_client.submit("before", Step()).wait(timeout=20)
    idle.kill()

    job = job_client.submit("afterwards", Step())
    other = site.runner()
    job.wait(timeout=20)
    assert record.begun()[-1].process == other.pid
    record.check(job)


def test_a_runner_that_comes_back_too_late_changes_nothing(site: Site, record: Record) -> None:
    site.engine(lease=0.5)
    late = site.runner()
    job = site.client.jobs().submit("chain", Chain(3, milliseconds=300))
    eventually(lambda: len(record) == 2, within=20)
    late.freeze()
    other = site.runner()
    eventually(lambda: len(record) == 3, within=20)
    late.thaw()  # while the task runs there, it reports that it has computed it
    job.wait(timeout=20)

    lost, *others = job.tasks[1].attempts
    assert lost.outcome is AttemptOutcome.EXPIRED
    assert others[-1].outcome is AttemptOutcome.COMPUTED
    # though its request for more is still there to be answered
    assert lost.runner not in {attempt.runner for attempt in others}
    record.check(job)

    # it is told so, and goes on as if nothing had happened
    eventually(lambda: "is dropped" in late.log)
    other.kill()
    another = site.client.jobs().submit("another", Chain(2))
    another.wait(timeout=20)
    assert record.begun()[-1].process == late.pid
    record.check(job, another)


def test_a_runner_that_was_frozen_past_its_lease_begins_nothing_that_it_had_waiting(
    site: Site, record: Record
) -> None:
    site.engine(lease=1.0)
    late = site.runner()
    job = site.client.jobs().submit("fan", Fan(200, milliseconds=3))
    eventually(lambda: len(record) > 50, within=20)  # it has some 15 tasks at hand by now
    late.freeze()
    other = site.runner(concurrency=4)
    job.wait(timeout=20)
    thawed = time.time_ns() // 1000
    late.thaw()

    other.kill()
    another = site.client.jobs().submit("another", Step())
    another.wait(timeout=20)
    assert record.begun()[-1].process == late.pid
    too_late = [one for one in record.begun() if one.at > thawed and str(job.id) in one.task]
    assert len(too_late) <= 1  # which had begun, and was frozen on its way to say so
    record.check(another)


def test_a_task_that_kills_its_process_is_tried_again(site: Site, record: Record) -> None:
    site.engine(lease=0.5)
    site.runner(respawn=True)
    job = site.client.jobs().submit("deadly", KillsItsProcess(survives=3))
    job.wait(timeout=30)
    *lost, last = job.tasks[0].attempts
    assert {attempt.outcome for attempt in lost} == {AttemptOutcome.EXPIRED}
    assert len(lost) >= 2
    assert last.outcome is AttemptOutcome.COMPUTED
    assert job.tasks[0].max_retries == 0  # lost runners are not failures of the task
    record.check(job)


def test_a_task_that_goes_on_killing_its_process_fails_its_job(
    site: Site, record: Record, tmp_path: Path
) -> None:
    mended = tmp_path / "mended"
    site.engine(lease=0.3)
    site.runner(respawn=True)
    job_client = site.client.jobs()
    job = job_client.submit("deadly", KillsItsProcess(survives=1000, mended=str(mended)))
    with pytest.raises(JobFailed, match="the runner was lost 11 times while it ran this task"):
        job.wait(timeout=60)
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert job.error.reason == "LeaseExpired"
    assert "killing its process" in job.error.message
    assert job.tasks[0].attempt == 11
    assert len(record.processes()) == len(record) > 1

    mended.touch()
    assert job_client.retry(job) == 1
    job.wait(timeout=30)
    assert job.tasks[0].attempt >= 12  # so short a lease may end on a busy machine as well
    record.check(job)
