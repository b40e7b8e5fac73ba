"""What came of tasks: results, reuse, and why those that did not run were given up."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.errors import JobLedgerError
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.core.submission import Submission
from support.histories import ERROR, JOB, JobDriver, task
from support.random_history import T0, ClockedDriver, committed, random_history
from support.views import view_of

BIG = e.Value(object=f"{JOB}/beef", size=40_000)


def returning(*values: e.Value | None) -> JobDriver:
    driver = JobDriver(*[task() for _ in values])
    driver.claim(len(values))
    for number, value in enumerate(values):
        driver.do(c.ReportComputed(JOB, number, 1, 10, 20, result=value))
    return driver


# -- results ----------------------------------------------------------------------------------------------------------


def test_a_result_is_what_the_task_returned() -> None:
    view = view_of(returning(e.Value(b'{"n":[1,2]}')))
    assert view.tasks[0].result == view.result == {"n": [1, 2]}
    assert view.tasks[0].value == e.Value(b'{"n":[1,2]}')


def test_several_roots_have_a_list_of_results() -> None:
    view = view_of(returning(e.Value(b"1"), None, e.Value(b'"x"')))
    assert view.result == [1, None, "x"]


def test_there_is_no_result_before_the_end_nor_of_nothing() -> None:
    driver = JobDriver(task())
    assert view_of(driver).result is None
    assert view_of(returning(None)).result is None


def test_a_large_result_is_fetched_by_whoever_can() -> None:
    driver = returning(BIG)
    view = view_of(driver)
    assert view.tasks[0].value == BIG
    with pytest.raises(JobLedgerError, match=f"'{JOB}/beef' lies in the object store"):
        _ = view.result
    objects = {f"{JOB}/beef": b"[1,2,3]"}
    assert view_of(driver, fetch=objects.__getitem__).result == [1, 2, 3]


def test_a_large_input_is_fetched_likewise() -> None:
    driver = JobDriver()
    submission = Submission([b"job-1/cafe", b"7"], [task().spec], [0, 2], references=[0, 1])
    driver.do(c.SubmitJob(JOB, "a job", submission))
    first, second = view_of(driver, fetch={"job-1/cafe": b'"long"'}.__getitem__).tasks
    assert (first.input_object, first.input, first.input_json) == ("job-1/cafe", b'"long"', "long")
    assert (second.input_object, second.input_json) == (None, 7)
    with pytest.raises(JobLedgerError, match="read it there"):
        _ = view_of(driver).tasks[0].input


def test_a_result_that_is_no_json_is_shown_as_text() -> None:
    assert view_of(returning(e.Value(b"\xff{"))).result == "\ufffd{"


# -- reuse ------------------------------------------------------------------------------------------------------------


def test_a_reused_task_names_its_source() -> None:
    driver = JobDriver(task())
    driver.claim()
    driver.do(c.ReportReused(JOB, 0, 1, 10, 12, "another-job", 3, e.Value(b"42")))
    (one,) = view_of(driver).tasks
    assert (one.state, one.reused, one.result) == (TaskState.COMPUTED, True, 42)
    assert one.source == ("another-job", 3)
    assert str(one.source) == "another-job/3"
    assert [attempt.outcome.value for attempt in one.attempts] == ["reused"]
    assert view_of(returning(None)).tasks[0].source is None


# -- given up ---------------------------------------------------------------------------------------------------------


def test_a_canceled_task_knows_its_cause() -> None:
    driver = JobDriver(task("Root"))
    driver.run(0, task("Group"), task("After", after=[0]))
    driver.run(1, task("Leaf"))
    driver.do(c.CancelTask(JOB, "cancel", 1, "ada@host", "too dear"))
    root, _, after, leaf = view_of(driver).tasks
    assert leaf.cause == (1, "task 1 (Group) was canceled by ada@host: too dear")
    assert after.cause == leaf.cause
    assert str(leaf.cause) == "task 1 (Group) was canceled by ada@host: too dear"
    assert (root.cause, leaf.finished_at) == (None, view_of(driver).updated_at)


def test_a_task_canceled_itself_is_its_own_cause() -> None:
    driver = JobDriver(task("One"), task("Two"))
    driver.do(c.CancelTask(JOB, "cancel", 0, "ada@host", "too dear"))
    assert view_of(driver).tasks[0].cause == (0, "canceled by ada@host: too dear")


def test_the_cause_is_gone_once_the_task_is_retried() -> None:
    driver = JobDriver(task("One"), task("Two"))
    driver.do(c.CancelTask(JOB, "cancel", 0))
    driver.retry()
    assert view_of(driver).tasks[0].cause is None


def test_a_running_task_knows_who_asks_it_to_stop() -> None:
    driver = ClockedDriver(task("One"), task("Two"), task("Three"))
    driver.claim(2)
    assert [one.cancel_requested for one in view_of(driver).tasks] == [None, None, None]
    driver.do(c.CancelTask(JOB, "cancel", 0, "ada@host", "too dear"))
    assert view_of(driver).tasks[0].cancel_requested == ("ada@host", "too dear")
    driver.do(c.CancelJob(JOB, "cancel-2", "bob@host", "all of it"))
    assert [one.cancel_requested for one in view_of(driver).tasks] == [
        ("ada@host", "too dear"),
        ("bob@host", "all of it"),
        None,
    ]


def test_a_deadline_asks_running_tasks_to_stop() -> None:
    driver = ClockedDriver(task(), options=e.JobOptions(deadline=T0 + 10_000))
    driver.claim()
    driver.pass_time(10_000)
    driver.do(c.ExpireJob(JOB))
    assert view_of(driver).tasks[0].cancel_requested == ("", "the deadline of the job has passed")
    assert view_of(driver).state is JobState.FAILED


def test_an_attempt_that_stopped_because_it_was_asked_to() -> None:
    driver = JobDriver(task("One"), task("Two"))
    driver.claim()
    driver.do(c.CancelTask(JOB, "cancel", 0, "ada@host", "too dear"))
    driver.do(c.ReportCanceled(JOB, 0, 1, 10, 20, "half of it"))
    (one, _) = view_of(driver).tasks
    assert (one.state, one.display) == (TaskState.CANCELED, "half of it")
    assert [str(attempt) for attempt in one.attempts] == ["attempt 1 canceled: too dear"]
    assert one.cause == (0, "canceled by ada@host: too dear")
    assert one.error is None


def test_one_that_failed_when_it_was_asked_to_stop_keeps_its_error() -> None:
    driver = JobDriver(task("One"), task("Two"))
    driver.claim()
    driver.do(c.CancelTask(JOB, "cancel", 0))
    driver.do(c.ReportFailed(JOB, 0, 1, 10, 20, ERROR))
    one = view_of(driver).tasks[0]
    assert (one.state, one.error) == (TaskState.CANCELED, ERROR)
    assert [str(attempt) for attempt in one.attempts] == ["attempt 1 canceled: ValueError: it broke"]


@given(st.integers(0, 2**32).map(Random))
@settings(max_examples=60, deadline=None)
def test_every_task_that_was_given_up_has_a_cause_and_no_other(random: Random) -> None:
    view = view_of(committed(random_history(random), random))
    given_up = (TaskState.SKIPPED, TaskState.CANCELED, TaskState.ABANDONED)
    for one in view.tasks:
        assert (one.cause is not None) == (one.state in given_up)
        if one.cause is not None and one.state is not TaskState.CANCELED:
            cause = view.tasks[one.cause.task].state
            # one that was computed had been canceled before, and did not stop
            without = (TaskState.FAILED, TaskState.FAILED_OPTIONAL, TaskState.CANCELED, TaskState.COMPUTED)
            assert cause in without or one.cause.task in view.requests


# -- the job ----------------------------------------------------------------------------------------------------------


def test_what_a_job_is() -> None:
    options = e.JobOptions({"team": "maps"}, continues=True, deadline=T0 + 9_000_000)
    view = view_of(ClockedDriver(task("Root", cluster="gpu"), options=options))
    assert view.info == {
        "name": "a job",
        "root_task": "Root",
        "clusters": ["gpu"],
        "labels": {"team": "maps"},
        "submitted_by": "user@host",
        "on_failure": "continue",
        "deadline": view.deadline,
    }
    assert view_of(JobDriver(task("One"), task("Two"))).info["root_task"] == ["One", "Two"]
    assert view.labels == {"team": "maps"}
    assert view_of(JobDriver(task())).deadline is None
    assert not view.force
    assert view_of(ClockedDriver(task(), options=e.JobOptions(force=True))).force
