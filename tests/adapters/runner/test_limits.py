"""Attempts that take longer than their time limit, and which failures are worth another try."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from jobledger.adapters.runner.running import limits
from jobledger.core import events as e
from jobledger.core.context import ExecutionContext, TaskCanceled
from jobledger.core.errors import JobLedgerError
from jobledger.core.job import Job
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.core.options import Retry, policy_of, spec_policy
from jobledger.core.submission import NewTask, TaskSpec
from jobledger.core.task import Task, encode_input, identifier_of
from support.engines import history, submit
from support.waiting import eventually

from .conftest import Workbench, is_completed, states, worker_threads

COMPUTED, FAILED = TaskState.COMPUTED, TaskState.FAILED

_runs: Counter[str] = Counter()
_saw: list[str] = []
_release = threading.Event()


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    _runs.clear()
    _saw.clear()
    _release.clear()
    yield
    _release.set()
    assert eventually(lambda: not worker_threads()) is True


def submit_with_policies(bench: Workbench, *tasks: Task) -> str:
    """Submit these as the client does: with the policies of their classes."""
    rows = []
    for task in tasks:
        identifier = identifier_of(task)
        policy = policy_of(task, {})
        retries = policy.retry.max if policy.retry else 0
        spec = TaskSpec(
            identifier.name,
            identifier.major,
            identifier.minor,
            "default",
            retries,
            False,
            spec_policy(policy, now=0),
        )
        rows.append(NewTask(spec, encode_input(task), frozenset()))
    return submit(bench.link, *rows)


def run(bench: Workbench, *tasks: Task, **options: Any) -> tuple[Job, list[Any]]:
    """Run these tasks; return the job, and all events of it."""
    job_id = submit_with_policies(bench, *tasks)
    bench.runner(*{*map(type, tasks), Leaf}, **options).run_all()
    return bench.job(job_id), [event for s in history(bench.link, job_id) for event in s.commit.events]


def failures(events: list[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, e.AttemptFailed | e.TaskFailed)]


class Leaf(Task):
    def execute(self, context: ExecutionContext) -> None:
        _runs["leaf"] += 1


# -- time limits --------------------------------------------------------------------------------------------------


class Spins(Task, timeout=0.1):
    """Python code that would never end."""

    def execute(self, context: ExecutionContext) -> None:
        context.submit_subtask(Leaf())
        context.current_task.display = "spinning"
        try:
            while True:
                time.sleep(0.001)
        except TaskCanceled:
            _saw.append(context.cancel_reason)
            raise


class Waits(Task, timeout=0.1):
    """A coroutine that would never end."""

    async def execute(self, context: ExecutionContext) -> None:
        context.current_task.display = "spinning"
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            _saw.append(context.cancel_reason)
            raise


class Blocks(Task, timeout=0.1):
    """Waits in native code, where nothing can be raised."""

    async_: bool = False

    def execute(self, context: ExecutionContext) -> Any:
        context.current_task.display = "spinning"
        return self._later() if self.async_ else self._now()

    def _now(self) -> None:
        try:
            assert _release.wait(30)
        finally:
            _saw.append("released")

    async def _later(self) -> None:
        self._now()


class Insists(Task, timeout=0.1):
    """Ends well, after its time."""

    def execute(self, context: ExecutionContext) -> None:
        context.current_task.display = "spinning"
        context.submit_subtask(Leaf())
        try:
            while True:
                time.sleep(0.001)
        except TaskCanceled:
            pass


class Complains(Task, timeout=0.1):
    """Fails on being stopped."""

    async def execute(self, context: ExecutionContext) -> None:
        context.current_task.display = "spinning"
        try:
            await asyncio.Event().wait()
        finally:
            raise KeyError("while it cleaned up")


LIMIT = "the attempt took longer than its time limit of 0.1 s."


@pytest.mark.parametrize(
    "task", [Spins(), Waits(), Insists(), Complains()], ids=lambda task: type(task).__name__
)
def test_an_attempt_that_takes_too_long_is_stopped_and_fails(bench: Workbench, task: Task) -> None:
    job, events = run(bench, task)
    assert job.state == JobState.FAILED.value
    assert states(job) == [FAILED]
    (failed,) = failures(events)
    assert (failed.error.reason, failed.error.message) == ("TimeoutError", f"{LIMIT} It was stopped")
    assert "test_limits.py" in failed.error.traceback or isinstance(task, Insists)
    assert failed.display == "spinning"
    assert _runs["leaf"] == 0
    assert set(_saw) <= {"its time limit of 0.1 s has passed"}


@pytest.mark.parametrize("async_", [False, True], ids=["sync", "async"])
def test_one_that_cannot_be_stopped_is_left_behind_and_fails(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, async_: bool
) -> None:
    monkeypatch.setattr(limits, "MERCY", 0.1)
    job, events = run(bench, Blocks(async_))
    assert states(job) == [FAILED]
    (failed,) = failures(events)
    assert failed.error.reason == "TimeoutError"
    assert failed.error.message == f"{LIMIT} It was stopped, did not end for 0.1 s, and is left behind"
    assert "assert _release.wait(30)" in failed.error.traceback  # where it hangs
    assert failed.display == "spinning"
    assert "Its thread is left behind" in caplog.text
    other, _ = run(bench, Leaf())  # there is a thread for it
    assert is_completed(other)
    assert _saw == []
    _release.set()
    eventually(lambda: _saw == ["released"])


def test_a_runner_with_too_many_threads_left_behind_ends(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MERCY", 0.1)
    monkeypatch.setattr("jobledger.adapters.runner.running.workers.MOST_LEFT_BEHIND", 2)
    jobs = [submit_with_policies(bench, Blocks()) for _ in range(4)]
    with pytest.raises(JobLedgerError, match="2 tasks could not be stopped"):
        bench.runner(Blocks).run_forever()
    assert sorted(states(bench.job(job_id))[0].name for job_id in jobs) == [
        "FAILED",
        "FAILED",
        "QUEUED",
        "QUEUED",
    ]


class InTime(Task, timeout=30):
    def execute(self, context: ExecutionContext) -> None:
        assert not context.canceled
        context.check_canceled()


def test_what_ends_in_time_is_left_alone(bench: Workbench) -> None:
    job, _ = run(bench, *[InTime()] * 200, concurrency=2)
    assert is_completed(job)


class SlowOnce(Task, timeout=0.2, retry=Retry(2, on=("TimeoutError",))):
    def execute(self, context: ExecutionContext) -> None:
        _runs["slow"] += 1
        while context.current_task.attempt == 1:
            time.sleep(0.001)


def test_a_time_limit_is_a_failure_like_others(bench: Workbench) -> None:
    job, events = run(bench, SlowOnce())
    assert is_completed(job)
    assert [type(event).__name__ for event in failures(events)] == ["AttemptFailed"]


# -- retries ------------------------------------------------------------------------------------------------------


class Lost(ConnectionError):
    pass


class Raises(
    Task, retry=Retry(3, on=(ConnectionError, "json.decoder.JSONDecodeError"), give_up=("BrokenPipeError",))
):
    which: str

    KINDS: ClassVar[dict[str, Exception]] = {
        "itself": ConnectionError(),
        "a subclass": Lost("gone"),
        "given up": BrokenPipeError(),
        "another": ValueError(),
    }

    def execute(self, context: ExecutionContext) -> None:
        _runs[self.which] += 1
        raise self.KINDS[self.which]


@pytest.mark.parametrize(
    ("which", "tries"), [("itself", 4), ("a subclass", 4), ("given up", 1), ("another", 1)]
)
def test_only_failures_that_are_worth_it_are_tried_again(bench: Workbench, which: str, tries: int) -> None:
    job, events = run(bench, Raises(which))
    assert states(job) == [FAILED]
    assert len(failures(events)) == _runs[which] == tries


class Malformed(Task, retry=Retry(3, on=("json.decoder.JSONDecodeError",))):
    def execute(self, context: ExecutionContext) -> None:
        import json

        _runs["malformed"] += 1
        json.loads("{")


def test_exceptions_can_be_named_with_their_module(bench: Workbench) -> None:
    run(bench, Malformed())
    assert _runs["malformed"] == 4
