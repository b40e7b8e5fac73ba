"""What a cancel of a task does: to its subtree, to what runs there, to what depends on it, and to the job.

Letters stand for the states of the tasks in order: Queued, Running, Computed, Failed, Skipped, Abandoned, O for
FAILED_OPTIONAL, X for CANCELED.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.lifecycle import JobState
from support.histories import A_TASK, A_VALUE, ERROR, JOB, JobDriver, numbers_of, submission, task

BY = ("cancel-1", "user@host", "enough", -1)


def kinds(events: list[e.Event]) -> list[type]:
    return [type(event) for event in events]


def family() -> JobDriver:
    """Return a job with a root (0), a group (1), a task beside it (2), one after the group (3), its children (4, 5, 6)."""
    job = JobDriver(task("Root"))
    job.run(0, task("Group"), task("Beside"), task("After", after=[0]))
    job.run(1, task("One"), task("Two"), task("Three", after=[1]))
    return job


# -- what is queued ---------------------------------------------------------------------------------------------------


def test_a_queued_task_is_canceled_and_what_depends_on_it_abandoned() -> None:
    # Taipy's first example: print_task depends on double_task
    job = JobDriver(task("A"), task("B", after=[0]), task("C", after=[1]), task("D"))
    assert job.cancel_task(1) == [
        e.CancelRequested(1, [], *BY, affected=2),
        e.TasksCanceled([1, 2], 1),
        e.TasksAbandoned([2, 3], 1),
    ]
    assert (job.state, job.states) == (JobState.SUBMITTED, "QXAQ")
    assert job.job.commands == {"cancel-1": 2}
    assert job.drain() == [0, 3]
    assert (job.state, job.states) == (JobState.CANCELED, "CXAC")


def test_a_whole_subtree_is_canceled() -> None:
    job = family()
    job.run(4, task("Grandchild"))
    assert job.states == "CCQQCQQQ"
    assert job.cancel_task(1) == [
        e.CancelRequested(1, [], *BY, affected=4),
        e.TasksCanceled([5, 8], 1),
        e.TasksAbandoned([3, 4], 1),
    ]
    assert job.drain() == [2]
    assert (job.state, job.states) == (JobState.CANCELED, "CCCACXXX")


def test_the_last_task_that_is_canceled_ends_the_job() -> None:
    job = JobDriver(task(), task(after=[0]))
    assert kinds(job.cancel_task(0)) == [e.CancelRequested, e.TasksCanceled, e.TasksAbandoned, e.JobCanceled]
    assert (job.state, job.job.settled, job.states) == (JobState.CANCELED, True, "XA")
    assert job.job.cancel == e.JobCanceled("", "user@host", "enough")


def test_a_held_task_is_canceled() -> None:
    job = JobDriver(task(not_before=100), task())
    job.cancel_task(0)
    job.now = 200
    assert job.claim(9) == [1]


# -- what runs --------------------------------------------------------------------------------------------------------


def test_a_running_task_is_asked_to_stop_and_its_dependants_are_abandoned_at_once() -> None:
    # Taipy's second example: double_task runs on, print_task never will
    job = JobDriver(task("Double"), task("Print", after=[0]))
    job.claim()
    assert job.cancel_task(0) == [
        e.CancelRequested(0, [0, 1], *BY, affected=2),
        e.TasksAbandoned([1, 2], 0),
    ]
    assert (job.state, job.states) == (JobState.RUNNING, "RA")
    assert kinds(job.compute(0)) == [e.TaskComputed, e.JobCanceled]
    assert (job.state, job.states) == (JobState.CANCELED, "CA")


def test_what_runs_below_a_canceled_task_is_asked_to_stop() -> None:
    job = family()
    job.claim(2)  # One and Two
    request, canceled, abandoned = job.cancel_task(1)
    assert request == e.CancelRequested(1, [4, 6], *BY, affected=4)
    assert (canceled, abandoned) == (e.TasksCanceled([6, 7], 1), e.TasksAbandoned([3, 4], 1))
    assert job.job.cancel_requests == {4: request, 5: request}
    assert job.stop(4) == [e.TaskCanceled(4, 1, 10, 20)]
    assert kinds(job.compute(5)) == [e.TaskComputed]
    assert job.drain() == [2]
    assert (job.state, job.states) == (JobState.CANCELED, "CCCAXCX")


@pytest.mark.parametrize(
    "end", [JobDriver.stop, JobDriver.fail, JobDriver.release, JobDriver.expire], ids=lambda end: end.__name__
)
def test_a_task_that_was_asked_to_stop_is_canceled_however_it_ends(
    end: Callable[[JobDriver, int], list[e.Event]],
) -> None:
    job = JobDriver(task(retries=3), task())
    job.claim()
    job.stage(0, A_TASK)
    job.cancel_task(0)
    (canceled,) = end(job, 0)
    assert isinstance(canceled, e.TaskCanceled)
    assert canceled.error == (ERROR if end is JobDriver.fail else None)
    times = (canceled.started, canceled.stopped)
    assert times == ((10, 20) if end in (JobDriver.stop, JobDriver.fail) else (job.now, job.now))
    assert (job.job.staged, job.job.cancel_requests) == ({}, {})
    assert end not in (JobDriver.stop, JobDriver.fail, JobDriver.release) or end(job, 0) == []
    assert job.drain() == [1]
    assert (job.state, job.states) == (JobState.CANCELED, "XC")


def test_the_end_of_the_last_one_that_was_asked_to_stop_ends_the_job() -> None:
    job = JobDriver(task())
    job.claim()
    assert kinds(job.cancel_task(0)) == [e.CancelRequested]
    assert not job.job.settled
    assert job.stop(0) == [e.TaskCanceled(0, 1, 10, 20), e.JobCanceled("", "user@host", "enough")]
    assert (job.state, job.job.settled) == (JobState.CANCELED, True)


def test_a_task_that_computes_all_the_same_completes_its_job() -> None:
    job = JobDriver(task())
    job.claim()
    job.cancel_task(0)
    assert kinds(job.compute(0)) == [e.TaskComputed, e.JobCompleted]


def test_an_earlier_success_counts_like_one_of_its_own() -> None:
    job = JobDriver(task())
    job.claim()
    job.cancel_task(0)
    assert kinds(job.reuse(0)) == [e.TaskReused, e.JobCompleted]


@pytest.mark.parametrize(("staged", "reported"), [(0, 2), (1, 0), (1, 2)])
def test_the_subtasks_of_one_that_was_asked_to_stop_never_run(staged: int, reported: int) -> None:
    job = JobDriver(task(), task("Other"), task("After", after=[0]))
    job.claim()
    for _ in range(staged):
        job.stage(0, A_TASK)
    job.cancel_task(0)
    last = msgspec.structs.replace(submission(*[task()] * reported), start=staged) if reported else None
    report = c.ReportComputed(JOB, 0, 1, 10, 20, last)
    assert job.do(report)[1:] == [e.TasksCanceled([3, 3 + staged + reported], 0)]
    assert job.states == "CQA" + "X" * (staged + reported)
    assert job.drain() == [1]
    assert job.state is JobState.CANCELED


def test_subtasks_that_never_run_may_be_all_that_was_left() -> None:
    job = JobDriver(task())
    job.claim()
    job.cancel_task(0)
    assert kinds(job.compute(0, task())) == [e.TaskComputed, e.TasksCanceled, e.JobCanceled]


# -- what is over -----------------------------------------------------------------------------------------------------


def test_what_still_waits_for_a_complete_task_is_abandoned() -> None:
    job = JobDriver(task("A"), task("B"), task("Both", after=[0, 1]), task("Ready", after=[0]))
    job.run(0)
    assert job.cancel_task(0) == [e.CancelRequested(0, [], *BY, affected=1), e.TasksAbandoned([2, 3], 0)]
    assert job.drain() == [1, 3]  # what was ready runs
    assert (job.state, job.states) == (JobState.CANCELED, "CCAC")


def test_what_waits_for_a_task_above_it_depends_on_it_too() -> None:
    job = family()
    job.run(4)
    assert job.cancel_task(4) == [e.CancelRequested(4, [], *BY, affected=1), e.TasksAbandoned([3, 4], 4)]


@pytest.mark.parametrize("end", ["fail", "cancel", "abandon", "skip", "compute"])
def test_there_is_nothing_to_cancel_of_a_task_that_is_over(end: str) -> None:
    job = JobDriver()
    job.submit(task("A", optional=end == "skip"), task("B"), task("C", after=[0]), continues=True)
    job.claim()
    number = 2 if end == "abandon" else 0
    if end == "compute":
        job.compute(0)
    elif end in ("cancel", "abandon"):
        job.cancel_task(0)
        job.stop(0)
    else:
        job.fail(0)
    before = job.states
    assert job.cancel_task(number, "cancel-2") == []
    assert job.states == before


@pytest.mark.parametrize("halt", ["fail", "cancel", "expire"])
def test_in_a_halted_job_only_what_runs_is_told(halt: str) -> None:
    job = JobDriver()
    job.submit(task("A"), task("B"), task("C"), task("After B", after=[1]), deadline=50)
    job.claim(2)
    job.now = 50
    ways: dict[str, Callable[[], object]] = {
        "fail": lambda: job.fail(0),
        "cancel": job.cancel,
        "expire": lambda: job.do(c.ExpireJob(JOB)),
    }
    ways[halt]()
    over, before = job.state, job.states
    assert job.cancel_task(2, "two") == job.cancel_task(3, "three") == []
    assert job.cancel_task(1, "one") == [e.CancelRequested(1, [1, 2], "one", *BY[1:], affected=1)]
    assert job.states == before
    assert kinds(job.stop(1)) == [e.TaskCanceled]
    assert (job.state, job.states[1:]) == (over, "XQQ")  # a retry takes it all up
    job.retry()
    assert job.states[1:] == "QQQ"


def test_nothing_is_canceled_of_a_completed_job() -> None:
    job = JobDriver(task())
    job.drain()
    assert job.cancel_task(0) == job.cancel() == []


def test_a_task_that_does_not_exist_is_not_canceled() -> None:
    job = JobDriver(task())
    assert job.refused(c.CancelTask(JOB, "cancel-1", 1)) == "unknown_task"
    assert job.refused(c.CancelTask(JOB, "cancel-1", -1)) == "unknown_task"


# -- repeated ---------------------------------------------------------------------------------------------------------


def test_canceling_twice_is_harmless() -> None:
    job = JobDriver(task(), task(), task(after=[0]))
    job.claim()
    job.cancel_task(0)
    assert job.cancel_task(0) == job.cancel_task(0, "cancel-2") == []
    job.retry()
    assert job.cancel_task(0) == []  # a late repetition
    assert kinds(job.cancel_task(0, "cancel-3")) == [e.CancelRequested, e.TasksAbandoned]


def test_a_second_cancel_takes_what_the_first_has_left() -> None:
    job = family()
    job.claim(2)
    job.cancel_task(4)
    assert job.cancel_task(1, "cancel-2")[0] == e.CancelRequested(
        1, [5, 6], "cancel-2", "user@host", "enough", -1, affected=2
    )
    assert job.states == "CCQARRX"
    assert job.job.cancel_requests[4].command_id == "cancel-1"


def test_a_second_cancel_may_stop_what_the_first_only_asked_to() -> None:
    job = JobDriver(task(), task())
    job.claim()
    job.cancel_task(0)
    for number, grace, is_news in [(2, 9, True), (3, -1, False), (4, 9, False), (5, 0, True), (6, 9, False)]:
        events = job.cancel_task(0, f"cancel-{number}", grace=grace)
        assert kinds(events) == [e.CancelRequested] * is_news
        assert job.job.commands.get(f"cancel-{number}", 0) == is_news
    assert job.job.cancel_requests[0].grace == 0
    assert kinds(job.stop(0)) == [e.TaskCanceled]


# -- what runs in a halted job ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("halt", ["fail", "cancel", "expire"])
def test_what_runs_in_a_halted_job_can_still_be_stopped(halt: str) -> None:
    job = JobDriver()
    job.submit(task("A"), task("B"), task("C", after=[1]), deadline=50)
    job.claim(2)
    if halt == "expire":
        job.now = 50
        job.do(c.ExpireJob(JOB))
    else:
        {"fail": lambda: job.fail(0), "cancel": lambda: job.cancel("cancel-0")}[halt]()
    state = job.state
    assert job.cancel(grace=0) == [e.JobCanceled("cancel-1", "user@host", "enough", 0)]
    assert job.cancel("cancel-2", grace=0) == job.cancel("cancel-3", grace=5) == job.cancel("cancel-4") == []
    assert job.job.commands["cancel-1"] == 1
    assert job.state is state
    job.stop(1)
    assert job.states[1:] == "QQ"
    job.retry()
    assert job.job.halt is None
    assert job.drain()[-2:] == [1, 2]


def test_a_task_that_runs_in_a_halted_job_is_canceled_by_itself() -> None:
    job = JobDriver(task("A"), task("B"), task("C", after=[1]))
    job.claim(2)
    job.fail(0)
    assert job.cancel_task(1, grace=0) == [
        e.CancelRequested(1, [1, 2], "cancel-1", "user@host", "enough", 0, affected=1)
    ]
    assert kinds(job.stop(1)) == [e.TaskCanceled]
    assert (job.state, job.states, job.job.settled) == (JobState.FAILED, "FXQ", True)


def test_where_nothing_runs_any_more_nothing_is_stopped() -> None:
    job = JobDriver(task(), task())
    job.claim()
    job.fail(0)
    assert job.cancel(grace=0) == []


def test_a_stricter_cancel_counts_and_a_gentler_one_does_not() -> None:
    job = JobDriver(task())
    job.claim()

    def cancel(number: int, grace: int) -> list[e.Event]:
        return job.do(c.CancelTask(JOB, f"cancel-{number}", 0, "user@host", "enough", grace))

    for number, (grace, counts) in enumerate(
        [
            (-1, True),
            (-1, False),
            (9, True),
            (-1, False),
            (9, False),
            (10, False),
            (8, True),
            (0, True),
            (0, False),
        ]
    ):
        assert bool(cancel(number, grace)) == counts
        assert not counts or job.job.cancel_requests[0].grace == grace


def test_what_runs_in_a_halted_job_can_be_stopped() -> None:
    job = JobDriver(task(), task(), task())
    job.claim(2)
    job.fail(0)
    cancels = [
        c.CancelJob(JOB, f"cancel-{n}", "user@host", "enough", grace)
        for n, grace in enumerate((-1, -1, 5, 5))
    ]
    assert job.do(cancels[0]) == [e.JobCanceled("cancel-0", "user@host", "enough", -1)]
    assert (job.state, job.states) == (JobState.FAILED, "FRQ")  # a failure outranks a cancel
    assert job.do(cancels[1]) == []
    assert job.do(cancels[2]) == [e.JobCanceled("cancel-2", "user@host", "enough", 5)]
    assert job.do(cancels[3]) == []
    assert job.job.halt == e.JobCanceled("cancel-2", "user@host", "enough", 5)
    job.stop(1)
    assert (job.state, job.states, job.job.settled) == (JobState.FAILED, "FQQ", True)
    assert job.cancel("cancel-9") == []
    job.retry()
    assert job.job.halt is None


# -- the whole job ----------------------------------------------------------------------------------------------------


def test_a_task_that_stops_because_its_job_was_canceled_is_given_back() -> None:
    job = JobDriver(task(), task())
    job.claim()
    job.cancel()
    assert job.stop(0) == [e.TaskReleased(0, 1, "it stopped because it was asked to")]
    assert (job.state, job.states, job.job.settled) == (JobState.CANCELED, "QQ", True)
    job.retry()
    assert job.drain() == [0, 1]


def test_a_task_asked_to_stop_before_its_job_was_canceled_is_canceled() -> None:
    job = JobDriver(task(), task())
    job.claim(2)
    job.cancel_task(0)
    job.cancel("cancel-2")
    assert kinds(job.stop(0)) == [e.TaskCanceled]
    assert kinds(job.stop(1)) == [e.TaskReleased]
    assert (job.state, job.states) == (JobState.CANCELED, "XQ")


def test_a_failure_outranks_a_cancel_of_tasks() -> None:
    job = JobDriver()
    job.submit(task(), task(), task(), continues=True)
    job.claim(3)
    job.cancel_task(2)
    job.fail(1)
    job.compute(0)
    assert kinds(job.stop(2)) == [e.TaskCanceled, e.JobFailed]
    assert (job.state, job.states) == (JobState.FAILED, "CFX")


# -- optional subtrees ------------------------------------------------------------------------------------------------


def test_a_cancel_of_an_optional_task_skips_it_and_what_depends_on_it_runs() -> None:
    job = JobDriver(task("Root"))
    job.run(0, task("X", optional=True), task("After", after=[0]))
    assert job.cancel_task(1) == [e.CancelRequested(1, [], *BY, affected=1), e.TasksSkipped([1, 2], 1)]
    assert job.drain() == [2]
    assert (job.state, job.states) == (JobState.COMPLETED, "CSC")


def test_a_cancel_inside_an_optional_subtree_skips_the_rest_of_it() -> None:
    job = JobDriver(task("Root"))
    job.run(0, task("X", optional=True), task("After", after=[0]))
    job.run(1, task("A"), task("B"), task("C", after=[0]), task("D"))
    job.claim(2)  # A and B
    request, skipped = job.cancel_task(3)
    assert request == e.CancelRequested(3, [3, 4], *BY, affected=3)
    assert skipped == e.TasksSkipped([5, 7], 3)
    assert job.states == "CCQRRSS"
    stopped = e.OptionalTaskFailed(3, 1, 10, 20, e.Error("TaskCanceled", "enough"))
    assert job.stop(3) == [stopped]
    job.compute(4)
    assert job.drain() == [2]
    assert (job.state, job.states) == (JobState.COMPLETED, "CCCOCSS")


def test_an_error_of_a_canceled_optional_task_is_kept() -> None:
    job = JobDriver(task("X", optional=True, retries=3))
    job.claim()
    job.cancel_task(0)
    assert job.fail(0) == [e.OptionalTaskFailed(0, 1, 10, 20, ERROR), e.JobCompleted()]


def test_the_subtasks_of_a_canceled_optional_task_are_skipped() -> None:
    job = JobDriver(task("X", optional=True))
    job.claim()
    job.cancel_task(0)
    assert job.compute(0, task(), task())[1:] == [e.TasksSkipped([1, 3], 0), e.JobCompleted()]
    assert (job.state, job.states) == (JobState.COMPLETED, "CSS")


def test_a_job_may_complete_without_having_started() -> None:
    job = JobDriver(task("X", optional=True))
    assert kinds(job.cancel_task(0)) == [e.CancelRequested, e.TasksSkipped, e.JobCompleted]
    assert (job.state, job.states) == (JobState.COMPLETED, "S")


def test_an_optional_subtree_below_a_canceled_task_is_canceled_with_it() -> None:
    # else the task would be complete, its job COMPLETED, and no retry could take up what was canceled
    job = JobDriver(task("Root"))
    job.run(0, task("X", optional=True), task("Y", optional=True))
    job.run(1, task("A"), task("B"))
    job.claim()
    request, canceled = job.cancel_task(0)
    assert request == e.CancelRequested(0, [3, 4], *BY, affected=3)
    assert (canceled, job.states) == (e.TasksCanceled([2, 3, 4, 5], 0), "CCXRX")
    assert kinds(job.fail(3)) == [e.TaskCanceled, e.JobCanceled]
    job.retry()
    assert job.drain() == [3, 4, 2]
    assert (job.state, job.states) == (JobState.COMPLETED, "CCCCC")


def test_the_subtasks_of_an_optional_task_below_a_canceled_one_are_canceled() -> None:
    job = JobDriver(task("Root"))
    job.run(0, task("X", optional=True))
    job.claim()
    job.cancel_task(0)
    assert kinds(job.compute(1, task())) == [e.TaskComputed, e.TasksCanceled, e.JobCanceled]


def test_a_nested_boundary_keeps_a_cancel_to_itself() -> None:
    job = JobDriver(task("Root"))
    job.run(0, task("Outer", optional=True))
    job.run(1, task("Inner", optional=True), task("Beside"))
    job.run(2, task("A"), task("B"))
    assert numbers_of(job.cancel_task(4)[1]) == [4, 5]
    assert job.drain() == [3]
    assert job.state is JobState.COMPLETED


# -- results ----------------------------------------------------------------------------------------------------------


def test_a_reused_success_is_a_success_and_what_was_staged_comes_to_nothing() -> None:
    job = JobDriver(task(), task(after=[0]))
    job.claim()
    job.stage(0, A_TASK)
    assert job.reuse(0) == [e.TaskReused(0, 1, 10, 20, "job-0", 7, A_VALUE)]
    assert (job.states, job.job.staged, job.job.results) == ("CQ", {}, {0: A_VALUE})
    assert job.reuse(0) == job.compute(0) == []
    assert job.drain() == [1]
    assert job.state is JobState.COMPLETED


def test_what_a_task_returned_is_kept() -> None:
    job = JobDriver(task(), task())
    job.claim(2)
    job.do(c.ReportComputed(JOB, 1, 1, 10, 20, result=A_VALUE, reuse_key=b"key"))
    job.compute(0)
    assert job.job.results == {1: A_VALUE}


def test_news_of_a_running_task_change_nothing() -> None:
    job = JobDriver(task())
    job.claim()
    news = c.ReportProgress(JOB, 0, 1, 10, [e.Progress("", 4, 2)], "half way")
    before = job.states, job.job.counts[:]
    for _ in range(2):
        assert job.do(news) == [e.TaskProgressed(0, 1, 10, [e.Progress("", 4, 2)], "half way")]
    assert (job.states, job.job.counts) == before
