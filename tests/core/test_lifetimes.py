"""How long a job lives: submitted under a key, over at its deadline, deleted in the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.decisions import Refusal, decide
from jobledger.core.lifecycle import JobState
from jobledger.core.submission import NewTask
from support.histories import JOB, MALFORMED, JobDriver, submission, task

# -- the deadline -----------------------------------------------------------------------------------------------------

DUE = 50
EXPIRE = c.ExpireJob(JOB)


def due(*roots: NewTask) -> JobDriver:
    job = JobDriver()
    job.submit(*roots, deadline=DUE)
    return job


def test_a_job_fails_at_its_deadline() -> None:
    job = due(task(), task())
    job.claim()
    job.now = DUE - 2
    assert job.do(EXPIRE) == []
    assert job.do(EXPIRE) == [e.DeadlineExceeded(DUE)]
    assert (job.state, job.states, job.job.failed_task, job.job.settled) == (
        JobState.FAILED,
        "RQ",
        None,
        False,
    )
    assert job.claim() == []
    assert job.do(EXPIRE) == []


def test_a_job_that_never_started_fails_at_its_deadline() -> None:
    job = due(task())
    job.now = DUE
    job.do(EXPIRE)
    assert (job.state, job.job.settled) == (JobState.FAILED, True)
    job.retry()
    assert (job.state, job.job.deadline) == (JobState.SUBMITTED, 0)


def test_a_job_without_a_deadline_has_all_the_time() -> None:
    job = JobDriver(task())
    job.now = 2**60
    assert job.do(EXPIRE) == []


@pytest.mark.parametrize("end", ["complete", "fail", "cancel"])
def test_a_job_that_is_over_does_not_fail_of_its_deadline(end: str) -> None:
    job = due(task())
    job.claim()
    ways: dict[str, Callable[[], object]] = {
        "complete": lambda: job.compute(0),
        "fail": lambda: job.fail(0),
        "cancel": job.cancel,
    }
    ways[end]()
    over = job.state
    job.now = DUE
    assert job.do(EXPIRE) == []
    assert job.state is over


def test_what_runs_at_the_deadline_may_end_or_stop() -> None:
    job = due(task(), task(), task())
    job.claim(3)
    job.now = DUE
    job.do(EXPIRE)
    job.compute(0)
    assert [type(event) for event in job.stop(1)] == [e.TaskReleased]
    assert [type(event) for event in job.fail(2)] == [e.TaskFailed]
    assert (job.state, job.states, job.job.failed_task) == (JobState.FAILED, "CQF", None)


def test_a_retry_forgets_a_deadline_that_has_passed_and_keeps_one_to_come() -> None:
    job = due(task())
    job.cancel()
    job.retry()
    assert job.job.deadline == DUE
    job.cancel("cancel-2")
    job.now = DUE
    job.retry("retry-2")
    assert job.job.deadline == 0
    job.now = 2 * DUE
    assert job.do(EXPIRE) == []


def test_a_retry_of_a_part_does_not_rescue_a_job_from_its_deadline() -> None:
    job = due(task(), task())
    job.cancel_task(0)
    job.now = DUE
    job.retry(task=0)
    assert job.job.deadline == DUE
    assert job.do(EXPIRE) == [e.DeadlineExceeded(DUE)]


def test_a_retry_may_set_another_deadline() -> None:
    job = due(task())
    job.now = DUE
    job.do(EXPIRE)
    assert job.retry(deadline=3 * DUE) == [e.JobRetried("retry-1", [], 1, "user@host", -1, 3 * DUE)]
    job.now = 3 * DUE
    assert job.do(EXPIRE) == [e.DeadlineExceeded(3 * DUE)]


def test_a_job_all_of_whose_tasks_ended_after_the_deadline_is_completed_by_a_retry() -> None:
    job = due(task())
    job.claim()
    job.now = DUE
    job.do(EXPIRE)
    job.compute(0)
    assert (job.state, job.states) == (JobState.FAILED, "C")
    assert [type(event) for event in job.retry()] == [e.JobRetried, e.JobCompleted]


# -- the deletion -----------------------------------------------------------------------------------------------------

DELETED = e.JobDeleted("delete-1", "user@host", "old")


@pytest.mark.parametrize("end", ["complete", "fail", "cancel"])
def test_a_settled_job_is_deleted(end: str) -> None:
    job = JobDriver(task())
    job.claim()
    ways: dict[str, Callable[[], object]] = {
        "complete": lambda: job.compute(0),
        "fail": lambda: job.fail(0),
        "cancel": job.cancel,
    }
    ways[end]()
    if end == "cancel":
        job.stop(0)
    assert job.delete() == [DELETED]
    assert (job.state, job.job.settled) == (JobState.DELETED, True)


@pytest.mark.parametrize("state", ["SUBMITTED", "RUNNING", "CANCELED"])
def test_a_job_that_is_not_settled_is_not_deleted(state: str) -> None:
    job = JobDriver(task())
    if state != "SUBMITTED":
        job.claim()
    if state == "CANCELED":
        job.cancel()
    with pytest.raises(Refusal, match=f"it is {state}.*with force") as refused:
        job.delete()
    assert refused.value.code == "not_deletable"
    assert ("1 of its tasks still run" in refused.value.message) == (state != "SUBMITTED")


def test_force_cancels_first() -> None:
    job = JobDriver(task(), task())
    job.claim()
    assert job.delete(force=True) == [e.JobCanceled("", "user@host", "old", 0), DELETED]
    assert (job.state, job.states, job.job.settled) == (JobState.DELETED, "RQ", True)


def test_force_deletes_a_halted_job_with_tasks_that_run() -> None:
    job = JobDriver(task(), task())
    job.claim(2)
    job.cancel_task(1)
    job.fail(0)
    assert job.delete(force=True) == [e.JobCanceled("", "user@host", "old", 0), DELETED]
    assert (job.job.claimed_by, job.job.cancel_requests) == ({}, {})


def test_deleting_twice_is_harmless_and_nothing_else_is_possible() -> None:
    job = JobDriver(task())
    job.cancel()
    job.delete()
    assert job.delete() == []
    for command in (
        c.DeleteJob(JOB, "delete-2", force=True),
        c.CancelJob(JOB, "x"),
        c.CancelTask(JOB, "x", 0),
        c.RetryJob(JOB, "x"),
        c.RetryJob(JOB, "x", task=0),
    ):
        assert job.refused(command) == "unknown_job"
    assert job.claim() == []
    assert job.do(EXPIRE) == job.submit(task()) == []


# -- the idempotency key ----------------------------------------------------------------------------------------------


def keyed(*roots: NewTask, name: str = "a job", by: str = "user@host", **options: Any) -> c.SubmitJob:
    return c.SubmitJob(JOB, name, submission(*roots), by, e.JobOptions(key="key", **options))


def test_a_submission_under_its_key_may_be_repeated() -> None:
    job = JobDriver()
    job.do(keyed(task("A"), task("B", data=b"1")))
    job.run(0, task("Child"))
    assert job.do(keyed(task("A"), task("B", data=b"1"))) == []


def test_whoever_asks_again_may_do_so_later_and_elsewhere() -> None:
    job = JobDriver()
    job.do(keyed(task("A", not_before=5, key="db", limit=1), deadline=10, trace="one"))
    later = keyed(task("A", not_before=9, key="db", limit=1), deadline=20, trace="two", by="me@elsewhere")
    assert job.do(later) == []


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (keyed(task("A"), task("B"), name="another"), "another name"),
        (keyed(task("A"), task("B"), labels={"team": "b"}), "other labels"),
        (keyed(task("A"), task("B"), continues=True), "another on_failure"),
        (keyed(task("A"), task("B"), force=True), "another force"),
        (keyed(task("A"), task("B", data=b"encrypted"), sealed="key-1"), "another encrypt"),
        (keyed(task("A"), task("B", cluster="gpu")), "another cluster"),
        (keyed(task("A"), task("B", retries=3)), "other options of its tasks"),
        (keyed(task("A"), task("B", priority=1)), "other options of its tasks"),
        (keyed(task("A"), task("C", data=b"1"), name="another"), "another name, other tasks, other inputs"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_differs_under_the_same_key_is_told(other: c.SubmitJob, what: str) -> None:
    job = JobDriver()
    job.do(keyed(task("A"), task("B")))
    with pytest.raises(Refusal, match=f"which was submitted with {what}: pass another key") as refused:
        decide(job.job, other, 5)
    assert refused.value.code == "conflict"


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(keyed(task("A"), task("C")), id="other tasks"),
        pytest.param(keyed(task("A"), task("B", data=b"1")), id="other inputs"),
        pytest.param(keyed(task("A")), id="fewer tasks"),
        pytest.param(keyed(task("A"), task("B"), task("C")), id="more tasks"),
        pytest.param(keyed(task("A"), task("B"), task("Child")), id="as many as there are by now"),
    ],
)
def test_another_submission_under_the_same_key_is_a_conflict(other: c.SubmitJob) -> None:
    job = JobDriver()
    job.do(keyed(task("A"), task("B")))
    job.run(0, task("Child"))
    assert job.refused(other) == "conflict"


def test_a_malformed_repetition_is_refused() -> None:
    job = JobDriver()
    job.do(keyed(task()))
    assert job.refused(c.SubmitJob(JOB, "a job", MALFORMED, options=e.JobOptions(key="key"))) == "invalid"


def test_the_key_of_a_deleted_job_is_not_used_again() -> None:
    job = JobDriver()
    job.do(keyed(task()))
    job.delete(force=True)
    assert job.refused(keyed(task())) == "conflict"
