"""A retry of a part of a job: what it resets, what it frees, what it leaves, and what it refuses.

`test_decisions.py` has the retry of a whole job. Letters stand for the states of the tasks in order: Queued, Running,
Computed, Failed, Skipped, Abandoned, O for FAILED_OPTIONAL, X for CANCELED.
"""

from __future__ import annotations

import pytest

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.decisions import Refusal
from jobledger.core.lifecycle import JobState
from support.histories import JOB, JobDriver, task


def retried(tasks: list[int], rescheduled: int, part: int) -> e.JobRetried:
    return e.JobRetried("retry-1", tasks, rescheduled, "user@host", part)


def refusal(job: JobDriver, part: int) -> str:
    with pytest.raises(Refusal) as refused:
        job.retry("retry-refused", task=part)
    assert refused.value.code == "not_retryable"
    return refused.value.message


# -- in a halted job --------------------------------------------------------------------------------------------------


def test_a_retry_of_the_one_that_failed_resumes_the_job() -> None:
    job = JobDriver(task(), task(), task(after=[0]))
    job.claim()
    job.fail(0)
    assert job.retry(task=0) == [retried([0, 1], 3, 0)]
    assert (job.state, job.states, job.job.failed_task) == (JobState.RUNNING, "QQQ", None)
    assert job.drain() == [0, 1, 2]
    assert job.state is JobState.COMPLETED


def test_what_depends_on_another_one_that_failed_is_abandoned() -> None:
    # else it would wait for ever: nobody has retried what it waits for
    job = JobDriver(task("A"), task("B"), task("After A", after=[0]), task("After B", after=[1]), task("E"))
    job.claim(2)
    job.fail(0)
    job.fail(1)
    assert job.retry(task=0) == [retried([0, 1], 3, 0), e.TasksAbandoned([3, 4], 1)]
    assert (job.state, job.states) == (JobState.RUNNING, "QFQAQ")
    assert job.drain() == [0, 2, 4]
    assert (job.state, job.states, job.job.failed_task) == (JobState.FAILED, "CFCAC", 1)
    assert job.retry("retry-2", task=1) == [e.JobRetried("retry-2", [1, 2, 3, 4], 2, "user@host", 1)]
    assert job.drain() == [1, 3]
    assert job.state is JobState.COMPLETED


def test_what_is_abandoned_is_told_by_its_causes() -> None:
    job = JobDriver(
        *[task() for _ in range(3)], task(after=[1]), task(after=[2]), task(after=[1, 2]), task(after=[4])
    )
    job.claim(3)
    for number in range(3):
        job.fail(number)
    assert job.retry(task=0)[1:] == [e.TasksAbandoned([3, 4, 5, 6], 1), e.TasksAbandoned([4, 5, 6, 7], 2)]


def test_a_failure_below_keeps_what_depends_on_the_tasks_above_from_running() -> None:
    job = JobDriver(task("Root"), task("Other"))
    job.run(0, task("Group"), task("After", after=[0]))
    job.run(2, task("Fails"))
    job.claim(2)
    job.fail(4)
    job.fail(1)
    assert job.retry(task=1) == [retried([1, 2], 1, 1), e.TasksAbandoned([3, 4], 4)]
    assert job.drain() == [1]
    assert (job.state, job.states) == (JobState.FAILED, "CCCAF")


def test_running_tasks_run_on() -> None:
    job = JobDriver(task(), task(), task())
    job.claim(2)
    job.fail(0)
    assert job.retry(task=0) == [retried([0, 1], 2, 0)]
    assert (job.state, job.states) == (JobState.RUNNING, "QRQ")


# -- in a job that goes on --------------------------------------------------------------------------------------------


def going_on() -> JobDriver:
    """Return a job in which A and B have failed; C depends on A, D on B, E on both; F is ready."""
    job = JobDriver()
    sets = ([0], [1], [0, 1])
    job.submit(task("A"), task("B"), *[task(after=after) for after in sets], task("F"), continues=True)
    job.claim(2)
    job.fail(0)
    job.fail(1)
    assert (job.state, job.states) == (JobState.RUNNING, "FFAAAQ")
    return job


def test_what_failed_is_retried_while_the_rest_goes_on() -> None:
    job = going_on()
    assert job.retry(task=0) == [retried([0, 1, 2, 3], 2, 0)]
    assert (job.state, job.states) == (JobState.RUNNING, "QFQAAQ")
    assert job.drain() == [0, 2, 5]
    assert (job.state, job.states) == (JobState.FAILED, "CFCAAC")


def test_a_retry_of_the_whole_job_takes_up_all_that_was_lost() -> None:
    job = going_on()
    job.claim()
    assert job.retry() == [retried([0, 5], 5, -1)]
    assert job.states == "QQQQQR"


def test_what_was_canceled_is_retried_with_its_subtree() -> None:
    job = JobDriver(task("Root"))
    job.run(0, task("Group"), task("Beside"), task("After", after=[0]))
    job.run(1, task("One"), task("Two"))
    job.cancel_task(1)
    assert job.states == "CCQAXX"
    assert job.retry(task=1) == [retried([3, 6], 3, 1)]
    assert job.drain() == [4, 5, 2, 3]
    assert job.state is JobState.COMPLETED


def test_a_retry_of_one_task_of_a_canceled_subtree_frees_nothing_else() -> None:
    job = JobDriver(task("Root"))
    job.run(0, task("Group"), task("After", after=[0]))
    job.run(1, task("One"), task("Two"))
    job.cancel_task(1)
    assert job.retry(task=3) == [retried([3, 4], 1, 3)]
    assert job.drain() == [3]
    assert (job.state, job.states) == (JobState.CANCELED, "CCACX")


def test_failures_are_counted_afresh_in_the_part_that_is_retried() -> None:
    job = JobDriver(task("A", retries=1), task("B", retries=1))
    job.claim(2)
    job.fail(0)
    job.expire(1)
    job.claim(2)
    job.fail(1)
    job.fail(0)
    assert (job.job.failures, job.job.expiries) == ({0: 1, 1: 1}, {1: 1})
    job.retry(task=0)
    assert (job.job.failures, job.job.expiries) == ({1: 1}, {1: 1})


# -- what is still running --------------------------------------------------------------------------------------------


def test_a_retry_takes_back_a_cancel_that_has_not_come_to_an_end() -> None:
    job = JobDriver(task(), task(after=[0]))
    job.claim()
    job.cancel_task(0)
    assert job.retry(task=0) == [retried([1, 2], 1, 0)]
    assert (job.states, job.job.cancel_requests) == ("RQ", {})
    assert job.stop(0) == [e.TaskReleased(0, 1, "it stopped because it was asked to")]  # it had been told
    assert job.drain() == [0, 1]
    assert job.state is JobState.COMPLETED


def test_a_retry_of_the_whole_job_takes_back_every_cancel() -> None:
    # else what was abandoned, and is queued again, would wait for ever for a task that is canceled in the end
    job = JobDriver(task(), task(), task(after=[0, 1]))
    job.claim(2)
    job.cancel_task(0)
    job.cancel_task(1, "cancel-2")
    assert job.retry() == [retried([2, 3], 1, -1)]
    job.stop(0)
    job.compute(1)
    assert job.drain() == [0, 2]
    assert job.state is JobState.COMPLETED


def test_a_cancel_of_which_nothing_is_left_but_a_request_is_taken_back() -> None:
    for part in (-1, 0):
        job = JobDriver(task())
        job.claim()
        job.cancel_task(0)
        assert job.retry(task=part) == [retried([], 0, part)]
        assert job.job.cancel_requests == {}


def test_what_depends_on_another_one_that_is_asked_to_stop_stays_abandoned() -> None:
    job = JobDriver()
    job.submit(task("A"), task("B"), task("Both", after=[0, 1]), continues=True)
    job.claim(2)
    job.fail(0)
    job.cancel_task(1)
    assert job.retry(task=0) == [retried([0, 1], 1, 0)]
    assert job.states == "QRA"
    job.stop(1)
    assert job.drain() == [0]
    assert (job.state, job.states) == (JobState.CANCELED, "CXA")


def test_a_task_that_is_asked_to_stop_in_an_optional_subtree_holds_up_nobody() -> None:
    job = JobDriver()
    job.submit(task("A"), task("X", optional=True), task("After X", after=[1]), continues=True)
    job.claim(2)
    job.fail(0)
    job.cancel_task(1)
    assert job.retry(task=0) == [retried([0, 1], 1, 0)]
    job.stop(1)
    assert job.drain() == [0, 2]
    assert (job.state, job.states) == (JobState.COMPLETED, "COC")


# -- what was canceled, and is complete for all that ------------------------------------------------------------------


def test_what_a_cancel_of_a_complete_task_abandoned_is_freed_with_that_task() -> None:
    job = JobDriver(task("A"), task("B"), task("Both", after=[0, 1]))
    job.run(0)
    job.cancel_task(0)
    job.claim()
    job.cancel_task(1, "cancel-2")
    job.stop(1)
    assert (job.state, job.states, job.job.unwanted) == (JobState.CANCELED, "CXA", {0, 1})
    assert job.retry(task=1) == [retried([1, 2], 1, 1)]  # Both waits for the cancel of A to be taken back
    assert job.drain() == [1]
    assert (job.state, job.states) == (JobState.CANCELED, "CCA")
    assert job.retry("retry-2", task=0) == [e.JobRetried("retry-2", [2, 3], 1, "user@host", 0)]
    assert job.drain() == [2]
    assert job.state is JobState.COMPLETED


def test_a_cancel_of_a_task_that_computed_all_the_same_is_taken_back() -> None:
    job = JobDriver(task("A"), task("B"))
    job.claim()
    job.cancel_task(0)
    job.compute(0)
    assert job.job.unwanted == {0}
    assert job.retry(task=0) == [retried([], 0, 0)]
    assert job.job.unwanted == set()
    assert "nothing to retry" in refusal(job, 0)


def test_where_that_leaves_nothing_to_run_it_is_refused() -> None:
    job = JobDriver(task("A"), task("B"))
    job.claim(2)
    job.cancel_task(0)
    job.compute(0)
    job.fail(1)
    assert (job.state, job.states) == (JobState.FAILED, "CF")
    assert "nothing to retry" in refusal(job, 0)


def test_what_depends_on_one_that_was_asked_to_stop_in_a_halted_job_is_abandoned_by_a_retry_of_another() -> (
    None
):
    job = JobDriver(task("A"), task("B"), task("After B", after=[1]))
    job.claim(2)
    job.fail(0)
    job.cancel_task(1)
    assert job.states == "FRQ"
    assert job.retry(task=0) == [retried([0, 1], 1, 0), e.TasksAbandoned([2, 3], 1)]
    job.compute(1)
    assert job.drain() == [0]
    assert (job.state, job.states) == (JobState.CANCELED, "CCA")


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["fail", "cancel"])
def test_a_task_that_depends_on_a_lost_one_is_not_retried_alone(end: str) -> None:
    job = JobDriver()
    job.submit(task("A"), task("B", after=[0]), task("C", after=[1]), continues=True)
    job.claim()
    if end == "cancel":
        job.cancel_task(1, "cancel-B")
        job.cancel_task(0)
        job.stop(0)
        assert job.states == "XXA"
    else:
        job.fail(0)
        assert job.states == "FAA"
    assert "task 1 of job job-1 depends on task 0" in refusal(job, 1)
    assert "depends on task" in refusal(job, 2)
    job.retry(task=0)
    assert job.states[0] == "Q"


def test_a_task_canceled_before_it_could_begin_waits_for_what_it_depends_on() -> None:
    job = JobDriver()
    job.submit(task("A"), task("B", after=[0]), continues=True)
    job.cancel_task(1)
    job.claim()
    job.fail(0)
    assert job.states == "FX"
    assert "retry that one first, or the whole job" in refusal(job, 1)
    job.retry(task=0)
    job.drain()
    assert (job.state, job.states) == (JobState.CANCELED, "CX")
    job.retry("retry-2", task=1)
    assert job.drain() == [1]
    assert job.state is JobState.COMPLETED


def test_a_task_canceled_while_it_ran_is_retried_alone() -> None:
    job = JobDriver(task("A"), task("B", after=[0]))
    job.run(0)
    job.claim()
    job.cancel_task(1)
    job.cancel_task(0, "cancel-2")
    job.stop(1)
    assert job.retry(task=1) == [retried([1, 2], 1, 1)]
    assert job.drain() == [1]


@pytest.mark.parametrize("state", ["QUEUED", "RUNNING", "COMPUTED", "SKIPPED", "FAILED_OPTIONAL"])
def test_where_nothing_was_lost_there_is_nothing_to_retry(state: str) -> None:
    job = JobDriver(task("Root"), task("Other"))
    if state != "QUEUED":
        job.claim()
    if state in ("COMPUTED", "SKIPPED", "FAILED_OPTIONAL"):
        job.compute(0, task("X", optional=True), task("Y", optional=True))
    if state == "FAILED_OPTIONAL":
        job.claim()
        job.fail(2)
    if state == "SKIPPED":
        job.cancel_task(2)
    part = 2 if state in ("SKIPPED", "FAILED_OPTIONAL") else 0
    assert job.job.state_of(part).name == state
    assert f"task {part} of job job-1 is {state}" in refusal(job, part)


def test_a_part_of_a_completed_job_is_not_retried() -> None:
    job = JobDriver(task())
    job.claim()
    job.cancel_task(0)  # though it was canceled
    job.compute(0)
    assert job.state is JobState.COMPLETED
    assert "submit it again to run it anew" in refusal(job, 0)


def test_a_task_that_does_not_exist_is_not_retried() -> None:
    assert JobDriver(task()).refused(c.RetryJob(JOB, "retry-1", task=1)) == "unknown_task"


def test_a_retry_of_a_part_may_be_repeated() -> None:
    job = JobDriver(task())
    job.claim()
    job.fail(0)
    job.retry(task=0)
    assert job.retry(task=0) == []
    job.claim()
    job.fail(0)
    assert job.retry(task=0) == []
    assert job.job.commands == {"retry-1": 1}
