"""What a runner says to the engine, and how it takes what the engine says: against an engine that follows a script."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from jobledger.adapters import protocol as p
from jobledger.adapters.runner.session import Session
from jobledger.core import commands as c
from jobledger.core.context import ExecutionContext
from jobledger.core.errors import JobLedgerError, ServerUnavailable
from jobledger.core.submission import TaskSpec
from jobledger.core.task import Task
from support.waiting import eventually

from .conftest import Workbench, worker_threads
from .scripted import JOB, ScriptedEngine, ended, handed_out

_runs: Counter[int] = Counter()
_gate = threading.Event()


class Count(Task):
    number: int

    def execute(self, context: ExecutionContext) -> None:
        _runs[self.number] += 1


class Wait(Task):
    number: int

    def execute(self, context: ExecutionContext) -> None:
        assert _gate.wait(20)
        _runs[self.number] += 1


class Fan(Task):
    number: int

    def execute(self, context: ExecutionContext) -> None:
        context.submit_subtasks([Pad("x" * 1000)] * 600)


class Fail(Task):
    wait: bool

    def execute(self, context: ExecutionContext) -> None:
        assert not self.wait or _gate.wait(20)
        raise ValueError("it broke")


class Pad(Task):
    text: str

    def execute(self, context: ExecutionContext) -> None: ...


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    _runs.clear()
    _gate.clear()
    yield
    _gate.set()
    assert eventually(lambda: not worker_threads()) is True


@pytest.fixture
def engine(bare_bench: Workbench) -> ScriptedEngine:
    return ScriptedEngine(bare_bench)


def start(bench: Workbench, run: str = "run_all", **options: Any) -> threading.Thread:
    runner = bench.runner(Count, Wait, Fan, Fail, Pad, **options)
    return bench.in_background(getattr(runner, run))


# -- what it asks for ---------------------------------------------------------------------------------------------


def test_a_run_ends_with_an_exchange_that_finds_nothing(
    bare_bench: Workbench, engine: ScriptedEngine
) -> None:
    running = start(bare_bench)
    first = engine.next()
    assert (first.says.limit, first.says.wait, first.says.holds) == (1, 0.0, None)
    assert first.says.cluster == "default"
    assert ("Count", 0, 0) in first.says.identifiers
    first.answer(handed_out(Count(1)))
    second = engine.next()
    assert ended(second) == [("ReportComputed", 0)]
    assert second.says.wait == 0.0
    second.answer()
    running.join(20)
    assert not running.is_alive()
    assert engine.nothing_asked()


def test_short_tasks_are_asked_for_by_the_hundred(bare_bench: Workbench, engine: ScriptedEngine) -> None:
    running = start(bare_bench)
    engine.next().answer(handed_out(Count(1)))
    second = engine.next()
    assert second.says.limit > 50
    second.answer(handed_out(*map(Count, range(400)), first=1))
    assert sorted(engine.answer_to_the_end(running)) == [("ReportComputed", task) for task in range(1, 401)]
    assert len(_runs) == 400


def test_while_something_runs_the_engine_may_hold_an_exchange_open(
    bare_bench: Workbench, engine: ScriptedEngine
) -> None:
    running = start(bare_bench, concurrency=2)
    engine.next().answer(handed_out(Wait(1)))
    held_open = engine.next()
    assert held_open.says.wait > 5
    assert held_open.says.limit == 1
    assert held_open.says.reports == []
    _gate.set()
    report = engine.next()  # a newer one: the engine now answers the other
    assert ended(report) == [("ReportComputed", 0)]
    assert report.says.wait == 0.0
    held_open.answer()
    report.answer()
    assert engine.answer_to_the_end(running) == []


def test_run_forever_waits_for_more(bare_bench: Workbench, engine: ScriptedEngine) -> None:
    runner = bare_bench.runner(Count)
    running = bare_bench.in_background(runner.run_forever)
    first = engine.next()
    assert first.says.wait > 5
    first.answer(handed_out(Count(1)))
    engine.next().answer()
    held_open = engine.next()
    assert held_open.says.wait > 5
    runner.stop()
    last = engine.next()  # it makes the engine answer
    assert (last.says.limit, last.says.wait) == (0, 0.0)
    held_open.answer(handed_out(Count(2), first=1))  # too late
    last.answer()
    back = engine.next()
    assert ended(back) == [("ReleaseTask", 1)]
    back.answer()
    running.join(20)
    assert not running.is_alive()
    assert _runs == {1: 1}


def test_registered_later_means_announced_later(bare_bench: Workbench, engine: ScriptedEngine) -> None:
    runner = bare_bench.runner(Count)
    running = bare_bench.in_background(runner.run_all)
    first = engine.next()
    assert first.says.identifiers == [("Count", 0, 0)]
    runner.register(Wait)
    first.answer(handed_out(Count(1)))
    second = engine.next()
    assert second.says.identifiers == [("Count", 0, 0), ("Wait", 0, 0)]
    second.answer()
    running.join(20)


def test_what_it_has_no_class_for_is_given_back(bare_bench: Workbench, engine: ScriptedEngine) -> None:
    running = start(bare_bench)
    spec = TaskSpec("Unknown", 1, 0, "default")
    engine.next().answer(p.ClaimedJob(JOB, "a job", [spec], [p.ClaimedTask(0, 1, 0, b"")]))
    asked = engine.next()
    (report,) = asked.says.reports
    assert isinstance(report, c.ReleaseTask)
    assert "Unknown v1.0" in report.reason
    asked.answer()
    running.join(20)


# -- answers that get lost ------------------------------------------------------------------------------------------


def test_after_a_lost_answer_it_says_what_it_holds(bare_bench: Workbench, engine: ScriptedEngine) -> None:
    running = start(bare_bench)
    lost = engine.next()
    engine.restart()
    again = engine.next()
    assert again.says.holds == []
    assert (again.says.limit, again.says.wait) == (0, 0.0)
    again.answer(handed_out(Count(1)))  # what the lost answer handed out
    lost.answer(handed_out(Count(1)))  # nobody listens any more
    once_more = engine.next()
    assert once_more.says.holds is not None
    once_more.answer()
    engine.answer_to_the_end(running)
    assert _runs == {1: 1}


def test_a_report_is_repeated_until_it_is_answered(bare_bench: Workbench, engine: ScriptedEngine) -> None:
    running = start(bare_bench)
    engine.next().answer(handed_out(Count(1)))
    for _ in range(3):
        asked = engine.next()
        assert ended(asked) == [("ReportComputed", 0)]
        engine.restart()
    asked = engine.next()
    assert ended(asked) == [("ReportComputed", 0)]
    assert asked.says.holds == [p.AttemptRef(JOB, 0, 1)]
    asked.reply(p.Unavailable("the log is away"))
    asked = engine.next()
    assert ended(asked) == [("ReportComputed", 0)]
    asked.answer()
    asked = engine.next()
    assert asked.says.reports == []
    assert asked.says.holds == []
    asked.answer()
    engine.answer_to_the_end(running)
    assert _runs == {1: 1}


def test_what_is_handed_out_twice_runs_once(bare_bench: Workbench, engine: ScriptedEngine) -> None:
    running = start(bare_bench, concurrency=2)
    engine.next().answer(handed_out(Wait(1)))
    engine.next().answer(handed_out(Wait(1), Wait(2)))
    _gate.set()
    assert sorted(engine.answer_to_the_end(running)) == [("ReportComputed", 0), ("ReportComputed", 1)]
    assert _runs == {1: 1, 2: 1}


def test_a_repetition_that_comes_after_the_report_runs_nothing(
    bare_bench: Workbench, engine: ScriptedEngine
) -> None:
    running = start(bare_bench, concurrency=2)
    engine.next().answer(handed_out(Wait(1)))
    engine.next()  # held open, and lost …
    engine.restart()
    recount = engine.next()  # … so it is asked what is held; its answer is slow
    assert recount.says.holds == [p.AttemptRef(JOB, 0, 1)]
    _gate.set()
    report = engine.next()
    assert ended(report) == [("ReportComputed", 0)]
    report.answer()
    eventually(lambda: _runs == {1: 1})
    recount.answer(handed_out(Wait(1)))
    engine.answer_to_the_end(running)
    assert _runs == {1: 1}


# -- refusals -----------------------------------------------------------------------------------------------------


def test_chunks_of_subtasks_wait_for_each_other(bare_bench: Workbench, engine: ScriptedEngine) -> None:
    running = start(bare_bench)
    engine.next().answer(handed_out(Fan(1)))
    first = engine.next()
    assert ended(first) == [("StageSubtasks", 0)]
    first.answer()
    assert engine.answer_to_the_end(running) == [("StageSubtasks", 0), ("ReportComputed", 0)]


def test_refused_subtasks_fail_the_task(bare_bench: Workbench, engine: ScriptedEngine) -> None:
    running = start(bare_bench)
    engine.next().answer(handed_out(Fan(1)))
    engine.next().answer(refused=(p.RefusedReport(0, "invalid", "malformed submission"),))
    asked = engine.next()
    (report,) = asked.says.reports
    assert isinstance(report, c.ReportFailed)
    assert report.error.reason == "SubmissionRefused"
    assert "malformed submission" in report.error.message
    asked.answer()
    running.join(20)


def test_a_stale_report_is_dropped(
    bare_bench: Workbench, engine: ScriptedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    running = start(bare_bench)
    engine.next().answer(handed_out(Count(1)))
    engine.next().answer(refused=(p.RefusedReport(0, "stale", "attempt 1 of task 0 is over"),))
    assert engine.answer_to_the_end(running) == []
    assert "attempt 1 of task 0 is over" in caplog.text


def test_an_exchange_refused_as_a_whole_is_split(bare_bench: Workbench, engine: ScriptedEngine) -> None:
    running = start(bare_bench)
    engine.next().answer(handed_out(*map(Count, range(20))))
    together = engine.next()
    assert len(together.says.reports) > 1
    together.reply(p.Refused("internal", "the engine failed"))
    reports = []
    for _ in together.says.reports:
        asked = engine.next()
        assert len(asked.says.reports) == 1
        reports += ended(asked)
        asked.answer()
    reports += engine.answer_to_the_end(running)
    assert sorted(reports) == [("ReportComputed", task) for task in range(20)]
    assert set(_runs.values()) == {1}


def test_an_engine_of_another_language_ends_the_run(bare_bench: Workbench, engine: ScriptedEngine) -> None:
    failed: list[Exception] = []

    def run() -> None:
        try:
            bare_bench.runner(Count).run_all()
        except JobLedgerError as error:
            failed.append(error)

    running = bare_bench.in_background(run)
    engine.next().reply(p.Refused("invalid", "the request cannot be decoded"))
    running.join(20)
    assert "the request cannot be decoded" in str(failed[0])


def test_an_engine_that_fails_once_is_asked_again(bare_bench: Workbench, engine: ScriptedEngine) -> None:
    running = start(bare_bench)
    engine.next().reply(p.Refused("internal", "the engine failed"))
    asked = engine.next()
    assert asked.says.holds == []
    asked.answer(handed_out(Count(1)))
    engine.answer_to_the_end(running)
    assert _runs == {1: 1}


# -- leases -------------------------------------------------------------------------------------------------------


def test_heartbeats_name_what_is_held(bare_bench: Workbench, engine: ScriptedEngine) -> None:
    running = start(bare_bench)
    engine.next().answer(handed_out(Wait(1)), lease=0.15)
    for _ in range(3):
        beat = engine.heartbeats.get(timeout=20)
        assert beat.holds == [p.AttemptRef(JOB, 0, 1)]
    _gate.set()
    engine.next().answer()
    running.join(20)


def test_what_was_lost_is_dropped(
    bare_bench: Workbench, engine: ScriptedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    running = start(bare_bench)
    engine.lost = [p.AttemptRef(JOB, 0, 1), p.AttemptRef(JOB, 1, 1)]
    engine.next().answer(handed_out(Wait(0), Wait(1), Wait(2)), lease=0.15)
    engine.heartbeats.get(timeout=20)
    eventually(lambda: len(caplog.records) >= 2)
    _gate.set()
    assert engine.answer_to_the_end(running) == [("ReportComputed", 2)]
    assert 1 not in _runs


def test_a_failure_nobody_wants_to_know_of_holds_up_nothing(
    bare_bench: Workbench, engine: ScriptedEngine
) -> None:
    running = start(bare_bench)
    engine.lost = [p.AttemptRef(JOB, 0, 1)]
    engine.next().answer(handed_out(Fail(wait=True), Count(1)), lease=0.15)
    engine.heartbeats.get(timeout=20)
    while engine.heartbeats.get(timeout=20).holds != [p.AttemptRef(JOB, 1, 1)]:
        pass  # until it was told
    _gate.set()
    assert engine.answer_to_the_end(running) == [("ReportComputed", 1)]


def test_what_a_failure_holds_up_is_given_back_when_the_runner_stops(
    bare_bench: Workbench, engine: ScriptedEngine
) -> None:
    runner = bare_bench.runner(Fail, Count)
    running = bare_bench.in_background(runner.run_all)
    engine.next().answer(handed_out(Fail(wait=False), Count(1)))
    failure = engine.next()
    assert ended(failure) == [("ReportFailed", 0)]
    runner.stop()
    back = engine.next()
    assert ended(back) == [("ReleaseTask", 1)]
    failure.answer()
    back.answer()
    assert engine.answer_to_the_end(running) == []
    assert not _runs


def test_a_failure_is_answered_before_more_of_its_job_begins(
    bare_bench: Workbench, engine: ScriptedEngine
) -> None:
    running = start(bare_bench)
    engine.next().answer(handed_out(Count(0)))
    engine.next().answer(handed_out(Fail(wait=False), Count(1), Count(2), first=1))
    together = engine.next()
    assert ended(together) == [("ReportFailed", 1)]
    together.reply(p.Refused("internal", "the engine failed"))
    alone = engine.next()
    assert ended(alone) == [("ReportFailed", 1)]
    assert _runs == {0: 1}
    alone.answer()
    assert engine.answer_to_the_end(running) == [("ReportComputed", 2), ("ReportComputed", 3)]


def test_a_runner_without_a_server_gives_up_when_patience_ends(bare_bench: Workbench) -> None:
    from jobledger.adapters.runner.attempt.context import Equipment
    from jobledger.adapters.runner.caches.cache import NoCache
    from jobledger.adapters.runner.registry import TaskRegistry

    equipment = Equipment(TaskRegistry([Count]), NoCache(), "default", None, 20, 1000)

    async def run() -> None:
        await asyncio.wait_for(session.run(), 20)

    session = Session(bare_bench.link, equipment, 1, forever=False, grace=1.0, patience=0.2)
    with pytest.raises(ServerUnavailable, match=r"no answer from the engine for 0\.2 s"):
        bare_bench.portal.run(run())
    session.join()
