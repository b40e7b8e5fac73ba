"""How far a job has come: live, and nothing counted twice."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.projections.progress import ProgressIndicator, percent
from support.histories import ERROR, JOB, JobDriver, task
from support.random_history import committed, random_history
from support.views import view_of


def counts(total: int, done: int, label: str = "") -> list[e.Progress]:
    return [e.Progress(label, total, done)]


class Counting(JobDriver):
    """A driver whose tasks count."""

    def progress(self, number: int, progress: list[e.Progress] | None, display: str | None = None) -> None:
        attempt = self.job.attempt[number]
        self.do(c.ReportProgress(JOB, number, attempt, 10, progress, display))

    def end(self, number: int, progress: list[e.Progress] | None) -> None:
        self.do(c.ReportComputed(JOB, number, self.job.attempt[number], 10, 20, None, None, progress))

    def break_down(self, number: int, progress: list[e.Progress] | None) -> None:
        attempt = self.job.attempt[number]
        self.do(c.ReportFailed(JOB, number, attempt, 10, 20, ERROR, None, progress))

    def counted(self) -> tuple[int, int]:
        """Return how much is done of how much, without labels."""
        found = {one.label: (one.done, one.total) for one in view_of(self).progress}
        return found.get(None, (0, 0))


def test_a_running_task_counts() -> None:
    driver = Counting(task(), task())
    driver.claim(2)
    driver.progress(0, counts(10, 3), "three of ten")
    driver.progress(1, counts(5, 1))
    view = view_of(driver)
    assert view.progress == [ProgressIndicator(None, 15, 4)]
    assert view.tasks[0].display == "three of ten"
    assert view.tasks[0].started_at is not None
    driver.progress(0, counts(10, 6))
    assert driver.counted() == (7, 15)
    driver.end(0, counts(10, 10))
    assert driver.counted() == (11, 15)


def test_news_without_counts_leave_them_as_they_were() -> None:
    driver = Counting(task())
    driver.claim()
    driver.progress(0, counts(4, 1))
    driver.progress(0, None, "still at it")
    assert driver.counted() == (1, 4)
    assert view_of(driver).tasks[0].display == "still at it"


def test_a_new_attempt_counts_instead_of_the_one_before() -> None:
    driver = Counting(task(retries=2))
    driver.claim()
    driver.break_down(0, counts(10, 6))
    assert driver.counted() == (6, 10)  # it failed there
    driver.claim()
    assert driver.counted() == (6, 10)  # until the new one says otherwise
    driver.progress(0, counts(10, 1))
    assert driver.counted() == (1, 10)
    driver.end(0, counts(10, 10))
    assert driver.counted() == (10, 10)


@pytest.mark.parametrize("end", ["release", "expire"])
def test_an_attempt_that_came_to_nothing_counts_no_more(end: str) -> None:
    driver = Counting(task())
    driver.claim()
    driver.progress(0, counts(10, 6))
    getattr(driver, end)(0)
    assert driver.counted() == (0, 0)


def test_a_computed_task_counts_what_it_said_at_its_end() -> None:
    driver = Counting(task())
    driver.claim()
    driver.progress(0, counts(10, 6))
    driver.end(0, None)
    assert driver.counted() == (0, 0)


def test_percent_follows_the_counts_over_all_labels() -> None:
    driver = Counting(task(), task())
    driver.claim(2)
    assert view_of(driver).percent == 0.0
    driver.progress(0, [*counts(10, 1), *counts(30, 9, "tiles")])
    assert view_of(driver).percent == 25.0
    driver.progress(0, counts(10, 10))
    assert view_of(driver).percent == 99.9  # it is not over
    driver.end(0, counts(10, 10))
    driver.end(1, None)
    assert view_of(driver).percent == 100.0


def test_percent_follows_the_tasks_where_nothing_is_counted() -> None:
    driver = JobDriver(task())
    driver.run(0, *[task() for _ in range(7)])
    assert view_of(driver).percent == 12.5
    driver.run(1)
    assert view_of(driver).percent == 25.0
    driver.claim()
    driver.fail(2)
    assert view_of(driver).percent == 25.0
    driver.retry()
    driver.drain()
    assert view_of(driver).percent == 100.0


@pytest.mark.parametrize(("total", "done"), [(0, 0), (-5, 3), (10, 40), (10, -3)])
def test_counts_without_sense_do_no_harm(total: int, done: int) -> None:
    tasks = [0] * (len(TaskState) + 1)
    assert 0.0 <= percent(JobState.RUNNING, [ProgressIndicator(None, total, done)], tasks) <= 99.9
    assert percent(JobState.COMPLETED, [ProgressIndicator(None, total, done)], tasks) == 100.0


@given(st.integers(0, 2**32).map(Random))
@settings(max_examples=60, deadline=None)
def test_each_task_counts_once(random: Random) -> None:
    commits = committed(random_history(random), random)
    view = view_of(commits)
    last: dict[int, list[e.Progress]] = {}
    live: set[int] = set()
    for event in (event for one in commits for event in one.commit.events):
        match event:
            case e.TaskProgressed():
                if event.progress is not None:
                    last[event.task] = event.progress
                    live.add(event.task)
            case e.TaskReleased() | e.LeaseExpired():
                if event.task in live:
                    last.pop(event.task)
                    live.discard(event.task)
            case e.TaskReused():
                last.pop(event.task, None)
                live.discard(event.task)
            case (
                e.TaskComputed()
                | e.AttemptFailed()
                | e.TaskFailed()
                | e.OptionalTaskFailed()
                | e.TaskCanceled()
            ):
                last.pop(event.task, None)
                live.discard(event.task)
                if event.progress is not None:
                    last[event.task] = event.progress
    assert sum(one.done for one in view.progress) == sum(one.done for all_ in last.values() for one in all_)
    assert sum(one.total for one in view.progress) == 9 * len(last)
    assert (view.percent == 100.0) == (view.state is JobState.COMPLETED)
