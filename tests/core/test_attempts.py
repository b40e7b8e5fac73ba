"""What becomes of reports about one attempt: done, repeated, stale, malformed; and how failures spread.

Letters stand for the states of the tasks in order: Queued, Running, Computed, Failed, Skipped, Abandoned, O for
FAILED_OPTIONAL, X for CANCELED.
"""

from __future__ import annotations

import msgspec
import pytest

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.decisions import MAX_EXPIRIES, MAX_LOSSES, is_suspect, together
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.core.submission import Submission
from support.histories import (
    A_LATER_CHUNK,
    ERROR,
    JOB,
    MALFORMED,
    OF_AN_ATTEMPT,
    JobDriver,
    fanned_out,
    numbers_of,
    submission,
    task,
)

# -- computed -------------------------------------------------------------------------------------------------------


def test_a_computed_task_brings_its_subtasks() -> None:
    job = JobDriver(task())
    job.claim()
    children = submission(task("Child"), task("Child", after=[0]))
    report = c.ReportComputed(JOB, 0, 1, 11, 22, children, "shown")
    assert job.do(report) == [e.TaskComputed(0, 1, 11, 22, children, "shown")]
    assert (job.state, job.states) == (JobState.STARTED, "CQQ")
    assert [*job.job.graph.children(0)] == [1, 2]
    assert not job.job.claimed_by


def test_the_last_task_completes_the_job() -> None:
    job = fanned_out(children=2)
    job.claim(2)
    assert [type(event) for event in job.compute(2)] == [e.TaskComputed]
    assert (job.state, job.states) == (JobState.RUNNING, "CRC")
    assert job.compute(1) == [e.TaskComputed(1, 1, 10, 20), e.JobCompleted()]
    assert (job.state, job.job.settled) == (JobState.COMPLETED, True)


def test_a_computed_report_may_be_repeated() -> None:
    job = fanned_out()
    assert job.compute(0) == []
    assert job.compute(0, task(), task()) == []  # whatever it says now
    assert job.states == "CQQQ"


def test_a_job_with_a_computed_task_and_none_running_is_started() -> None:
    job = JobDriver(task(), task())
    job.claim(2)
    job.compute(0)
    assert (job.state, job.states) == (JobState.RUNNING, "CR")
    job.release(1)
    assert (job.state, job.states) == (JobState.STARTED, "CQ")


@pytest.mark.parametrize("subtasks", [MALFORMED, Submission([], [], []), A_LATER_CHUNK])
def test_malformed_subtasks_are_refused_and_the_task_runs_on(subtasks: Submission) -> None:
    job = JobDriver(task())
    job.claim()
    assert job.refused(c.ReportComputed(JOB, 0, 1, 1, 2, subtasks)) == "invalid"
    assert job.refused(c.StageSubtasks(JOB, 0, 1, subtasks)) == "invalid"
    assert job.states == "R"


# -- an attempt that is over ----------------------------------------------------------------------------------------

# A report of such an attempt is either the repetition of what it said, and harmless, or refused.


@pytest.mark.parametrize("command", OF_AN_ATTEMPT)
def test_a_report_of_an_earlier_attempt_is_stale(command: str) -> None:
    job = JobDriver(task())
    job.claim()
    job.release(0)
    job.claim()
    assert job.refused(OF_AN_ATTEMPT[command](0, 1)) == "stale"


@pytest.mark.parametrize("command", OF_AN_ATTEMPT)
@pytest.mark.parametrize("attempt", [-1, 0, 1, 2, 2**40])
def test_a_report_of_an_attempt_that_never_began_is_stale(command: str, attempt: int) -> None:
    job = JobDriver(task())
    assert job.refused(OF_AN_ATTEMPT[command](0, attempt)) == "stale"


@pytest.mark.parametrize("command", OF_AN_ATTEMPT)
@pytest.mark.parametrize("number", [-1, 1, 2**40])
def test_a_report_of_a_task_that_does_not_exist_is_invalid(command: str, number: int) -> None:
    job = JobDriver(task())
    job.claim()
    assert job.refused(OF_AN_ATTEMPT[command](number, 1)) == "invalid"


#: how an attempt can end -> which reports of it are taken for a repetition
ENDS: dict[str, set[str]] = {
    "computed": {"computed", "reused"},
    "reused": {"computed", "reused"},
    "failed, to be retried": {"failed", "release", "canceled"},
    "failed": {"failed"},
    "failed, optional": {"failed", "release", "canceled"},
    "canceled": {"failed", "release", "canceled"},
    "released": {"release", "canceled"},  # of a failure the log would know nothing
    "expired": {"release", "canceled"},
}


def ended(end: str) -> JobDriver:
    """Return a job whose first task has ended its first attempt in this way."""
    job = JobDriver(task(retries=end == "failed, to be retried", optional=end == "failed, optional"), task())
    job.claim()
    if end == "canceled":
        job.cancel_task(0)
        job.stop(0)
    else:
        ways = {"computed": job.compute, "reused": job.reuse, "released": job.release, "expired": job.expire}
        ways.get(end, job.fail)(0)
    return job


@pytest.mark.parametrize("command", OF_AN_ATTEMPT)
@pytest.mark.parametrize("end", ENDS)
def test_a_report_of_an_attempt_that_has_ended_changes_nothing(end: str, command: str) -> None:
    job = ended(end)
    late = OF_AN_ATTEMPT[command](0, 1)
    if command in ENDS[end]:
        assert job.do(late) == []
    else:
        assert job.refused(late) == "stale"


@pytest.mark.parametrize("command", OF_AN_ATTEMPT)
def test_a_report_to_a_job_that_was_deleted_is_refused(command: str) -> None:
    job = JobDriver(task())
    job.claim()
    job.delete(force=True)
    assert job.refused(OF_AN_ATTEMPT[command](0, 1)) == "unknown_job"


# -- staged subtasks ------------------------------------------------------------------------------------------------


def chunk(start: int, *names: str) -> Submission:
    return msgspec.structs.replace(submission(*[task(name) for name in names]), start=start)


def test_staged_subtasks_come_into_being_with_the_report() -> None:
    job = JobDriver(task())
    job.claim()
    assert job.stage(0, chunk(0, "A", "B")) == [e.SubtasksStaged(0, 1, chunk(0, "A", "B"))]
    job.stage(0, chunk(2, "C"))
    assert job.states == "R"
    last = c.ReportComputed(JOB, 0, 1, 1, 2, chunk(3, "D"))
    assert job.do(last) == [e.TaskComputed(0, 1, 1, 2, chunk(3, "D"))]
    assert job.states == "CQQQQ"
    assert [job.job.spec_of(number).name for number in job.job.graph.children(0)] == ["A", "B", "C", "D"]
    assert not job.job.staged


def test_the_report_need_not_bring_subtasks_of_its_own() -> None:
    job = JobDriver(task())
    job.claim()
    job.stage(0, chunk(0, "A"))
    assert [type(event) for event in job.compute(0)] == [e.TaskComputed]  # and the job is not completed
    assert job.states == "CQ"
    job.drain()
    assert job.state is JobState.COMPLETED


def test_staging_may_be_repeated() -> None:
    job = JobDriver(task())
    job.claim()
    job.stage(0, chunk(0, "A", "B"))
    assert job.stage(0, chunk(0, "A", "B")) == []
    job.stage(0, chunk(2, "C"))
    assert job.stage(0, chunk(0, "A", "B")) == []
    assert job.job.staged_count(0) == 3


def test_a_gap_between_chunks_is_refused() -> None:
    job = JobDriver(task())
    job.claim()
    job.stage(0, chunk(0, "A"))
    assert job.refused(c.StageSubtasks(JOB, 0, 1, chunk(2, "C"))) == "invalid"
    assert job.refused(c.ReportComputed(JOB, 0, 1, 1, 2, chunk(2, "C"))) == "invalid"
    assert job.refused(c.ReportComputed(JOB, 0, 1, 1, 2, chunk(0, "A"))) == "invalid"


@pytest.mark.parametrize("end", ["fail", "release", "expire"])
def test_staged_subtasks_of_an_attempt_that_did_not_end_well_never_come_into_being(end: str) -> None:
    job = JobDriver(task(retries=1))
    job.claim()
    job.stage(0, chunk(0, "A", "B"))
    getattr(job, end)(0)
    assert not job.job.staged
    job.claim()
    assert job.stage(0, chunk(0, "C"))  # the next attempt begins from nothing
    job.compute(0)
    assert [spec.name for spec in job.job.specs] == ["Task", "C"]


# -- failed ---------------------------------------------------------------------------------------------------------


def test_a_failed_attempt_is_tried_again_while_a_retry_is_left() -> None:
    job = JobDriver(task(retries=2))
    job.claim()
    report = c.ReportFailed(JOB, 0, 1, 11, 22, ERROR, "shown")
    assert job.do(report) == [e.AttemptFailed(0, 1, 11, 22, ERROR, "shown")]
    assert (job.state, job.states) == (JobState.RUNNING, "Q")  # it was started, and nothing is computed
    assert job.do(report) == []
    job.claim()
    assert [type(event) for event in job.fail(0)] == [e.AttemptFailed]
    job.claim()
    assert job.fail(0) == [e.TaskFailed(0, 3, 10, 20, ERROR), e.JobFailed(0)]
    assert (job.state, job.states) == (JobState.FAILED, "F")


def test_no_retry_is_the_default() -> None:
    job = JobDriver(task())
    job.claim()
    assert job.fail(0) == [e.TaskFailed(0, 1, 10, 20, ERROR), e.JobFailed(0)]
    assert job.job.failed_task == 0


def test_a_failure_halts_the_rest_but_running_tasks_may_end() -> None:
    job = fanned_out(children=4)
    job.claim(3)
    job.fail(2)
    assert (job.state, job.states, job.job.settled) == (JobState.FAILED, "CRFRQ", False)
    assert [type(event) for event in job.compute(1, task("Grandchild"))] == [e.TaskComputed]
    assert job.fail(3) == [e.TaskFailed(3, 1, 10, 20, ERROR)]  # it has failed already
    assert (job.states, job.job.settled, job.job.failed_task) == ("CCFFQQ", True, 2)


# -- optional tasks -------------------------------------------------------------------------------------------------


def test_a_failure_inside_an_optional_subtree_skips_the_rest_of_it() -> None:
    # root{optional X{fail, dependent on fail}, other}: 3 COMPUTED, 1 FAILED_OPTIONAL, 1 SKIPPED
    job = JobDriver(task("Root"))
    job.run(0, task("X", optional=True), task("Other"))
    job.run(1, task("Fail"), task("Dependent", after=[0]))
    job.claim()
    assert job.fail(3) == [e.OptionalTaskFailed(3, 1, 10, 20, ERROR), e.TasksSkipped([4, 5], 3)]
    assert job.drain() == [2]
    assert job.state is JobState.COMPLETED
    assert job.counts == {TaskState.COMPUTED: 3, TaskState.FAILED_OPTIONAL: 1, TaskState.SKIPPED: 1}
    assert job.states == "CCCOS"


def test_an_optional_task_that_fails_skips_nothing_beyond_itself() -> None:
    # X{optional fail, dependent}: 2 COMPUTED, 1 FAILED_OPTIONAL; what waits for the failed one runs
    job = JobDriver(task("X"))
    job.run(0, task("Fail", optional=True), task("Dependent", after=[0]))
    job.claim()
    assert [type(event) for event in job.fail(1)] == [e.OptionalTaskFailed]
    assert job.drain() == [2]
    assert job.state is JobState.COMPLETED
    assert job.counts == {TaskState.COMPUTED: 2, TaskState.FAILED_OPTIONAL: 1}


def test_the_nearest_optional_task_above_is_the_boundary() -> None:
    job = JobDriver(task("Root"))
    job.run(0, task("Outer", optional=True))
    job.run(1, task("Inner", optional=True), task("Beside"))
    job.run(2, task("Fail"), task("Sibling"))
    job.claim()
    assert numbers_of(job.fail(4)[1]) == [5]
    assert job.states == "CCCQOS"
    assert job.drain() == [3]
    assert job.state is JobState.COMPLETED


def test_a_whole_subtree_is_skipped_but_not_what_runs() -> None:
    job = JobDriver(task("Root"))
    job.run(0, task("X", optional=True), task("After", after=[0]))
    job.run(1, task("A"), task("B"), task("C"))
    job.run(3, task("A1"), task("A2"))  # tasks 6 and 7
    assert job.claim(2) == [6, 7]
    assert numbers_of(job.fail(6)[1]) == [4, 5]
    assert (job.state, job.states) == (JobState.RUNNING, "CCQCSSOR")
    job.compute(7, task("A21"))  # what runs goes on, and so does what it submits
    assert job.drain() == [8, 2]  # only then is X complete
    assert job.state is JobState.COMPLETED


def test_an_optional_failure_may_complete_the_job() -> None:
    job = JobDriver(task())
    job.run(0, task("X", optional=True))
    job.run(1, task("Fail"), task("Dependent", after=[0]))
    job.claim()
    assert [type(event) for event in job.fail(2)] == [e.OptionalTaskFailed, e.TasksSkipped, e.JobCompleted]
    assert job.state is JobState.COMPLETED


def test_a_job_may_complete_with_nothing_computed() -> None:
    job = JobDriver(task(optional=True))
    job.claim()
    assert [type(event) for event in job.fail(0)] == [e.OptionalTaskFailed, e.JobCompleted]
    assert (job.state, job.states) == (JobState.COMPLETED, "O")


def test_an_optional_task_uses_up_its_retries_first() -> None:
    job = JobDriver(task())
    job.run(0, task("X", optional=True, retries=1))
    job.claim()
    assert [type(event) for event in job.fail(1)] == [e.AttemptFailed]
    job.claim()
    assert [type(event) for event in job.fail(1)] == [e.OptionalTaskFailed, e.JobCompleted]


def test_an_optional_failure_in_a_canceled_job_leaves_it_canceled() -> None:
    job = JobDriver(task())
    job.run(0, task("X", optional=True))
    job.claim()
    job.cancel()
    assert [type(event) for event in job.fail(1)] == [e.OptionalTaskFailed]
    assert (job.state, job.states) == (JobState.CANCELED, "CO")


def test_a_retry_leaves_optional_failures_alone() -> None:
    job = JobDriver(task())
    job.run(0, task("X", optional=True), task("Y"))
    job.claim(2)
    job.fail(1)
    job.fail(2)
    assert job.state is JobState.FAILED
    assert job.retry() == [e.JobRetried("retry-1", [2, 3], 1, "user@host")]
    assert job.states == "COQ"


# -- release and expire ---------------------------------------------------------------------------------------------


def test_a_task_given_back_counts_no_retry() -> None:
    job = JobDriver(task(retries=1))
    for attempt in range(1, 15):
        job.claim()
        assert job.release(0) == [e.TaskReleased(0, attempt, "shutting down")]
    job.claim()
    assert [type(event) for event in job.fail(0)] == [e.AttemptFailed]


def test_a_lost_runner_counts_no_retry() -> None:
    job = JobDriver(task(retries=1))
    job.claim(runner="runner-7")
    assert job.expire(0) == [e.LeaseExpired(0, 1, "runner-7")]
    assert job.states == "Q"
    job.claim()
    assert [type(event) for event in job.fail(0)] == [e.AttemptFailed]


def test_a_task_that_loses_its_runner_again_and_again_fails() -> None:
    assert MAX_EXPIRIES == 10
    job = JobDriver(task(retries=5))
    for attempt in range(1, 11):
        job.claim()
        assert job.expire(0, alone=True) == [e.LeaseExpired(0, attempt, "runner-1", alone=True)]
    job.claim(runner="runner-2")
    failed, job_failed = job.expire(0, alone=True)
    assert isinstance(failed, e.TaskFailed)
    assert (failed.task, failed.attempt, failed.error.reason) == (0, 11, "LeaseExpired")
    assert "lost 11 times" in failed.error.message
    assert "runner-2" in failed.error.message
    assert job_failed == e.JobFailed(0)
    job.retry()
    job.claim()
    assert [type(event) for event in job.expire(0, alone=True)] == [e.LeaseExpired]  # counted afresh


def test_a_task_is_not_to_blame_for_what_something_else_explains() -> None:
    job = JobDriver(task(), task())
    for attempt in range(1, 51):
        job.claim(2)
        assert job.expire(0) == [e.LeaseExpired(0, attempt, "runner-1")]
        assert job.expire(1, alone=attempt % 5 == 0) == [
            e.LeaseExpired(1, attempt, "runner-1", attempt % 5 == 0)
        ]
    assert job.job.lost_alone == {1: 10}
    job.claim(2)
    assert [type(event) for event in job.expire(0)] == [e.LeaseExpired]
    assert [type(event) for event in job.expire(1)] == [e.LeaseExpired]


def test_losses_have_an_end_whatever_explains_them() -> None:
    assert MAX_LOSSES == 100
    job = JobDriver(task())
    for _ in range(100):
        job.claim()
        assert [type(event) for event in job.expire(0)] == [e.LeaseExpired]
    job.claim()
    failed, _ = job.expire(0)
    assert isinstance(failed, e.TaskFailed)
    assert (
        "lost 101 times while it ran this task, 0 of them with nothing else in its hands"
        in failed.error.message
    )


def test_the_more_often_a_suspect_is_lost_the_fewer_others_are_beside_it() -> None:
    job = JobDriver(task())
    allowed = []
    for _ in range(6):
        job.claim()
        job.expire(0)
        allowed.append(together(job.job, 0) if is_suspect(job.job, 0) else None)
    assert allowed == [None, 8, 3, 1, 1, 1]


def test_a_task_is_suspected_after_the_second_loss_until_it_is_retried() -> None:
    job = JobDriver(task(), task())
    told = []
    for _ in range(3):
        job.claim(2)
        told.append(is_suspect(job.job, 0))
        job.expire(0)
        job.release(1)
    assert told == [False, False, True]
    assert not is_suspect(job.job, 1)
    job.cancel()
    job.retry()
    assert not is_suspect(job.job, 0)


def test_a_task_that_loses_its_runner_too_often_inside_an_optional_subtree_fails_there() -> None:
    job = JobDriver(task(optional=True), task())
    for _ in range(10):
        job.claim()
        job.expire(0, alone=True)
    job.claim()
    assert [type(event) for event in job.expire(0, alone=True)] == [e.OptionalTaskFailed]
    assert job.drain() == [1]
    assert job.state is JobState.COMPLETED
