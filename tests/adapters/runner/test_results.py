"""What tasks return: kept with the job, read by the tasks that depend on them, whatever the size."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from jobledger.adapters import objects
from jobledger.adapters.by_reference import INLINE_RESULT
from jobledger.core import events as e
from jobledger.core.errors import ArgumentError
from jobledger.core.job import Job
from jobledger.core.lifecycle import TaskState
from jobledger.core.task import ExecutionContext, Task
from support.engines import EngineHarness, history
from support.servers import NatsServer

from .conftest import Workbench, is_completed, states


@pytest.fixture
def nats_server(plain_nats_server: NatsServer) -> NatsServer:
    return plain_nats_server


@dataclass
class Point:
    x: int
    y: int


class Give(Task):
    """Returns a text of this length."""

    size: int

    def execute(self, context: ExecutionContext) -> str:
        return "x" * self.size


class GiveAsync(Task):
    async def execute(self, context: ExecutionContext) -> Point:
        return Point(1, 2)


class GiveNothing(Task):
    def execute(self, context: ExecutionContext) -> None:
        pass


class GiveWhatever(Task):
    def execute(self, context: ExecutionContext):  # type: ignore[no-untyped-def]
        return object()


class GiveWrong(Task):
    def execute(self, context: ExecutionContext) -> dict[str, list[Any]]:
        return {"rows": [1, object()]}


class TakeLengths(Task):
    """Submits some, and returns how long their results are."""

    sizes: list[int]

    def execute(self, context: ExecutionContext) -> None:
        given = [context.submit_subtask(Give(size)) for size in self.sizes]
        context.submit_subtask(Lengths(), depends_on=given)


class Lengths(Task):
    def execute(self, context: ExecutionContext) -> list[int]:
        return [len(text) for text in context.results(as_type=str) if text is not None]


def value_of(bench: Workbench, job_id: str, task: int) -> e.Value | None:
    """Return the result of a task as the log has it."""
    (found,) = [
        event.result
        for stored in history(bench.link, job_id)
        for event in stored.commit.events
        if isinstance(event, e.TaskComputed) and event.task == task
    ]
    return found


def failure_of(bench: Workbench, job_id: str) -> e.Error:
    (found,) = [
        event.error
        for stored in history(bench.link, job_id)
        for event in stored.commit.events
        if isinstance(event, e.TaskFailed)
    ]
    return found


def result_of(bench: Workbench, job: Job, task: int) -> bytes:
    value = value_of(bench, job.id, task)
    assert value is not None
    assert not value.object
    return value.data


def test_a_result_is_in_the_log(bench: Workbench) -> None:
    job = bench.run(Give(3), GiveAsync(), GiveNothing())
    assert is_completed(job)
    assert result_of(bench, job, 0) == b'"xxx"'
    assert result_of(bench, job, 1) == b'{"x":1,"y":2}'
    assert value_of(bench, job.id, 2) is None


def test_a_large_result_is_an_object_of_the_job(bench: Workbench) -> None:
    job = bench.run(Give(INLINE_RESULT - 2), Give(INLINE_RESULT - 1), Give(3_000_000))
    assert is_completed(job)
    assert len(result_of(bench, job, 0)) == INLINE_RESULT
    for task, size in ((1, INLINE_RESULT + 1), (2, 3_000_002)):
        value = value_of(bench, job.id, task)
        assert value is not None
        assert (value.data, value.size) == (b"", size)
        assert objects.job_of(value.object) == job.id
        data = bench.portal.run(objects.get(bench.link.nc, bench.names, value.object))
        assert data == b'"' + b"x" * (size - 2) + b'"'


def test_dependants_read_results_in_order(bench: Workbench) -> None:
    sizes = [5, 2_000_000, 0, 40_000]
    job = bench.run(TakeLengths(sizes), runs=(Give, Lengths))
    assert is_completed(job)
    assert result_of(bench, job, 5) == b"[5,2000000,0,40000]"


def test_more_results_than_fit_one_answer(bench: Workbench) -> None:
    job = bench.run(TakeLengths([30_000] * 60), runs=(Give, Lengths), concurrency=4)
    assert is_completed(job)
    assert result_of(bench, job, 61) == b"[" + b",".join([b"30000"] * 60) + b"]"


class ReadMixed(Task):
    def execute(self, context: ExecutionContext) -> None:
        three = [context.submit_subtask(task) for task in (GiveAsync(), GiveNothing(), GiveAsync())]
        context.submit_subtask(Mixed(), depends_on=[three[2], three[0], three[1]])


class Mixed(Task):
    async def execute(self, context: ExecutionContext) -> list[Any]:
        as_points, plain = context.results(as_type=Point), context.results()
        plain[0]["x"] = 5  # theirs to change
        assert context.results() != plain
        return [as_points, plain[1:]]


def test_results_are_read_plainly_or_as_a_type(bench: Workbench) -> None:
    job = bench.run(ReadMixed(), runs=(GiveAsync, GiveNothing, Mixed))
    assert is_completed(job), failure_of(bench, job.id)
    assert result_of(bench, job, 4) == b'[[{"x":1,"y":2},null,{"x":1,"y":2}],[null,{"x":1,"y":2}]]'


class NoDependencies(Task):
    def execute(self, context: ExecutionContext) -> list[Any]:
        return context.results()


def test_a_task_that_depends_on_nothing_has_no_results_to_read(bench: Workbench) -> None:
    job = bench.run(NoDependencies())
    assert result_of(bench, job, 0) == b"[]"


class ReadAs(Task):
    as_int: bool

    def execute(self, context: ExecutionContext) -> None:
        given = context.submit_subtask(Give(3))
        context.submit_subtask(ReadInt() if self.as_int else ReadComplex(), depends_on=given)


class ReadInt(Task):
    def execute(self, context: ExecutionContext) -> None:
        context.results(as_type=int)


class ReadComplex(Task):
    def execute(self, context: ExecutionContext) -> None:
        context.results(as_type=complex)


def test_a_result_that_is_read_as_something_else(bench: Workbench) -> None:
    job = bench.run(ReadAs(True), runs=(Give, ReadInt))
    error = failure_of(bench, job.id)
    assert error.reason == "ResultError"
    assert "the result of task 1 is no int" in error.message
    job = bench.run(ReadAs(False), runs=(Give, ReadComplex))
    assert "as_type=complex cannot be read from JSON" in failure_of(bench, job.id).message


def test_what_a_task_promised_and_cannot_be_a_result_fails_it(bench: Workbench) -> None:
    job = bench.run(GiveWrong())
    assert states(job) == [TaskState.FAILED]
    error = failure_of(bench, job.id)
    assert error.reason == "ResultError"
    assert "GiveWrong.execute returned" in error.message
    assert "['rows'][1] of it" in error.message


def test_what_nobody_promised_is_dropped_with_a_warning(
    bench: Workbench, capsys: pytest.CaptureFixture[str]
) -> None:
    job = bench.run(GiveWhatever())
    assert is_completed(job)
    assert value_of(bench, job.id, 0) is None
    assert "The result of the task is dropped: GiveWhatever.execute returned" in capsys.readouterr().out


class Parent(Task):
    def execute(self, context: ExecutionContext) -> str:
        first = context.submit_subtask(Give(100_000))
        second = context.submit_subtask(Give(4))
        context.submit_subtask(FlakyReader(), depends_on=[first, second], max_retries=1)
        return "parent"


class FlakyReader(Task):
    def execute(self, context: ExecutionContext) -> list[int]:
        found = [len(text or "") for text in context.results(str)]
        if context.current_task.attempt == 1:
            raise ValueError("not yet")
        return found


def test_a_retry_reads_the_same_results(bench: Workbench) -> None:
    job = bench.run(Parent(), runs=(Give, FlakyReader))
    assert is_completed(job)
    assert result_of(bench, job, 3) == b"[100000,4]"


def test_results_outlive_the_engine(
    bare_bench: Workbench, start_engine: Callable[..., EngineHarness]
) -> None:
    bench, ran = bare_bench, threading.Event()

    class Second(Task):
        def execute(self, context: ExecutionContext) -> list[int]:
            return [len(text or "") for text in context.results(str)]

    class First(Task):
        def execute(self, context: ExecutionContext) -> None:
            context.submit_subtask(
                Second(), depends_on=[context.submit_subtask(Give(n)) for n in (7, 50_000)]
            )
            ran.set()

    engine = start_engine()
    job_id = bench.submit(First())
    bench.runner(First, Give).run_all()
    engine.stop()
    start_engine()
    bench.runner(Second).run_all()
    assert ran.is_set()
    assert result_of(bench, bench.job(job_id), 3) == b"[7,50000]"


# -- large inputs -------------------------------------------------------------------------------------------------


class Measure(Task):
    text: str

    def execute(self, context: ExecutionContext) -> int:
        return len(self.text)


class MeasureAll(Task):
    sizes: list[int]

    def execute(self, context: ExecutionContext) -> None:
        tasks = [Measure(os.urandom(size // 2).hex()) for size in self.sizes]
        first = context.submit_subtasks(tasks[:1])
        context.submit_subtasks(tasks[1:], depends_on=first)


def test_large_inputs_of_subtasks(bench: Workbench) -> None:
    sizes = [10, 3_000_000, 200_000, 20, 131_000]
    job = bench.run(MeasureAll(sizes), runs=(Measure,))
    assert is_completed(job)
    assert [result_of(bench, job, 1 + n) for n in range(5)] == [str(size).encode() for size in sizes]
    stored = [n for n in range(len(job.inputs)) if job.inputs[n].startswith(job.id.encode())]
    assert stored == [2, 3]  # the others are in the log themselves


def test_a_long_list_of_large_inputs(bench: Workbench) -> None:
    job = bench.run(MeasureAll([150_000] * 20), runs=(Measure,), concurrency=2)
    assert is_completed(job)
    assert [result_of(bench, job, 1 + n) for n in range(20)] == [b"150000"] * 20
    assert "SubtasksStaged" not in bench.events(job.id)  # names are short


class Same(Task):
    def execute(self, context: ExecutionContext) -> None:
        context.submit_subtasks([Measure("y" * 500_000) for _ in range(5)])


def test_the_same_large_input_is_stored_once(bench: Workbench) -> None:
    job = bench.run(Same(), runs=(Measure,))
    assert is_completed(job)
    assert len(set(job.inputs[1:])) == 1
    stored = bench.portal.run(objects.purge(bench.link.nc, bench.names, job.id))
    assert stored == 1


def test_a_large_input_that_is_gone_fails_the_task(bench: Workbench) -> None:
    job_id = bench.submit(Same())
    bench.runner(Same).run_all()
    bench.portal.run(objects.purge(bench.link.nc, bench.names, job_id))
    bench.runner(Measure).run_all()
    error = failure_of(bench, job_id)
    assert error.reason == "MissingObject"
    assert f"job {job_id} was deleted, or its objects were removed" in error.message


class TooMuch(Task):
    def execute(self, context: ExecutionContext) -> None:
        context.submit_subtask(Measure("z" * 200_000))


def test_more_than_the_cap_is_refused_where_it_is_submitted(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobledger.adapters.by_reference.LARGEST", 150_000)
    job = bench.run(TooMuch(), runs=(Measure,))
    error = failure_of(bench, job.id)
    assert error.reason == ArgumentError.__name__
    assert "the input of Measure has 200,002 bytes, at most 150,000 are possible" in error.message
