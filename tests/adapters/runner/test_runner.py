"""Runners on a real engine and a real server."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar
from uuid import UUID

import pytest

from jobledger.adapters import protocol as p
from jobledger.adapters.runner.caches.cache import InMemoryCache
from jobledger.adapters.runner.runner import Runner, RunnerContext, TaskRunner
from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.context import ExecutionContext
from jobledger.core.errors import ArgumentError
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.core.task import Task
from support.engines import command, history
from support.waiting import eventually

from .conftest import Workbench, is_completed, states, worker_threads

COMPUTED, FAILED, QUEUED = TaskState.COMPUTED, TaskState.FAILED, TaskState.QUEUED


class Gate:
    """What the tasks of a test wait for, and tell that they have come."""

    def __init__(self) -> None:
        self.arrived = threading.Semaphore(0)
        self.open = threading.Event()

    def wait(self) -> None:
        self.arrived.release()
        assert self.open.wait(30), "the test never opened the gate"

    def wait_for(self, tasks: int = 1) -> None:
        """Return when so many tasks stand at the gate."""
        for _ in range(tasks):
            assert self.arrived.acquire(timeout=20), "no task came to the gate"


_gate = Gate()
_runs: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    global _gate
    _gate = Gate()
    _runs.clear()
    yield
    _gate.open.set()
    assert eventually(lambda: not worker_threads()) is True


@pytest.fixture
def gate() -> Gate:
    return _gate


class Leaf(Task):
    name: str = "leaf"

    def execute(self, context: ExecutionContext) -> None:
        _runs[self.name] += 1


class Blocked(Task):
    def execute(self, context: ExecutionContext) -> None:
        _runs["blocked"] += 1
        _gate.wait()


class FanOut(Task):
    leaves: int
    padding: str = ""
    blocked: int = 0

    def execute(self, context: ExecutionContext) -> None:
        context.submit_subtasks([Leaf(f"{i}{self.padding}") for i in range(self.leaves)])
        context.submit_subtasks([Blocked()] * self.blocked)


class Chain(Task):
    length: int

    def execute(self, context: ExecutionContext) -> None:
        _runs["chain"] += 1
        if self.length:
            context.submit_subtask(Chain(self.length - 1))


# -- running ------------------------------------------------------------------------------------------------------


class Squares(Task):
    numbers: int

    def execute(self, context: ExecutionContext) -> None:
        squares = [context.submit_subtask(Square(n)) for n in range(self.numbers)]
        context.submit_subtask(Sum(), depends_on=squares)


class Square(Task):
    n: int

    def execute(self, context: ExecutionContext) -> None:
        context.job_cache.group("squares")[str(self.n)] = str(self.n**2).encode()


class Sum(Task):
    def execute(self, context: ExecutionContext) -> None:
        total = sum(int(value) for _, value in context.job_cache.group("squares").items())
        context.job_cache["sum"] = str(total).encode()
        context.current_task.display = f"Sum = {total}"


def test_a_map_and_reduce_job_runs_to_its_end(bench: Workbench) -> None:
    cache = InMemoryCache()
    job = bench.run(Squares(40), runs=(Square, Sum), cache=cache, concurrency=3)
    assert is_completed(job)
    assert int(cache.group(str(UUID(job.id)))["sum"]) == sum(n**2 for n in range(40))


def test_a_chain_runs_link_by_link(bench: Workbench) -> None:
    job = bench.run(Chain(30))
    assert is_completed(job)
    assert _runs["chain"] == 31


def test_run_all_returns_at_once_when_nothing_is_ready(bench: Workbench) -> None:
    bench.runner(Leaf).run_all()
    bench.submit(Leaf(), cluster="elsewhere")
    bench.runner(Leaf).run_all()
    assert not _runs


def test_a_runner_can_run_again_and_again(bench: Workbench) -> None:
    runner = bench.runner(Leaf)
    for _ in range(3):
        job_id = bench.submit(Leaf())
        runner.run_all()
        assert is_completed(bench.job(job_id))
    assert worker_threads() == []


def test_tasks_run_at_the_same_time(bench: Workbench, gate: Gate) -> None:
    job_id = bench.submit(*[Blocked()] * 4)
    running = bench.in_background(bench.runner(Blocked, concurrency=4).run_all)
    gate.wait_for(4)
    gate.open.set()
    running.join(20)
    assert is_completed(bench.job(job_id))


def test_a_long_list_of_large_subtasks_is_submitted_in_chunks(bench: Workbench) -> None:
    job_id = bench.submit(FanOut(3000, padding="x" * 500))
    bench.runner(FanOut, Leaf, Blocked).run_all()
    job = bench.job(job_id)
    assert is_completed(job)
    assert len(job.inputs) == 3001
    assert set(_runs.values()) == {1}
    assert len(_runs) == 3000
    assert bench.events(job_id).count("SubtasksStaged") >= 5


class Large(Task):
    megabytes: int

    def execute(self, context: ExecutionContext) -> None:
        context.submit_subtask(Leaf("x" * self.megabytes * 1_000_000))


@pytest.mark.parametrize("megabytes", [5, 9])  # a message has 8 MB at most
def test_a_large_subtask_input_works(bench: Workbench, megabytes: int) -> None:
    job = bench.run(Large(megabytes), runs=(Leaf,))
    assert states(job) == [COMPUTED, COMPUTED]


class UsesContext(Task):
    seen: ClassVar[list[Any]] = []

    def execute(self, context: ExecutionContext) -> None:
        task = context.current_task
        UsesContext.seen.append((context.runner_context, task.job.id, task.job.name))
        context.logger.info("hello from", job=task.job.name)


class Shared(RunnerContext):
    made = 0

    def __init__(self) -> None:
        Shared.made += 1


def test_tasks_share_the_context_of_their_runner(
    bench: Workbench, capsys: pytest.CaptureFixture[str]
) -> None:
    job_id = bench.submit(UsesContext(), UsesContext())
    Shared.made = 0
    bench.runner(UsesContext, context=Shared).run_all()
    first, second = UsesContext.seen
    assert first == second
    assert isinstance(first[0], Shared)
    assert Shared.made == 1
    assert first[1:] == (UUID(job_id), "a job")
    assert 'hello from job="a job"' in capsys.readouterr().out


class Fetch(Task):
    async def execute(self, context: ExecutionContext) -> None:
        await asyncio.sleep(0)
        context.submit_subtask(Leaf())


def test_asynchronous_tasks_run(bench: Workbench) -> None:
    job = bench.run(Fetch(), Fetch(), Fetch(), runs=(Leaf,), concurrency=2)
    assert is_completed(job)
    assert _runs["leaf"] == 3


# -- failing ------------------------------------------------------------------------------------------------------


class Flaky(Task):
    failures: int

    def execute(self, context: ExecutionContext) -> None:
        _runs[f"attempt {context.current_task.attempt}"] += 1
        context.submit_subtask(Leaf())
        if context.current_task.attempt <= self.failures:
            raise ValueError(f"attempt {context.current_task.attempt}")


def failure(bench: Workbench, job_id: str) -> e.TaskFailed:
    (found,) = [
        event
        for s in history(bench.link, job_id)
        for event in s.commit.events
        if isinstance(event, e.TaskFailed)
    ]
    return found


def test_a_failed_attempt_is_tried_again_and_leaves_no_subtasks(bench: Workbench) -> None:
    job_id = bench.submit(Flaky(2), max_retries=2)
    bench.runner(Flaky, Leaf).run_all()
    assert states(bench.job(job_id)) == [COMPUTED, COMPUTED]
    assert _runs == {"attempt 1": 1, "attempt 2": 1, "attempt 3": 1, "leaf": 1}


def test_a_failed_job_is_retried_and_runs_only_what_was_not_computed(bench: Workbench) -> None:
    job_id = bench.submit(Leaf("once"), Flaky(1))
    runner = bench.runner(Flaky, Leaf)
    runner.run_all()
    assert bench.job(job_id).state == JobState.FAILED.value
    failed = failure(bench, job_id)
    assert (failed.error.reason, failed.error.message) == ("ValueError", "attempt 1")
    assert "in execute" in failed.error.traceback
    assert isinstance(command(bench.link, c.RetryJob(job_id, "r1")), p.Done)
    runner.run_all()
    assert is_completed(bench.job(job_id))
    assert _runs["once"] == 1


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


class Hostile(Task):
    how: str

    def execute(self, context: ExecutionContext) -> None:
        if self.how == "exit":
            raise SystemExit(7)
        if self.how == "interrupt":
            raise KeyboardInterrupt
        if self.how == "surrogate":
            raise OSError(os.fsdecode(b"caf\xe9"))
        raise Unspeakable


@pytest.mark.parametrize("how", ["exit", "interrupt", "surrogate", "unspeakable"])
def test_hostile_exceptions_fail_the_task_and_not_the_runner(bench: Workbench, how: str) -> None:
    job_id, other = bench.submit(Hostile(how)), bench.submit(Leaf())
    bench.runner(Hostile, Leaf).run_all()
    assert states(bench.job(job_id)) == [FAILED]
    assert failure(bench, job_id).error.reason in (
        "SystemExit",
        "KeyboardInterrupt",
        "OSError",
        "Unspeakable",
    )
    assert is_completed(bench.job(other))


def test_what_was_submitted_for_other_code_fails_with_the_field(bench: Workbench) -> None:
    class Renamed(Task):
        number: int

        @staticmethod
        def identifier() -> tuple[str, str]:
            return "Leaf", "v0.1"

        def execute(self, context: ExecutionContext) -> None: ...

    job_id = bench.submit(Leaf("text"))
    bench.runner(Renamed).run_all()
    error = failure(bench, job_id).error
    assert error.reason == "InputError"
    assert "Renamed.number" in error.message


def test_a_canceled_job_finishes_what_runs_and_starts_nothing_more(bench: Workbench, gate: Gate) -> None:
    job_id = bench.submit(Blocked(), Blocked())
    running = bench.in_background(bench.runner(Blocked).run_all)
    gate.wait_for(1)
    assert isinstance(command(bench.link, c.CancelJob(job_id, "c1")), p.Done)
    gate.open.set()
    running.join(20)
    assert sorted(states(bench.job(job_id)), key=lambda state: state.value) == [QUEUED, COMPUTED]


# -- bad arguments --------------------------------------------------------------------------------------------------


def test_bad_arguments_are_refused(bare_bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    concurrency: Any
    for concurrency in (0, -1, 5000):
        with pytest.raises(ArgumentError, match="concurrency is 1 to"):
            bare_bench.runner(Leaf, concurrency=concurrency)
    for concurrency in (1.5, "2", True, None):
        with pytest.raises(TypeError, match="whole number"):
            bare_bench.runner(Leaf, concurrency=concurrency)
    with pytest.raises(TypeError, match="JobCache"):
        bare_bench.runner(Leaf, cache={})
    with pytest.raises(ArgumentError, match="no tasks"):
        bare_bench.runner().run_all()
    monkeypatch.setenv("JOBLEDGER_LOG_LEVEL", "loud")
    with pytest.raises(ArgumentError, match="JOBLEDGER_LOG_LEVEL"):
        bare_bench.runner(Leaf)


def test_a_runner_defined_before_its_client_is_connected_later(bench: Workbench) -> None:
    class Client:
        """Where tasks come from, in the shape a Runner needs."""

        def runner(self, tasks: list[type[Task]], **options: Any) -> Any:
            return bench.runner(*tasks, **{**options, "cluster": options["cluster"] or "default"})

    runner = Runner(tasks=[Leaf], context=Shared)
    runner.register(Chain)
    assert [str(identifier) for identifier in runner.task_identifiers] == ["Leaf v0.0", "Chain v0.0"]
    connected = runner.connect_to(Client())  # type: ignore[arg-type]
    job_id = bench.submit(Leaf(), Chain(2))
    connected.run_all()
    assert is_completed(bench.job(job_id))


# -- sharing work -------------------------------------------------------------------------------------------------


def test_what_waits_behind_a_slow_task_goes_to_an_idle_runner(bench: Workbench, gate: Gate) -> None:
    warm_up = bench.submit(FanOut(300))
    first, second = bench.runner(FanOut, Leaf, Blocked), bench.runner(Leaf)
    running = bench.in_background(first.run_forever)
    bench.settled(warm_up)  # the first runner has learned that tasks are short, and takes many at a time
    job_id = bench.submit(Blocked(), *[Leaf(f"second {i}") for i in range(50)])
    gate.wait_for(1)
    other = bench.in_background(second.run_forever)
    eventually(lambda: bench.job(job_id).counts[COMPUTED.value] == 50)
    gate.open.set()
    assert is_completed(bench.settled(job_id))
    assert "TaskReleased" in bench.events(job_id) or _runs["blocked"] == 1
    for runner, thread in ((first, running), (second, other)):
        runner.stop()
        thread.join(20)
    assert set(_runs.values()) == {1}


# -- stopping -----------------------------------------------------------------------------------------------------


def test_stop_lets_running_tasks_finish_and_gives_the_others_back(bench: Workbench, gate: Gate) -> None:
    runner = bench.runner(FanOut, Leaf, Blocked)
    running = bench.in_background(runner.run_forever)
    bench.settled(bench.submit(FanOut(300)))
    job_id = bench.submit(Blocked(), *[Leaf(f"later {i}") for i in range(20)])
    gate.wait_for(1)
    runner.stop()
    eventually(lambda: bench.job(job_id).counts[TaskState.RUNNING.value] == 1)
    gate.open.set()
    running.join(20)
    job = bench.job(job_id)
    assert states(job) == [COMPUTED] + [QUEUED] * 20
    bench.runner(Leaf).run_all()
    assert is_completed(bench.job(job_id))


def test_an_idle_runner_stops_at_once(bench: Workbench) -> None:
    runner = bench.runner(Leaf)
    running = bench.in_background(runner.run_forever)
    bench.settled(bench.submit(Leaf()))
    began = time.monotonic()
    runner.stop()
    running.join(20)
    assert not running.is_alive()
    assert time.monotonic() - began < 5  # the long poll takes 15


def test_a_task_that_outlasts_the_grace_period_is_given_back(bench: Workbench, gate: Gate) -> None:
    runner = bench.runner(Blocked)
    job_id = bench.submit(Blocked())
    running = bench.in_background(lambda: runner.run_forever(grace=0.1))
    gate.wait_for(1)
    runner.stop()
    running.join(20)
    assert states(bench.job(job_id)) == [QUEUED]
    assert bench.events(job_id)[-1] == "TaskReleased"
    gate.open.set()
    eventually(lambda: not worker_threads())
    assert states(bench.job(job_id)) == [QUEUED]  # what came of it afterwards is not wanted


def test_a_task_may_stop_its_runner(bench: Workbench) -> None:
    class Stops(Task):
        def execute(self, context: ExecutionContext) -> None:
            runner.stop()

    runner = bench.runner(Stops)
    job_id = bench.submit(Stops(), Stops())
    runner.run_all()
    assert states(bench.job(job_id)) == [COMPUTED, QUEUED]


def signal_when_running(runner: TaskRunner, gate: Gate, *signals: signal.Signals) -> threading.Thread:
    """Send the signals to this process once a task stands at the gate; after a single one, open the gate."""
    told = threading.Event()
    stop = runner.stop

    def stop_and_tell() -> None:
        stop()
        told.set()

    setattr(runner, "stop", stop_and_tell)  # noqa: B010  what the first signal calls

    def send() -> None:
        gate.wait_for(1)
        for number in signals:
            os.kill(os.getpid(), number)
        if len(signals) == 1 and told.wait(20):
            gate.open.set()

    thread = threading.Thread(target=send)
    thread.start()
    return thread


@pytest.fixture
def handlers() -> Iterator[None]:
    """The signal handlers are the same afterwards."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.usefixtures("handlers")
def test_sigterm_ends_run_forever_after_the_running_task(bench: Workbench, gate: Gate) -> None:
    job_id = bench.submit(Blocked(), Blocked())
    runner = bench.runner(Blocked)
    sender = signal_when_running(runner, gate, signal.SIGTERM)
    runner.run_forever()
    sender.join(20)
    assert states(bench.job(job_id)) == [COMPUTED, QUEUED]


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("run", ["run_forever", "run_all"])
def test_ctrl_c_ends_in_keyboard_interrupt_after_the_running_task(
    bench: Workbench, gate: Gate, run: str
) -> None:
    job_id = bench.submit(Blocked(), Blocked())
    runner = bench.runner(Blocked)
    sender = signal_when_running(runner, gate, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        getattr(runner, run)()
    sender.join(20)
    assert states(bench.job(job_id)) == [COMPUTED, QUEUED]


@pytest.mark.usefixtures("handlers")
def test_a_second_signal_ends_the_run_at_once(bench: Workbench, gate: Gate) -> None:
    job_id = bench.submit(Blocked(), Blocked())
    runner = bench.runner(Blocked)
    sender = signal_when_running(runner, gate, signal.SIGINT, signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        runner.run_forever()
    sender.join(20)
    assert not gate.open.is_set()
    assert states(bench.job(job_id)) == [QUEUED, QUEUED]


def test_sigterm_during_run_all_takes_its_usual_effect_afterwards(bench: Workbench, gate: Gate) -> None:
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        job_id = bench.submit(Blocked(), Blocked())
        runner = bench.runner(Blocked)
        sender = signal_when_running(runner, gate, signal.SIGTERM)
        runner.run_all()
        sender.join(20)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert received == [signal.SIGTERM]
    assert states(bench.job(job_id)) == [COMPUTED, QUEUED]
