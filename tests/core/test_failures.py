"""What a failure does to its job: it halts it, or the job goes on with what does not depend on the failed task.

Letters stand for the states of the tasks in order: Queued, Running, Computed, Failed, Skipped, Abandoned, O for
FAILED_OPTIONAL, X for CANCELED.
"""

from __future__ import annotations

import pytest

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.lifecycle import JobState
from jobledger.core.policy import CONTINUE, HALT
from support.histories import ERROR, JOB, JobDriver, numbers_of, task


def going_on(*roots: object) -> JobDriver:
    """Return a job in which a failure halts only what depends on it."""
    job = JobDriver()
    job.submit(*roots, continues=True)  # type: ignore[arg-type]
    return job


# -- continue ---------------------------------------------------------------------------------------------------------


def test_the_rest_of_the_job_goes_on_and_dependants_are_abandoned() -> None:
    # diamond: A fails, B and C run, D needs A and C, E needs D
    job = going_on(task("Root"))
    job.run(0, task("A"), task("B"), task("C"), task("D", after=[0, 2]), task("E", after=[3]))
    job.claim()
    assert job.fail(1) == [e.TaskFailed(1, 1, 10, 20, ERROR), e.TasksAbandoned([4, 6], 1)]
    assert (job.state, job.states) == (JobState.STARTED, "CFQQAA")
    assert job.claim(9) == [2, 3]
    job.compute(2)
    assert job.compute(3) == [e.TaskComputed(3, 1, 10, 20), e.JobFailed(1)]
    assert (job.state, job.states, job.job.failed_task) == (JobState.FAILED, "CFCCAA", 1)


def test_dependants_of_the_tasks_above_are_abandoned_too() -> None:
    job = going_on(task("Root"))
    job.run(0, task("Group"), task("Beside"), task("After the group", after=[0]))
    job.run(1, task("Fails"), task("Sibling"))
    job.claim(specs=[job.job.graph.spec[4]])
    assert job.fail(4)[1:] == [e.TasksAbandoned([3, 4], 4)]
    assert job.drain() == [5, 2]
    assert (job.state, job.states) == (JobState.FAILED, "CCCAFC")


def test_what_is_abandoned_is_abandoned_once() -> None:
    job = going_on(task("A"), task("B"), task("C", after=[0, 1]))
    job.claim(2)
    assert [type(event) for event in job.fail(1)] == [e.TaskFailed, e.TasksAbandoned]
    assert job.fail(0) == [e.TaskFailed(0, 1, 10, 20, ERROR), e.JobFailed(0)]
    assert job.states == "FFA"


def test_the_job_fails_at_once_when_nothing_else_is_left() -> None:
    job = going_on(task("A"), task("B", after=[0]))
    job.claim()
    assert [type(event) for event in job.fail(0)] == [e.TaskFailed, e.TasksAbandoned, e.JobFailed]


def test_the_job_fails_of_the_first_that_failed() -> None:
    job = going_on(task(), task(), task())
    job.claim(3)
    job.fail(2)
    job.compute(1)
    assert job.fail(0)[1:] == [e.JobFailed(0)]  # the first in order of submission
    assert job.job.failed_task == 0


def test_retries_are_used_up_first() -> None:
    job = going_on(task(retries=1), task(after=[0]))
    job.claim()
    assert [type(event) for event in job.fail(0)] == [e.AttemptFailed]
    assert job.states == "QQ"


@pytest.mark.parametrize(
    ("continues", "on_failure", "goes_on"),
    [(False, CONTINUE, True), (True, HALT, False), (False, HALT, False), (True, CONTINUE, True)],
)
def test_what_the_task_says_counts_more_than_what_the_job_says(
    continues: bool, on_failure: int, goes_on: bool
) -> None:
    job = JobDriver()
    job.submit(task(on_failure=on_failure), task("Other"), continues=continues)
    job.claim()
    job.fail(0)
    assert job.state is (JobState.RUNNING if goes_on else JobState.FAILED)
    assert job.claim() == ([1] if goes_on else [])


def test_a_task_that_halts_the_job_halts_what_went_on() -> None:
    job = going_on(task("A"), task("B", on_failure=HALT), task("C"))
    job.claim(2)
    job.fail(0)
    assert job.fail(1) == [e.TaskFailed(1, 1, 10, 20, ERROR), e.JobFailed(1)]
    assert (job.state, job.states) == (JobState.FAILED, "FFQ")


def test_in_a_halted_job_nothing_is_abandoned() -> None:
    job = JobDriver(task(on_failure=CONTINUE), task(), task(after=[0]))
    job.claim(2)
    job.fail(1)
    assert job.fail(0) == [
        e.TaskFailed(0, 1, 10, 20, ERROR)
    ]  # the retry that resumes the job resets it anyway
    assert job.states == "FFQ"


def test_a_failure_outranks_a_cancel_also_where_the_job_would_go_on() -> None:
    job = going_on(task(), task(after=[0]))
    job.claim()
    job.cancel()
    assert job.fail(0) == [e.TaskFailed(0, 1, 10, 20, ERROR), e.JobFailed(0)]
    assert (job.state, job.states) == (JobState.FAILED, "FQ")


def test_an_optional_subtree_decides_before_any_policy() -> None:
    job = going_on(task("Root"))
    job.run(0, task("X", optional=True, on_failure=HALT), task("After", after=[0]))
    job.run(1, task("Fails", on_failure=HALT), task("Needs it", after=[0]))
    job.claim()
    assert [type(event) for event in job.fail(3)] == [e.OptionalTaskFailed, e.TasksSkipped]
    assert job.drain() == [2]
    assert (job.state, job.states) == (JobState.COMPLETED, "CCCOS")


def test_an_optional_task_that_needs_what_failed_is_abandoned() -> None:
    # it is not skipped: then what depends on it would run, and a retry could not bring it back
    job = going_on(task("A"), task("X", optional=True, after=[0]), task("B", after=[1]))
    job.claim()
    assert numbers_of(job.fail(0)[1]) == [1, 2]
    assert (job.state, job.states) == (JobState.FAILED, "FAA")
    job.retry()
    assert job.drain() == [0, 1, 2]
    assert job.state is JobState.COMPLETED


def test_a_retry_of_the_job_takes_up_what_was_abandoned() -> None:
    job = going_on(task("A"), task("B", after=[0]), task("C"))
    job.claim()
    job.fail(0)
    job.drain()
    assert (job.state, job.states) == (JobState.FAILED, "FAC")
    assert job.retry() == [e.JobRetried("retry-1", [0, 2], 2, "user@host")]
    assert job.drain() == [0, 1]
    assert job.state is JobState.COMPLETED


def test_many_failures_before_one_that_needs_them_all() -> None:
    # each failure looks for what depends on it: that must not cost as much as there are tasks
    job = going_on(task("Root"))
    job.run(0, *[task() for _ in range(3000)], task("Reduce", after=range(3000)))
    job.claim(3000)
    assert numbers_of(job.fail(1)[1]) == [3001]
    for number in range(2, 3000):
        assert len(job.fail(number)) == 1
    assert [type(event) for event in job.fail(3000)] == [e.TaskFailed, e.JobFailed]


# -- delays -----------------------------------------------------------------------------------------------------------


def test_a_retry_waits_for_its_delay() -> None:
    job = JobDriver(task(retries=3, delay=100, backoff=2.0))
    job.claim()
    job.now = 1000
    assert job.fail(0) == [e.AttemptFailed(0, 1, 10, 20, ERROR, retry_at=1101)]
    assert job.job.graph.next_wake == job.job.graph.held_until(0) == 1101
    job.now = 1098
    assert job.claim() == []
    job.now = 1100
    assert job.claim() == [0]
    job.now = 2000
    assert job.fail(0) == [e.AttemptFailed(0, 2, 10, 20, ERROR, retry_at=2201)]


def test_what_a_user_retries_waits_for_no_delay() -> None:
    job = JobDriver(task(retries=1, delay=100))
    job.claim()
    job.fail(0)
    job.now += 100
    job.claim()
    job.fail(0)
    job.retry()
    assert job.claim() == [0]


def test_a_retry_of_the_job_does_not_shorten_the_delay_of_what_is_queued() -> None:
    job = JobDriver(task(retries=1, delay=100))
    job.claim()
    job.fail(0)
    job.cancel()
    job.retry()
    assert job.claim() == []
    job.now += 100
    assert job.claim() == [0]


def test_a_task_given_back_or_lost_is_tried_again_at_once() -> None:
    job = JobDriver(task(retries=1, delay=100))
    job.claim()
    job.fail(0)
    job.now += 100
    for end in (job.release, job.expire):
        assert job.claim() == [0]
        end(0)
    assert job.claim() == [0]


def test_an_error_that_no_retry_helps_against_is_final() -> None:
    job = JobDriver(task(retries=3))
    job.claim()
    assert job.do(c.ReportFailed(JOB, 0, 1, 10, 20, ERROR, final=True)) == [
        e.TaskFailed(0, 1, 10, 20, ERROR),
        e.JobFailed(0),
    ]
