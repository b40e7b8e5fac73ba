"""When a job went from one state to another: told per commit, as anybody who looked could have seen it."""

from __future__ import annotations

from random import Random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.codec import Commit
from jobledger.core.errors import DamagedLog
from jobledger.core.job import Job
from jobledger.core.lifecycle import JobState
from jobledger.projections.job_changes import JobChange, changes_of
from jobledger.projections.job_view import JobView
from support.histories import A_TASK, JOB, JobDriver, task
from support.random_history import committed, random_history


def changes(driver: JobDriver, *, at_once: bool = False) -> list[str]:
    """Return the changes as words, of a history with a commit for each decision, or one for all of them."""
    history = driver.history
    if at_once:
        history = [(history[0][0], [event for _, events in history for event in events])]
    job = Job(JOB)
    return [
        f"{change.old.name if change.old else ''}>{change.new.name}"
        for position, (at, events) in enumerate(history, 1)
        for change in changes_of(job, position, Commit(b"", b"", at, "", False, list(events)))
    ]


def test_a_job_that_fails_is_retried_and_completes() -> None:
    driver = JobDriver(task(), task())
    driver.claim()
    driver.fail(0)
    driver.retry()
    driver.drain()
    assert changes(driver) == [
        ">SUBMITTED",
        "SUBMITTED>RUNNING",
        "RUNNING>FAILED",
        "FAILED>RUNNING",
        "RUNNING>STARTED",
        "STARTED>RUNNING",
        "RUNNING>COMPLETED",
    ]


def test_what_follows_from_the_tasks_shows_once_the_commit_is_complete() -> None:
    """Between the end of the last task and the end of the job, decided together, the job was in no state of its own."""
    driver = JobDriver(task())
    driver.drain()
    assert [type(event) for event in driver.history[-1][1]] == [e.TaskComputed, e.JobCompleted]
    assert changes(driver)[-1] == "RUNNING>COMPLETED"


def test_what_was_declared_shows_even_if_it_was_written_together_with_what_undid_it() -> None:
    driver = JobDriver(task(), task())
    driver.cancel()
    driver.retry()
    driver.do(c.DeleteJob(JOB, "delete-1", force=True))
    expected = [
        ">SUBMITTED",
        "SUBMITTED>CANCELED",
        "CANCELED>SUBMITTED",
        "SUBMITTED>CANCELED",
        "CANCELED>DELETED",
    ]
    assert changes(driver) == expected
    assert changes(driver, at_once=True) == expected


def test_a_change_says_what_when_and_where() -> None:
    job_id = "01890a5d-ac96-774b-bcce-b302099a8057"
    submitted = e.JobSubmitted("a job", A_TASK)
    (change,) = changes_of(Job(job_id), 7, Commit(b"", b"", 1_500_000, "", False, [submitted]))
    assert (change.job_id, change.name, change.position) == (UUID(job_id), "a job", 7)
    assert str(change) == f"1970-01-01 00:00:01.500Z  7  job 'a job' ({job_id}): SUBMITTED"


def test_a_commit_that_cannot_follow_is_named() -> None:
    with pytest.raises(
        DamagedLog, match="position 7, in the history of job job-1: JobCompleted cannot follow"
    ):
        changes_of(Job(JOB), 7, Commit(b"", b"", 0, "", False, [e.JobCompleted()]))


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_changes_lead_to_where_the_job_stands(random: Random) -> None:
    driver = random_history(random)
    job, view = Job(JOB), JobView(JOB)
    state: JobState | None = None
    for position, version, commit in committed(driver, random):
        found: list[JobChange] = changes_of(job, position, commit)
        for change in found:
            assert change.old is state
            assert change.new is not state
            state = change.new
        view.apply(position, version, commit)
        assert state is view.state
