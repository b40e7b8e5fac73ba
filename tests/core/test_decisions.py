"""What becomes of the commands about a job: done, repeated, refused, malformed. `test_attempts.py` has those about one task.

Letters stand for the states of the tasks in order: Queued, Running, Computed, Failed, Skipped, Abandoned, O for
FAILED_OPTIONAL, X for CANCELED.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.decisions import Refusal, decide
from jobledger.core.job import Job
from jobledger.core.lifecycle import JobState
from jobledger.core.submission import Submission
from support.histories import (
    A_LATER_CHUNK,
    A_TASK,
    JOB,
    MALFORMED,
    OF_AN_ATTEMPT,
    JobDriver,
    fanned_out,
    submission,
    task,
)

# -- submit ---------------------------------------------------------------------------------------------------------


def test_submitting_creates_the_job() -> None:
    job = JobDriver()
    assert job.submit(task("A"), task("B")) == [
        e.JobSubmitted("a job", submission(task("A"), task("B")), "user@host")
    ]
    assert (job.state, job.states) == (JobState.SUBMITTED, "QQ")
    assert (job.job.name, job.job.by, job.job.submitted_at) == ("a job", "user@host", job.now)


def test_submitting_twice_makes_one_job() -> None:
    job = JobDriver(task())
    assert job.submit(task()) == []
    assert job.states == "Q"


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(c.SubmitJob(JOB, "", A_TASK), id="no name"),
        pytest.param(c.SubmitJob(JOB, "a job", Submission([], [], [])), id="no task"),
        pytest.param(c.SubmitJob(JOB, "a job", MALFORMED), id="columns that disagree"),
        pytest.param(c.SubmitJob(JOB, "a job", A_LATER_CHUNK), id="a later chunk"),
    ],
)
def test_a_malformed_job_is_refused(command: c.SubmitJob) -> None:
    job = JobDriver()
    assert job.refused(command) == "invalid"
    assert not job.job.state


@pytest.mark.parametrize(
    "command",
    [
        c.CancelJob(JOB, "x"),
        c.CancelTask(JOB, "x", 0),
        c.RetryJob(JOB, "x"),
        c.RetryJob(JOB, "x", task=0),
        c.DeleteJob(JOB, "x"),
        *(make(0, 1) for make in OF_AN_ATTEMPT.values()),
    ],
    ids=lambda command: type(command).__name__,
)
def test_there_is_nothing_to_do_to_a_job_that_was_never_submitted(command: c.Command) -> None:
    assert JobDriver().refused(command) == "unknown_job"


def test_nothing_is_claimed_of_a_job_that_was_never_submitted() -> None:
    assert JobDriver().do(c.ClaimTasks(JOB, "runner-1", [0], 10)) == []
    assert JobDriver().do(c.ExpireJob(JOB)) == []


# -- claim ----------------------------------------------------------------------------------------------------------


def test_claiming_starts_the_first_attempt() -> None:
    job = JobDriver(task(), task(), task())
    assert job.do(c.ClaimTasks(JOB, "runner-1", [0], 2)) == [e.TasksClaimed("runner-1", 1, [0, 2])]
    assert (job.state, job.states) == (JobState.RUNNING, "RRQ")
    assert job.job.claimed_by == {0: "runner-1", 1: "runner-1"}


def test_a_claimed_task_is_not_claimed_again() -> None:
    job = JobDriver(task(), task())
    assert job.claim(5) == [0, 1]
    assert job.claim(5) == []


def test_no_more_is_claimed_than_asked_for() -> None:
    job = fanned_out(children=5)
    assert job.claim(0) == []
    assert job.claim(-1) == []
    assert job.claim(2) == [1, 2]
    assert job.claim(100) == [3, 4, 5]


def test_only_kinds_the_runner_can_run_are_claimed() -> None:
    job = JobDriver(task("A"), task("B"), task("A", cluster="gpu"), task("B", retries=1), task("A"))
    assert [spec.name + spec.cluster[:1] for spec in job.job.specs] == ["Ad", "Bd", "Ag", "Bd"]
    assert job.claim(9, specs=[]) == []
    assert job.claim(9, specs=[7, -1]) == []  # kinds this job has not
    assert job.claim(9, specs=[0, 0]) == [0, 4]
    assert job.claim(1, specs=[3, 1]) == [1]
    assert job.claim(9, specs=[3, 2]) == [2, 3]


def test_claims_are_grouped_by_attempt() -> None:
    job = JobDriver(*[task() for _ in range(6)])
    job.claim(4)
    for number in (1, 3):
        job.release(number)
    job.claim(1)
    job.release(1)
    assert job.do(c.ClaimTasks(JOB, "runner-2", [0], 9)) == [
        e.TasksClaimed("runner-2", 1, [4, 6]),
        e.TasksClaimed("runner-2", 2, [3, 4]),
        e.TasksClaimed("runner-2", 3, [1, 2]),
    ]


def test_a_task_given_back_twice_is_handed_out_once() -> None:
    # Both hints at task 1 are in the heap when it is claimed again; neither may hand it out a third time.
    job = JobDriver(*[task() for _ in range(4)])
    job.claim(2)
    job.release(1)
    job.release(0)
    assert job.claim(2) == [0, 1]
    assert job.claim(9) == [2, 3]
    assert job.claim(9) == []


@pytest.mark.parametrize("halt", ["cancel", "fail", "complete"])
def test_nothing_is_claimed_of_a_halted_job(halt: str) -> None:
    job = JobDriver(task(), task())
    job.claim()
    if halt == "cancel":
        job.cancel()
    elif halt == "fail":
        job.fail(0)
    else:
        job.compute(0)
        job.drain()
    assert job.claim(9) == []


def test_what_was_begun_is_ended_before_more_is_begun() -> None:
    job = JobDriver(task("A"), task("B"))
    job.run(0, task("A1"), task("A2"))
    job.run(2, task("A11"))
    assert job.drain() == [4, 3, 1]  # A11 is deepest, then A2, then B


def test_siblings_run_in_the_order_they_were_submitted_whatever_their_kind() -> None:
    job = JobDriver(task("Root"))
    job.run(0, *[task("AB"[number % 2]) for number in range(7)])
    assert job.claim(3) == [1, 2, 3]
    assert job.drain() == [4, 5, 6, 7]


def test_a_task_given_back_is_claimed_in_its_old_place() -> None:
    job = JobDriver(*[task() for _ in range(5)])
    job.claim(3)
    job.release(1)
    assert job.drain() == [1, 3, 4]


# -- cancel ---------------------------------------------------------------------------------------------------------


def test_cancelling_halts_what_is_queued() -> None:
    job = JobDriver(task())
    assert job.cancel() == [e.JobCanceled("cancel-1", "user@host", "enough")]
    assert (job.state, job.states, job.job.settled) == (JobState.CANCELED, "Q", True)


def test_cancelling_twice_is_harmless() -> None:
    job = JobDriver(task())
    job.cancel()
    assert job.cancel() == []
    assert job.cancel("cancel-2") == []


def test_a_late_repetition_of_a_cancel_does_not_cancel_the_retried_job() -> None:
    job = JobDriver(task())
    job.cancel("cancel-1")
    job.retry()
    assert job.cancel("cancel-1") == []
    assert job.state is JobState.SUBMITTED
    assert job.cancel("cancel-2")


@pytest.mark.parametrize("end", [JobDriver.compute, JobDriver.fail])
def test_cancelling_a_job_that_is_over_does_nothing(end: Callable[[JobDriver, int], list[e.Event]]) -> None:
    job = JobDriver(task())
    job.claim()
    end(job, 0)
    over = job.state
    assert job.cancel() == []
    assert job.state is over


def test_running_tasks_end_in_a_canceled_job_and_their_subtasks_are_kept() -> None:
    job = JobDriver(task(), task())
    job.claim()
    job.cancel()
    assert not job.job.settled
    assert [type(event) for event in job.compute(0, task("Child"))] == [e.TaskComputed]
    assert (job.state, job.states, job.job.settled) == (JobState.CANCELED, "CQQ", True)
    assert job.claim(9) == []


def test_a_failure_outranks_a_cancel() -> None:
    job = JobDriver(task(), task(retries=1))
    job.claim(2)
    job.cancel()
    assert [type(event) for event in job.fail(1)] == [e.AttemptFailed]
    assert (job.state, job.states) == (JobState.CANCELED, "RQ")
    assert [type(event) for event in job.fail(0)] == [e.TaskFailed, e.JobFailed]
    assert (job.state, job.states) == (JobState.FAILED, "FQ")


# -- retry ----------------------------------------------------------------------------------------------------------


def test_a_retry_runs_what_failed_and_what_was_never_reached() -> None:
    job = fanned_out(children=4)
    job.claim(3)
    job.compute(1)
    job.fail(2)
    job.fail(3)
    assert job.states == "CCFFQ"
    assert job.retry() == [e.JobRetried("retry-1", [2, 4], 3, "user@host")]
    assert (job.state, job.states, job.job.failed_task) == (JobState.STARTED, "CCQQQ", None)
    assert job.job.commands == {"retry-1": 3}
    assert job.drain() == [2, 3, 4]
    assert job.state is JobState.COMPLETED


def test_a_retry_may_be_repeated() -> None:
    job = JobDriver(task())
    job.claim()
    job.fail(0)
    job.retry()
    assert job.retry() == []  # while it runs
    job.drain()
    assert job.retry() == []  # and when it is over
    assert job.refused(c.RetryJob(JOB, "retry-2")) == "not_retryable"


def test_a_retry_counts_failures_afresh() -> None:
    job = JobDriver(task(retries=1))
    for number in range(2):
        job.claim()
        assert [type(event) for event in job.fail(0)] == [e.AttemptFailed]
        job.claim()
        assert [type(event) for event in job.fail(0)] == [e.TaskFailed, e.JobFailed]
        job.retry(f"retry-{number}")
    assert job.job.attempt[0] == 4


def test_a_retried_job_with_nothing_computed_counts_as_running() -> None:
    job = JobDriver(task())
    job.claim()
    job.fail(0)
    job.retry()
    assert (job.state, job.states) == (JobState.RUNNING, "Q")


def test_a_canceled_job_that_never_started_is_as_new_after_a_retry() -> None:
    job = JobDriver(task(), task())
    job.cancel()
    assert job.retry() == [e.JobRetried("retry-1", [], 2, "user@host")]
    assert job.state is JobState.SUBMITTED
    assert job.drain() == [0, 1]


def test_retrying_a_canceled_job_with_nothing_left_to_do_completes_it() -> None:
    job = JobDriver(task())
    job.claim()
    job.cancel()
    job.compute(0)
    assert (job.state, job.states) == (JobState.CANCELED, "C")
    assert job.retry() == [e.JobRetried("retry-1", [], 0, "user@host"), e.JobCompleted()]
    assert job.state is JobState.COMPLETED


def test_a_job_can_be_retried_while_some_of_its_tasks_still_run() -> None:
    job = fanned_out(children=3)
    job.claim(2)
    job.fail(1)
    assert job.retry() == [e.JobRetried("retry-1", [1, 2], 2, "user@host")]
    assert (job.state, job.states) == (JobState.RUNNING, "CQRQ")
    job.compute(2)
    assert job.drain() == [1, 3]
    assert job.state is JobState.COMPLETED


def test_the_report_of_a_failure_that_was_retried_meanwhile_is_a_repetition() -> None:
    job = JobDriver(task())
    job.claim()
    job.fail(0)
    job.retry()
    assert job.fail(0) == []
    job.claim()
    assert job.refused(OF_AN_ATTEMPT["failed"](0, 1)) == "stale"


@pytest.mark.parametrize(
    "state", [JobState.SUBMITTED, JobState.RUNNING, JobState.STARTED, JobState.COMPLETED]
)
def test_only_a_failed_or_canceled_job_is_retried(state: JobState) -> None:
    job = JobDriver(task(), task())
    if state is not JobState.SUBMITTED:
        job.claim()
    if state in (JobState.STARTED, JobState.COMPLETED):
        job.compute(0)
    if state is JobState.COMPLETED:
        job.drain()
    assert job.state is state
    with pytest.raises(Refusal) as refused:
        job.retry()
    assert refused.value.code == "not_retryable"
    assert state.name in refused.value.message
    assert ("submit it again" if state is JobState.COMPLETED else "cancel it first") in str(refused.value)


# -- all of them ----------------------------------------------------------------------------------------------------


def test_deciding_changes_nothing() -> None:
    job = fanned_out()
    command = c.ClaimTasks(JOB, "runner-1", [0, 1], 2)
    assert decide(job.job, command, 1) == decide(job.job, command, 1) != []
    assert job.states == "CQQQ"


def test_jobs_are_independent() -> None:
    one, other = Job("one"), Job("other")
    assert one.graph is not other.graph
    assert one.counts is not other.counts
