"""The words of Taipy and of Fiddler for every state there is: tables that leave nothing out."""

from __future__ import annotations

from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobledger.core import commands as c
from jobledger.core.graph import HELD, READY, WAITING
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.core.policy import CONTINUE, Policy
from jobledger.core.submission import NewTask, TaskSpec
from jobledger.projections.vocabulary import (
    JobStatus,
    Status,
    SubmissionStatus,
    job_status,
    submission_status,
    task_status,
)
from support.histories import JOB, JobDriver, task
from support.random_history import ClockedDriver, committed, random_history
from support.views import view_of

GOES_ON = (JobState.SUBMITTED, JobState.RUNNING, JobState.STARTED)


def statuses(driver: JobDriver) -> list[str]:
    return [str(one.status) for one in view_of(driver).tasks]


# -- the tables -------------------------------------------------------------------------------------------------------


def test_taipy_s_words_print_and_count_as_there() -> None:
    assert str(Status.RUNNING) == "Status.RUNNING"
    assert [one.value for one in Status] == list(range(1, 10))
    assert [one.value for one in SubmissionStatus] == list(range(8))
    assert [one.name for one in Status] == (
        [
            "SUBMITTED",
            "BLOCKED",
            "PENDING",
            "RUNNING",
            "CANCELED",
            "FAILED",
            "COMPLETED",
            "SKIPPED",
            "ABANDONED",
        ]
    )


@pytest.mark.parametrize("job", JobState)
@pytest.mark.parametrize("state", TaskState)
def test_every_state_of_a_task_has_a_word(state: TaskState, job: JobState) -> None:
    for readiness, reused in product((WAITING, READY, HELD), (False, True)):
        assert task_status(state, job, readiness, reused=reused) in Status


@pytest.mark.parametrize(
    ("state", "readiness", "reused", "word"),
    [
        (TaskState.QUEUED, WAITING, False, Status.BLOCKED),
        (TaskState.QUEUED, READY, False, Status.PENDING),
        (TaskState.QUEUED, HELD, False, Status.PENDING),
        (TaskState.RUNNING, WAITING, False, Status.RUNNING),
        (TaskState.COMPUTED, WAITING, False, Status.COMPLETED),
        (TaskState.COMPUTED, WAITING, True, Status.SKIPPED),
        (TaskState.FAILED, WAITING, False, Status.FAILED),
        (TaskState.FAILED_OPTIONAL, WAITING, False, Status.FAILED),
        (TaskState.SKIPPED, WAITING, False, Status.ABANDONED),
        (TaskState.CANCELED, WAITING, False, Status.CANCELED),
        (TaskState.ABANDONED, WAITING, False, Status.ABANDONED),
    ],
)
def test_the_word_of_a_task_in_a_job_that_goes_on(
    state: TaskState, readiness: int, reused: bool, word: Status
) -> None:
    assert {task_status(state, job, readiness, reused=reused) for job in GOES_ON} == {word}


@pytest.mark.parametrize(
    ("job", "word"),
    [
        (JobState.FAILED, Status.ABANDONED),
        (JobState.CANCELED, Status.CANCELED),
        (JobState.DELETED, Status.CANCELED),
    ],
)
def test_the_word_of_a_queued_task_in_a_halted_job(job: JobState, word: Status) -> None:
    assert {task_status(TaskState.QUEUED, job, readiness) for readiness in (WAITING, READY, HELD)} == {word}


@pytest.mark.parametrize("startable", [True, False])
@pytest.mark.parametrize("state", [None, *JobState])
def test_every_state_of_a_job_has_a_word(state: JobState | None, startable: bool) -> None:
    assert submission_status(state, startable=startable) in SubmissionStatus
    assert submission_status(state, startable=startable) is not SubmissionStatus.UNDEFINED
    assert job_status(state, retrying=startable) in JobStatus


@pytest.mark.parametrize(
    ("state", "startable", "blocked", "fiddler", "retrying"),
    [
        (JobState.SUBMITTED, "PENDING", "BLOCKED", "PENDING", "RETRY"),
        (JobState.RUNNING, "RUNNING", "RUNNING", "STARTED", "RETRY"),
        (JobState.STARTED, "PENDING", "BLOCKED", "STARTED", "RETRY"),
        (JobState.COMPLETED, "COMPLETED", "COMPLETED", "SUCCESS", "SUCCESS"),
        (JobState.FAILED, "FAILED", "FAILED", "FAILURE", "FAILURE"),
        (JobState.CANCELED, "CANCELED", "CANCELED", "REVOKED", "REVOKED"),
        (JobState.DELETED, "CANCELED", "CANCELED", "REVOKED", "REVOKED"),
        (None, "SUBMITTED", "SUBMITTED", "PENDING", "RETRY"),
    ],
)
def test_the_words_of_a_job(
    state: JobState | None, startable: str, blocked: str, fiddler: str, retrying: str
) -> None:
    assert submission_status(state, startable=True).name == startable
    assert submission_status(state, startable=False).name == blocked
    assert job_status(state, retrying=False).value == fiddler
    assert job_status(state, retrying=True).value == retrying


# -- as they are read -------------------------------------------------------------------------------------------------


def test_taipy_s_first_example_of_a_cancel() -> None:
    driver = JobDriver(task("Root"))
    driver.run(0, task("double"), task("print", after=[0]))
    driver.claim()
    assert statuses(driver)[1:] == ["Status.RUNNING", "Status.BLOCKED"]
    driver.do(c.CancelTask(JOB, "cancel", 2))
    driver.compute(1)
    assert statuses(driver)[1:] == ["Status.COMPLETED", "Status.CANCELED"]


def test_taipy_s_second_example_of_a_cancel() -> None:
    driver = JobDriver(task("Root"))
    driver.run(0, task("double"), task("print", after=[0]))
    driver.claim()
    driver.do(c.CancelTask(JOB, "cancel", 1))
    assert statuses(driver)[1:] == ["Status.RUNNING", "Status.ABANDONED"]
    driver.compute(1)
    assert statuses(driver)[1:] == ["Status.COMPLETED", "Status.ABANDONED"]
    assert view_of(driver).submission_status is SubmissionStatus.CANCELED


def test_a_reused_task_is_skipped_there() -> None:
    driver = JobDriver(task("double"))
    driver.claim()
    driver.do(c.ReportReused(JOB, 0, 1, 1, 2, "another", 3))
    view = view_of(driver)
    assert (view.tasks[0].status, view.tasks[0].job_status) == (Status.SKIPPED, JobStatus.SUCCESS)
    assert (view.submission_status, view.job_status) == (SubmissionStatus.COMPLETED, JobStatus.SUCCESS)


def test_a_job_that_a_user_retried_says_so_until_a_task_starts() -> None:
    driver = JobDriver(task("One"))
    driver.claim()
    driver.fail(0)
    assert view_of(driver).job_status is JobStatus.FAILURE
    driver.retry()
    assert view_of(driver).job_status is JobStatus.RETRY
    driver.claim()
    assert view_of(driver).job_status is JobStatus.STARTED


def test_a_job_of_which_all_backs_off_says_so() -> None:
    policy = Policy(delay=10**9, on_failure=CONTINUE)
    flaky = NewTask(TaskSpec("Flaky", 1, 0, "default", 1, policy=policy), b"", frozenset())
    driver = ClockedDriver(flaky, flaky, task("Steady"))
    driver.claim(2)
    driver.fail(0)
    driver.fail(1)
    view = view_of(driver)
    assert (view.tasks[0].status, view.tasks[0].job_status) == (Status.PENDING, JobStatus.RETRY)
    assert view.job_status is JobStatus.STARTED  # the steady one could run
    driver.claim()
    assert view_of(driver, view).job_status is JobStatus.STARTED  # and runs
    driver.compute(2)
    view_of(driver, view)
    assert (view.job_status, view.submission_status) == (JobStatus.RETRY, SubmissionStatus.PENDING)


@given(st.integers(0, 2**32).map(Random))
@settings(max_examples=60, deadline=None)
def test_the_words_agree_with_the_states(random: Random) -> None:
    view = view_of(committed(random_history(random)))
    halted = view.state in (JobState.FAILED, JobState.CANCELED, JobState.DELETED)
    for one in view.tasks:
        assert (one.status is Status.RUNNING) == (one.job_status is JobStatus.STARTED)
        assert (one.status in (Status.PENDING, Status.BLOCKED)) == (
            one.state is TaskState.QUEUED and not halted
        )
        assert (one.status is Status.SKIPPED) == one.reused
    if view.submission_status is SubmissionStatus.COMPLETED:
        assert view.job_status is JobStatus.SUCCESS
        assert view.percent == 100
