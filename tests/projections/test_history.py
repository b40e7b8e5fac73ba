"""The timeline of a job: one entry per event, each with a line that can be read."""

from __future__ import annotations

import re
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.codec import Commit
from jobledger.core.policy import Policy
from jobledger.core.submission import NewTask, TaskSpec, columns
from jobledger.projections.history import History
from jobledger.projections.sentences import SENTENCES
from support.histories import JOB, JobDriver, task
from support.random_history import T0, ClockedDriver, Placed, committed, random_history
from support.views import view_of


def history_of(driver: JobDriver, random: Random | None = None) -> History:
    commits = committed(driver, random)
    view = view_of(commits)
    return History(commits, lambda number: view.tasks[number].name)


def texts(driver: JobDriver) -> list[str]:
    # how long the driver's tasks take is its own affair
    return [re.sub(r"in \d+ µs(?=$|,)", "in no time", entry.text) for entry in history_of(driver)]


def test_a_life_in_lines() -> None:
    driver = JobDriver(task("Root"))
    driver.claim()
    leaves = [task("Leaf", retries=1) for _ in range(3)]
    staged, last = columns([*leaves, task("Reduce", data=bytes(100))], max_bytes=100)
    driver.stage(0, staged)
    driver.do(c.ReportComputed(JOB, 0, 1, T0, T0 + 1_234_567, last))
    assert driver.claim(3) == [1, 2, 3]
    driver.compute(1)
    driver.fail(2)
    driver.release(3)
    assert driver.claim(1) == [2]
    driver.fail(2, error=e.Error("KeyError", "'x'\n  and more " + 300 * "y"))
    driver.retry()
    driver.claim(1)
    driver.expire(2)
    driver.cancel()
    driver.retry("retry-2")
    driver.drain()
    assert texts(driver) == [
        "job 'a job' submitted by user@host with 1 root task",
        "task 0 (Root) claimed by runner runner-1, attempt 1",
        "task 0 (Root) attempt 1 announced 3 subtasks, from its number 0 on",
        "task 0 (Root) computed by attempt 1 in 1.235 s, submitting 1 subtask after the 3 announced",
        "3 tasks (1-3) claimed by runner runner-1, attempt 1",
        "task 1 (Leaf) computed by attempt 1 in no time",
        "task 2 (Leaf) attempt 1 failed, to be retried: ValueError: it broke",
        "task 3 (Leaf) attempt 1 given back by its runner: shutting down",
        "task 2 (Leaf) claimed by runner runner-1, attempt 2",
        "task 2 (Leaf) failed for good at attempt 2: KeyError: 'x' and more " + 176 * "y" + "…",
        "job failed of task 2 (Leaf); what is queued is halted",
        "job retried by user@host: 3 tasks may run again, task 2 (Leaf) afresh",
        "task 2 (Leaf) claimed by runner runner-1, attempt 3",
        "task 2 (Leaf) attempt 3 lost: no sign of life from runner runner-1",
        "job canceled by user@host: enough",
        "job retried by user@host: 3 tasks may run again",
        "task 2 (Leaf) claimed by runner runner-1, attempt 4",
        "task 2 (Leaf) computed by attempt 4 in no time",
        "task 3 (Leaf) claimed by runner runner-1, attempt 2",
        "task 3 (Leaf) computed by attempt 2 in no time",
        "task 4 (Reduce) claimed by runner runner-1, attempt 1",
        "task 4 (Reduce) computed by attempt 1 in no time",
        "job completed",
    ]


def test_an_optional_failure_in_lines() -> None:
    driver = JobDriver(task("Root"))
    driver.run(0, task("Maybe", optional=True))
    driver.run(1, task("Bad"), *[task("Never", after=[0]) for _ in range(2)])
    driver.claim()
    driver.fail(2)
    assert texts(driver)[-3:] == [
        "task 2 (Bad) failed at attempt 1; it is optional, the job goes on: ValueError: it broke",
        "2 tasks (3-4) skipped, because task 2 (Bad) did not succeed",
        "job completed",
    ]


def test_interventions_in_lines() -> None:
    second = 1_000_000
    flaky = TaskSpec("Flaky", 1, 0, "default", 1, policy=Policy(delay=second))
    roots = [task("Group"), task("Other"), NewTask(flaky, b"", frozenset())]
    driver = ClockedDriver(*roots, options=e.JobOptions(deadline=T0 + 60 * second))
    driver.claim()
    driver.compute(0, task("Leaf"), task("Next", after=[0]), task("Last", after=[1]))
    driver.claim(2)
    driver.do(c.ReportProgress(JOB, 3, 1, T0, [e.Progress("", 4, 1), e.Progress("tiles", 9, 0)], "a\nb"))
    driver.do(c.CancelTask(JOB, "c-1", 3, "ada@host", "too dear", 5 * second))
    driver.do(c.ReportCanceled(JOB, 3, 1, T0, T0 + 5))
    driver.do(c.CancelTask(JOB, "c-2", 1, "ada@host"))
    driver.do(c.ReportFailed(JOB, 1, 1, T0, T0 + 5, e.Error("OSError", "gone")))
    driver.claim()
    driver.fail(2)
    driver.do(c.RetryJob(JOB, "r-1", "bob@host", 3, T0 + 70 * second))
    driver.now = T0 + 2 * second
    driver.claim()
    driver.do(c.ReportReused(JOB, 3, 2, T0, T0, "another-job", 9))
    driver.now = T0 + 70 * second
    driver.do(c.ExpireJob(JOB))
    driver.do(c.DeleteJob(JOB, "d-1", "ada@host", "a mistake"))
    assert texts(driver) == [
        "job 'a job' submitted by user@host with 3 root tasks, to be over by 2023-11-14 22:14:20.000Z",
        "task 0 (Group) claimed by runner runner-1, attempt 1",
        "task 0 (Group) computed by attempt 1 in no time, submitting 3 subtasks",
        "2 tasks (1, 3) claimed by runner runner-1, attempt 1",
        "task 3 (Leaf) attempt 1 runs: 1 of 4, tiles 0 of 9, it displays 'a b'",
        "cancel of task 3 (Leaf) requested by ada@host: too dear; task 3 (Leaf) told to stop, and stopped after 5.000 s",
        "2 tasks (4-5) abandoned, because task 3 (Leaf) did not succeed",
        "task 3 (Leaf) attempt 1 stopped, because it was canceled",
        "cancel of task 1 (Other) requested by ada@host; task 1 (Other) told to stop",
        "task 1 (Other) attempt 1 stopped, because it was canceled, failing with OSError: gone",
        "task 2 (Flaky) claimed by runner runner-1, attempt 1",
        "task 2 (Flaky) attempt 1 failed, to be retried at 2023-11-14 22:13:21.011Z: ValueError: it broke",
        (
            "task 3 (Leaf) retried by bob@host: 3 tasks may run again, 3 tasks (3-5) afresh; "
            "to be over by 2023-11-14 22:14:30.000Z"
        ),
        "task 3 (Leaf) claimed by runner runner-1, attempt 2",
        "task 3 (Leaf) did not run: the result of task 9 of job another-job was reused",
        "job failed of its deadline, 2023-11-14 22:14:30.000Z; running tasks are told to stop",
        "job deleted by ada@host: a mistake",
    ]


def test_canceled_tasks_in_lines() -> None:
    driver = JobDriver(task("Group"))
    driver.run(0, task("Leaf"), task("Leaf"))
    driver.do(c.CancelTask(JOB, "c-1", 1))
    driver.do(c.CancelTask(JOB, "c-2", 0))
    driver.do(c.RetryJob(JOB, "r-1"))
    driver.do(c.CancelJob(JOB, "c-3", "ada@host", "", 0))
    assert texts(driver)[-7:] == [
        "cancel of task 1 (Leaf) requested",
        "task 1 (Leaf) canceled before it ran",
        "cancel of task 0 (Group) requested",
        "task 2 (Leaf) canceled with task 0 (Group)",
        "job canceled",
        "job retried: 2 tasks may run again, 2 tasks (1-2) afresh",
        "job canceled by ada@host; running tasks are told, and stopped at once",
    ]


def test_an_entry_says_where_and_when() -> None:
    driver = JobDriver(task("Root"))
    driver.claim()
    entry = history_of(driver)[1]
    assert (entry.position, entry.version, entry.index) == (6, 2, 0)
    assert entry.event == e.TasksClaimed("runner-1", 1, [0, 1])
    assert entry.at.isoformat() == "2023-11-14T22:13:20.002000+00:00"
    assert str(entry) == (
        "2023-11-14 22:13:20.002Z  6.0  task 0 (Root) claimed by runner runner-1, attempt 1"
    )


def test_scattered_tasks_are_abbreviated() -> None:
    event = e.TasksClaimed("r", 1, [0, 1, 2, 5, 7, 8, 10, 11, 12, 13])
    commit = Commit(bytes(16), bytes(32), T0, "engine", False, [event])
    (entry,) = History([Placed(1, 1, commit)], lambda number: "")
    assert entry.text == "7 tasks (0, 2-4, 7, 10, …) claimed by runner r, attempt 1"


def test_an_event_of_a_later_version_is_shown() -> None:
    commit = Commit(bytes(16), bytes(32), T0, "engine", False, [e.UnknownEvent(99, ["?"])])
    (entry,) = History([Placed(1, 1, commit)], lambda number: "")
    assert entry.text == "event 99, which a later version of jobledger wrote"


def test_a_long_timeline_is_cut_in_the_middle() -> None:
    commit = Commit(bytes(16), bytes(32), T0, "engine", False, [e.JobCompleted()] * 3000)
    lines = str(History([Placed(1, 1, commit)], lambda number: "")).splitlines()
    assert len(lines) == 1001
    assert lines[500] == "… 2,000 more events: iterate over the history to see them …"
    assert lines[499].endswith("1.499  job completed")
    assert lines[501].endswith("1.2500  job completed")


@pytest.mark.parametrize(
    ("microseconds", "said"),
    [(-5, "0 µs"), (87, "87 µs"), (12_345, "12.3 ms"), (1_234_567, "1.235 s"), (3_600_000_000, "1 h 0 min")],
)
def test_durations_are_told_in_fitting_units(microseconds: int, said: str) -> None:
    event = e.TaskComputed(0, 1, T0, T0 + microseconds)
    commit = Commit(bytes(16), bytes(32), T0, "engine", False, [event])
    (entry,) = History([Placed(1, 1, commit)], lambda number: "")
    assert entry.text == f"task 0 computed by attempt 1 in {said}"


def test_every_event_has_words() -> None:
    assert set(SENTENCES) == set(e.Event.__args__)


@given(st.integers(0, 2**32).map(Random))
@settings(max_examples=30, deadline=None)
def test_it_is_a_sequence_of_all_events_in_order(random: Random) -> None:
    driver = random_history(random)
    history = history_of(driver, random)
    events = [event for _, events in driver.history for event in events]
    assert [entry.event for entry in history] == events
    assert len(history) == len(events)
    assert [history[n] for n in range(len(history))] == list(history)
    assert history[-1] == list(history)[-1]
    assert history[2:5] == list(history)[2:5]
    places = [(entry.position, entry.index) for entry in history]
    assert places == sorted(set(places))
    assert all("\n" not in str(entry) for entry in history)
    assert str(history).count("\n") == len(events) - 1
    with pytest.raises(IndexError, match="there is no entry"):
        history[len(events)]
