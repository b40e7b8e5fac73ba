"""Nothing of a halted job is begun, not even what a runner has already claimed."""

from __future__ import annotations

import threading
from collections import Counter
from typing import ClassVar

import pytest

from jobledger.adapters.runner import session
from jobledger.core import commands as c
from jobledger.core.context import ExecutionContext
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.core.task import Task
from support.engines import command
from support.waiting import eventually

from .conftest import Workbench, is_completed, states

QUEUED = TaskState.QUEUED


class Movie(Task):
    title: str

    begun: ClassVar[list[str]] = []
    mended: ClassVar[bool] = False

    def execute(self, context: ExecutionContext) -> None:
        if "warm" not in self.title:
            self.begun.append(self.title)
        if self.title == "unknown" and not self.mended:
            raise KeyError("Title")


class Flaky(Task):
    number: int

    runs: ClassVar[Counter[int]] = Counter()

    def execute(self, context: ExecutionContext) -> None:
        self.runs[self.number] += 1
        if self.runs[self.number] == 1:
            raise ValueError("the first time")


class Held(Task):
    number: int

    begun: ClassVar[list[int]] = []
    go: ClassVar[threading.Event]

    def execute(self, context: ExecutionContext) -> None:
        self.begun.append(self.number)
        assert self.go.wait(20)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    Movie.begun.clear()
    Movie.mended = False
    Flaky.runs.clear()
    Held.begun.clear()
    Held.go = threading.Event()


def warm(bench: Workbench) -> None:
    """Have a runner learn that these tasks are short, so that it claims many at a time."""
    bench.submit(*[Movie(f"warm {i}") for i in range(20)])


def test_a_failure_halts_what_was_claimed_with_it(bench: Workbench) -> None:
    warm(bench)
    job_id = bench.submit(*map(Movie, ["one", "two", "unknown", "three", "four"]))
    runner = bench.runner(Movie)
    runner.run_all()
    assert bench.job(job_id).state == JobState.FAILED.value
    assert Movie.begun == ["one", "two", "unknown"]
    assert states(bench.job(job_id))[3:] == [QUEUED, QUEUED]
    Movie.mended = True
    command(bench.link, c.RetryJob(job_id, "r1"))
    runner.run_all()
    assert Movie.begun[3:] == ["unknown", "three", "four"]
    assert is_completed(bench.job(job_id))


def test_a_failure_with_a_retry_left_only_pauses_the_job(bench: Workbench) -> None:
    warm(bench)
    job_id = bench.submit(*[Flaky(i) for i in range(30)], max_retries=1)
    bench.runner(Movie, Flaky, concurrency=3).run_all()
    job = bench.job(job_id)
    assert is_completed(job)
    assert set(Flaky.runs.values()) == {2}
    assert "TaskReleased" not in bench.events(job_id)


def test_a_cancel_reaches_what_runners_have_not_begun(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "SLOW", 60.0)  # that it takes long must not be why the others are given back
    learnt = bench.submit(*[Movie(f"warm {i}") for i in range(20)])
    runner = bench.runner(Movie, Held)
    bench.in_background(runner.run_forever)
    bench.settled(learnt)
    job_id = bench.submit(*[Held(i) for i in range(10)])
    eventually(lambda: Held.begun)
    command(bench.link, c.CancelJob(job_id, "c1"))
    eventually(lambda: list(bench.job(job_id).claimed_by) in ([0], []))
    Held.go.set()
    assert bench.settled(job_id).state == JobState.CANCELED.value
    runner.stop()
    assert Held.begun == [0]
    assert states(bench.job(job_id)) == [TaskState.COMPUTED] + [QUEUED] * 9
