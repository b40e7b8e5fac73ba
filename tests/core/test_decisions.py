"""What becomes of each command: done, repeated, refused, malformed. Then the stories that take several commands.

Letters stand for the states of the tasks in order: Queued, Running, Computed, Failed, Skipped, O for FAILED_OPTIONAL.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from support.histories import ERROR, JOB, JobDriver, numbers_of, submission, task

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.decisions import MAX_EXPIRIES, Refusal, decide
from jobledger.core.job import Job
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.core.submission import Submission, TaskSpec

A_TASK = submission(task())
MALFORMED = Submission([b"", b""], [TaskSpec("Task", 1, 0, "default")], [0, 1])
CHUNK_OF_NOTHING_BEFORE = msgspec.structs.replace(A_TASK, start=5)

#: each command that speaks of an attempt, of attempt `attempt` of task `number`
OF_AN_ATTEMPT: dict[str, Callable[[int, int], c.Command]] = {
    "stage": lambda number, attempt: c.StageSubtasks(JOB, number, attempt, A_TASK),
    "computed": lambda number, attempt: c.ReportComputed(JOB, number, attempt, 1, 2),
    "failed": lambda number, attempt: c.ReportFailed(JOB, number, attempt, 1, 2, ERROR),
    "release": lambda number, attempt: c.ReleaseTask(JOB, number, attempt, "shutting down"),
    "expire": lambda number, attempt: c.ExpireLease(JOB, number, attempt),
}


def fanned_out(children: int = 3) -> JobDriver:
    """A job whose root is computed and has some subtasks, all ready: tasks 1, 2, 3, …"""
    job = JobDriver(task("Root"))
    job.run(0, *[task("Child") for _ in range(children)])
    return job


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
        pytest.param(c.SubmitJob(JOB, "a job", CHUNK_OF_NOTHING_BEFORE), id="a later chunk"),
    ],
)
def test_a_malformed_job_is_refused(command: c.SubmitJob) -> None:
    job = JobDriver()
    assert job.refused(command) == "invalid"
    assert not job.job.state


@pytest.mark.parametrize(
    "command",
    [c.CancelJob(JOB, "x"), c.RetryJob(JOB, "x"), *(make(0, 1) for make in OF_AN_ATTEMPT.values())],
    ids=lambda command: type(command).__name__,
)
def test_there_is_nothing_to_do_to_a_job_that_was_never_submitted(command: c.Command) -> None:
    assert JobDriver().refused(command) == "unknown_job"


def test_nothing_is_claimed_of_a_job_that_was_never_submitted() -> None:
    assert JobDriver().do(c.ClaimTasks(JOB, "runner-1", [0], 10)) == []


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
    assert job.state is JobState.RUNNING
    job.compute(0)
    assert job.state is JobState.RUNNING
    job.release(1)
    assert job.state is JobState.STARTED


@pytest.mark.parametrize("subtasks", [MALFORMED, Submission([], [], []), CHUNK_OF_NOTHING_BEFORE])
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
    "computed": {"computed"},
    "failed, to be retried": {"failed", "release"},
    "failed": {"failed"},
    "failed, optional": {"failed"},
    "released": {"failed", "release"},
    "expired": {"failed", "release"},
}


@pytest.mark.parametrize("command", OF_AN_ATTEMPT)
@pytest.mark.parametrize("end", ENDS)
def test_a_report_of_an_attempt_that_has_ended_changes_nothing(end: str, command: str) -> None:
    optional = end == "failed, optional"
    job = JobDriver(task(retries=end == "failed, to be retried", optional=optional), task())
    job.claim()
    {"computed": job.compute, "released": job.release, "expired": job.expire}.get(end, job.fail)(0)
    late = OF_AN_ATTEMPT[command](0, 1)
    if command in ENDS[end]:
        assert job.do(late) == []
    else:
        assert job.refused(late) == "stale"


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
        assert job.expire(0) == [e.LeaseExpired(0, attempt, "runner-1")]
    job.claim(runner="runner-2")
    failed, job_failed = job.expire(0)
    assert isinstance(failed, e.TaskFailed)
    assert (failed.task, failed.attempt, failed.error.reason) == (0, 11, "LeaseExpired")
    assert "lost 11 times" in failed.error.message
    assert "runner-2" in failed.error.message
    assert job_failed == e.JobFailed(0)
    job.retry()
    job.claim()
    assert [type(event) for event in job.expire(0)] == [e.LeaseExpired]  # counted afresh


def test_a_task_that_loses_its_runner_too_often_inside_an_optional_subtree_fails_there() -> None:
    job = JobDriver(task(optional=True), task())
    for _ in range(10):
        job.claim()
        job.expire(0)
    job.claim()
    assert [type(event) for event in job.expire(0)] == [e.OptionalTaskFailed]
    assert job.drain() == [1]
    assert job.state is JobState.COMPLETED


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
    assert job.state is JobState.CANCELED
    assert [type(event) for event in job.fail(0)] == [e.TaskFailed, e.JobFailed]
    assert job.state is JobState.FAILED


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


@pytest.mark.parametrize("state", [JobState.SUBMITTED, JobState.RUNNING, JobState.STARTED, JobState.COMPLETED])
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
