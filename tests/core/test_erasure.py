"""The end of a sealed job: deleted first, and settled only once its key is destroyed."""

from __future__ import annotations

import pytest

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.decisions import Refusal
from jobledger.core.job import Job, evolve
from jobledger.core.lifecycle import JobState, LifecycleError
from support.histories import JOB, JobDriver, snapshot, task

KEY = "nats/job-1"
ERASE = c.EraseJob(JOB)


def a_job(*, sealed: str = KEY) -> JobDriver:
    job = JobDriver()
    job.submit(task(), sealed=sealed)
    return job


def erased() -> JobDriver:
    job = a_job()
    job.delete(force=True)
    job.do(ERASE)
    return job


def test_a_deleted_job_that_is_sealed_is_not_settled_before_its_key_is_destroyed() -> None:
    job = a_job()
    job.delete(force=True)
    assert (job.state, job.job.erasing, job.job.settled) == (JobState.DELETED, True, False)
    assert job.do(ERASE) == [e.JobErased(KEY)]
    assert (job.state, job.job.erasing, job.job.settled) == (JobState.DELETED, False, True)


def test_what_is_not_sealed_has_no_key_to_destroy() -> None:
    job = a_job(sealed="")
    job.delete(force=True)
    assert (job.job.erasing, job.job.settled, job.do(ERASE)) == (False, True, [])


def test_it_is_said_once_that_a_job_is_erased() -> None:
    assert erased().do(ERASE) == []


@pytest.mark.parametrize("state", ["NONE", "SUBMITTED", "CANCELED"])
def test_only_what_is_deleted_is_erased(state: str) -> None:
    job = JobDriver() if state == "NONE" else a_job()
    if state == "CANCELED":
        job.cancel()
    assert job.do(ERASE) == []
    assert not job.job.erasing


@pytest.mark.parametrize(
    ("job", "key", "reason"),
    [
        (Job(JOB), KEY, "before JobSubmitted"),
        (a_job().job, KEY, "before JobDeleted"),
        (erased().job, KEY, "after JobDeleted"),
    ],
    ids=["none", "not deleted", "twice"],
)
def test_a_history_may_not_say_so_out_of_place(job: Job, key: str, reason: str) -> None:
    before = snapshot(job)
    with pytest.raises(LifecycleError, match=f"JobErased {reason}"):
        evolve(job, e.JobErased(key), 99)
    assert snapshot(job) == before


@pytest.mark.parametrize("key", ["", "nats/job-2"])
def test_nor_of_another_key(key: str) -> None:
    job = a_job()
    job.delete(force=True)
    with pytest.raises(LifecycleError, match="no key of the job"):
        evolve(job.job, e.JobErased(key), 99)


def test_nothing_happens_to_an_erased_job() -> None:
    job = erased()
    with pytest.raises(Refusal, match="was deleted"):
        job.do(c.RetryJob(JOB, "retry-1"))
    with pytest.raises(LifecycleError, match="after JobDeleted"):
        evolve(job.job, e.JobDeleted("again"), 99)


def test_a_deletion_may_be_asked_for_again_meanwhile() -> None:
    job = a_job()
    job.do(c.DeleteJob(JOB, "delete-1", force=True))
    assert job.do(c.DeleteJob(JOB, "delete-1", force=True)) == []
    assert job.job.erasing
