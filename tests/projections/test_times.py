"""When things happened, and how long they took: defined in every state, live while open, never negative."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobledger.core import commands as c
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.core.policy import Policy
from jobledger.core.submission import NewTask, TaskSpec
from jobledger.projections.job_view import JobView
from jobledger.projections.task_view import TaskView
from support.histories import ERROR, JOB, submission, task
from support.random_history import T0, TICK, ClockedDriver, committed, random_history
from support.views import facts, view_of

SECOND = 1_000_000
randoms = st.integers(0, 2**32).map(Random)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(T0 // SECOND, UTC) + timedelta(seconds=seconds)


def spent(one: TaskView) -> tuple[float, float, float]:
    return one.blocked_duration, one.pending_duration, one.execution_duration


class Seconds(ClockedDriver):
    """A driver told at which second each thing happens."""

    def when(self, second: float) -> Seconds:
        self.now = T0 + round(second * SECOND) - TICK
        return self

    def began(self, number: int, start: float) -> None:
        attempt = self.job.attempt[number]
        self.do(c.ReportProgress(JOB, number, attempt, T0 + round(start * SECOND)))

    def ran(self, number: int, start: float, stop: float, *subtasks: NewTask) -> None:
        times = T0 + round(start * SECOND), T0 + round(stop * SECOND)
        last = submission(*subtasks) if subtasks else None
        self.when(stop).do(c.ReportComputed(JOB, number, self.job.attempt[number], *times, last))

    def broke(self, number: int, start: float, stop: float) -> None:
        times = T0 + round(start * SECOND), T0 + round(stop * SECOND)
        self.when(stop).do(c.ReportFailed(JOB, number, self.job.attempt[number], *times, ERROR))


def submitted(*roots: NewTask) -> Seconds:
    driver = Seconds(*roots)
    driver.history[0] = (T0, driver.history[0][1])
    return driver


def test_a_task_is_blocked_then_pending_then_executing() -> None:
    driver = submitted(task("Root"))
    driver.when(1).claim()
    driver.ran(0, 2, 4, task("First"), task("Second", after=[0]))
    driver.when(5).claim()
    driver.ran(1, 6, 9)
    driver.when(12).claim()
    driver.ran(2, 12.5, 20)
    root, first, second = view_of(driver).tasks
    assert spent(root) == (0, 2, 2)
    assert spent(first) == (0, 2, 3)
    assert spent(second) == (5, 3.5, 7.5)
    assert (second.submitted_at, second.ready_at, second.claimed_at) == (at(4), at(9), at(12))
    assert (second.started_at, second.run_at, second.finished_at) == (at(12.5), at(12.5), at(20))


def test_open_durations_are_live() -> None:
    driver = submitted(task("Root"))
    driver.when(1).claim()
    driver.ran(0, 1, 2, task("First"), task("Second", after=[0]))
    driver.when(3).claim()
    driver.began(1, 3.5)
    view = view_of(driver)
    _, first, second = view.tasks
    later, _, much_later = (view.at(T0 + seconds * SECOND).tasks for seconds in (10, 100, 1000))
    assert spent(later[1]) == (0, 1.5, 6.5)
    assert spent(much_later[1]) == (0, 1.5, 996.5)
    assert spent(later[2]) == (8, 0, 0)
    assert (first.finished_at, second.finished_at, second.started_at, second.ready_at) == (None,) * 4
    assert spent(much_later[0]) == spent(view.tasks[0])  # it is over


def test_what_a_claimed_task_does_before_it_begins_is_waiting() -> None:
    driver = submitted(task("Root"))
    driver.when(1).claim()
    (root,) = view_of(driver).at(T0 + 5 * SECOND).tasks
    assert spent(root) == (0, 5, 0)
    assert root.started_at is None


def test_the_clock_is_the_view_s_own_unless_a_time_is_given() -> None:
    driver = submitted(task("Root"))
    now = [T0 + 3 * SECOND]
    view = view_of(driver, clock=lambda: now[0])
    assert view.tasks[0].pending_duration == 3
    now[0] += SECOND
    assert view.tasks[0].pending_duration == 4
    assert view.at(T0 + 9 * SECOND).tasks[0].pending_duration == 9
    now[0] = T0 - SECOND  # behind the engine's
    assert view.tasks[0].pending_duration == 0
    assert view_of(driver).tasks[0].pending_duration == 0  # time stands still at the last commit


def test_every_time_in_a_state_counts() -> None:
    delayed = NewTask(TaskSpec("Root", 1, 0, "default", 3, policy=Policy(delay=5 * SECOND)), b"", frozenset())
    driver = submitted(delayed)
    driver.when(1).claim()
    driver.broke(0, 1, 3)
    waits = view_of(driver).at(T0 + 6 * SECOND).tasks[0]
    assert (waits.held_until, waits.retry_at) == (at(8), at(8))
    assert spent(waits) == (0, 4, 2)
    driver.when(9).claim()
    driver.when(10).release(0)
    driver.when(12).claim()
    driver.began(0, 12)
    driver.when(14).expire(0)
    driver.when(20).claim()
    driver.ran(0, 20, 21)
    (root,) = view_of(driver).tasks
    assert (root.held_until, root.retry_at) == (None, None)
    assert spent(root) == (0, 16, 5)
    assert [attempt.outcome.value for attempt in root.attempts] == [
        "failed",
        "released",
        "expired",
        "computed",
    ]


def test_the_time_a_job_is_halted_is_nobody_s() -> None:
    driver = submitted(task("Root"))
    driver.when(1).claim()
    driver.ran(0, 1, 2, task("First"), task("Second", after=[0]))
    driver.when(5).cancel()
    halted = view_of(driver).at(T0 + 50 * SECOND)
    assert [spent(one)[:2] for one in halted.tasks] == [(0, 1), (0, 3), (3, 0)]
    driver.when(100).retry()
    driver.when(101).claim()
    driver.ran(1, 101, 103)
    assert [spent(one) for one in view_of(driver).tasks] == [(0, 1, 1), (0, 4, 2), (6, 0, 0)]


def test_the_time_a_task_was_given_up_is_nobody_s() -> None:
    driver = submitted(task("Root"))
    driver.when(1).claim()
    driver.ran(0, 1, 2, task("First"), task("Second", after=[0]), task("Third"))
    driver.when(4).do(c.CancelTask(JOB, "cancel", 1))
    driver.when(10)
    view = view_of(driver).at(T0 + 10 * SECOND)
    assert [one.state.name for one in view.tasks] == ["COMPUTED", "CANCELED", "ABANDONED", "QUEUED"]
    assert [spent(one) for one in view.tasks[1:]] == [(0, 2, 0), (2, 0, 0), (0, 8, 0)]
    assert view.tasks[1].finished_at == view.tasks[2].finished_at == at(4)
    assert view.tasks[1].stopped_at is None  # it never ran
    driver.when(10).do(c.RetryJob(JOB, "retry", task=1))
    again = view_of(driver).at(T0 + 12 * SECOND)
    assert again.tasks[1].finished_at is None
    assert [spent(one) for one in again.tasks[1:]] == [(0, 4, 0), (4, 0, 0), (0, 10, 0)]


def test_a_failed_task_that_is_retried_was_not_waiting_meanwhile() -> None:
    driver = submitted(task("Root"))
    driver.when(1).claim()
    driver.broke(0, 1, 2)
    driver.when(60).retry()
    driver.when(61).claim()
    driver.ran(0, 61, 62)
    (root,) = view_of(driver).tasks
    assert spent(root) == (0, 2, 2)
    assert root.finished_at == at(62)


def test_durations_are_defined_where_nothing_ran() -> None:
    driver = submitted(task("One"), task("Two"), task("Three"))
    driver.when(1).do(c.CancelTask(JOB, "cancel", 0))
    driver.when(2).claim()
    driver.when(3).do(c.ReportReused(JOB, 1, 1, T0 + 3 * SECOND, T0 + 3 * SECOND, "another", 0))
    driver.when(4).cancel()
    one, two, three = view_of(driver).at(T0 + 9 * SECOND).tasks
    assert [spent(one), spent(two), spent(three)] == [(0, 1, 0), (0, 3, 0), (0, 4, 0)]


def test_a_deleted_job_stands_still() -> None:
    driver = submitted(task("One"))
    driver.when(1).claim()
    driver.began(0, 1)
    driver.when(3).do(c.DeleteJob(JOB, "delete", force=True))
    view = view_of(driver).at(T0 + 99 * SECOND)
    assert view.state is JobState.DELETED
    assert view.tasks[0].state is TaskState.RUNNING
    assert spent(view.tasks[0]) == (0, 1, 2)


# -- the job ----------------------------------------------------------------------------------------------------------


def test_a_job_begins_with_its_first_attempt_and_ends_when_it_settles() -> None:
    driver = submitted(task("Root"))
    view = view_of(driver)
    assert (view.submitted_at, view.started_at, view.run_at, view.finished_at) == (at(0), None, None, None)
    driver.when(1).claim()
    driver.began(0, 2)
    assert view_of(driver, view).started_at == at(2)
    driver.when(4).cancel()
    assert view_of(driver, view).finished_at is None  # a task is running still
    driver.ran(0, 2, 6)
    view_of(driver, view)
    assert (view.run_at, view.finished_at, view.settled_at) == (at(2), at(6), at(6))


def test_execution_in_numbers() -> None:
    driver = submitted(task("Root"))
    empty = view_of(driver).execution_stats
    assert (empty.first_task_started_at, empty.last_task_stopped_at) == (None, None)
    assert (empty.compute_time, empty.elapsed_time, empty.parallelism) == (timedelta(0), timedelta(0), 0.0)
    driver.when(1).claim()
    driver.ran(0, 1, 2, task("First", retries=1), task("Second"))
    driver.when(3).claim(2)
    driver.broke(1, 3, 5)
    driver.when(6).claim()
    driver.began(1, 6)
    driver.ran(2, 4, 10)
    running = view_of(driver).at(T0 + 11 * SECOND).execution_stats
    assert (running.first_task_started_at, running.last_task_stopped_at) == (at(1), at(10))
    assert running.compute_time == timedelta(seconds=1 + 2 + 6 + 5)
    assert running.elapsed_time == timedelta(seconds=10)
    assert running.parallelism == 1.4
    driver.ran(1, 6, 12)
    done = view_of(driver).at(T0 + 99 * SECOND).execution_stats
    assert (done.compute_time, done.elapsed_time) == (timedelta(seconds=15), timedelta(seconds=11))
    assert (done.total_tasks, done.tasks_by_state[TaskState.COMPUTED]) == (3, 3)
    assert set(done.tasks_by_state) == set(TaskState)


# -- whatever happens -------------------------------------------------------------------------------------------------


@given(randoms, st.integers(-(10**9), 10**9))
@settings(max_examples=60, deadline=None)
def test_nothing_is_negative_and_nothing_raises(random: Random, later: int) -> None:
    commits = committed(random_history(random), random)
    view = JobView(JOB, clock=lambda: T0 + later)
    for commit in commits:
        view.apply(*commit)
        facts(view)
    for one in view.tasks:
        assert min(spent(one)) >= 0
        assert (one.finished_at is None) == (one.state in (TaskState.QUEUED, TaskState.RUNNING))
        assert one.ready_at is not None or not one.attempts
    stats = view.execution_stats
    assert min(stats.compute_time, stats.elapsed_time) >= timedelta(0)
    assert stats.parallelism >= 0
    assert (view.finished_at is None) == (not view.settled)


@given(randoms)
@settings(max_examples=30, deadline=None)
def test_what_is_over_takes_no_longer(random: Random) -> None:
    view = view_of(random_history(random))
    soon, late = view.at(view.now), view.at(view.now + 10**9)
    for one, other in zip(soon.tasks, late.tasks, strict=True):
        assert one.blocked_duration + one.pending_duration <= (view.now - T0) / SECOND
        if one.finished_at is not None or view.state is JobState.DELETED:
            assert spent(one) == spent(other)
        else:
            before, after = spent(one), spent(other)
            assert all(a <= b for a, b in zip(before, after, strict=True))
            grew = sum(b - a for a, b in zip(before, after, strict=True))
            if view.state not in (JobState.FAILED, JobState.CANCELED):
                assert grew == pytest.approx(1000)
            elif one.state is TaskState.QUEUED:
                assert grew == 0


@given(randoms, st.data())
@settings(max_examples=30, deadline=None)
def test_runners_with_broken_clocks_do_no_harm(random: Random, data: st.DataObject) -> None:
    driver = ClockedDriver(task("One", retries=2), task("Two"))
    wild = st.integers(-(2**63), 2**64 - 1)
    for _ in range(4):
        for number in driver.claim(2):
            times = data.draw(wild), data.draw(wild)
            attempt = driver.job.attempt[number]
            driver.do(c.ReportProgress(JOB, number, attempt, data.draw(wild)))
            driver.do(c.ReportFailed(JOB, number, attempt, *times, ERROR))
        if driver.state is JobState.FAILED:
            driver.retry(f"retry-{driver.now}")
    view = view_of(driver)
    facts(view)
    assert all(min(spent(one)) >= 0 for one in view.tasks)
