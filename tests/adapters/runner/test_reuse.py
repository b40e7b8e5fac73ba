"""`reuse=True`: an earlier success of the same code and input stands for a task, and it does not run again."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from jobledger.adapters import objects, successes
from jobledger.adapters.engine import aftermath
from jobledger.adapters.nats import leader
from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.context import FutureTask
from jobledger.core.options import policy_of, spec_policy
from jobledger.core.submission import NewTask, TaskSpec
from jobledger.core.task import ExecutionContext, Task, encode_input, identifier_of
from support.engines import command, history, submission
from support.servers import NatsServer
from support.waiting import eventually

from .conftest import Workbench, is_completed

_runs: Counter[str] = Counter()
_gate = threading.Event()


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    _runs.clear()
    _gate.clear()
    yield
    _gate.set()


@pytest.fixture
def nats_server(plain_nats_server: NatsServer) -> NatsServer:
    return plain_nats_server


class Count(Task, reuse=True):
    text: str

    def execute(self, context: ExecutionContext) -> int:
        _runs["Count"] += 1
        return len(self.text)


class Large(Task, reuse=True):
    size: int

    def execute(self, context: ExecutionContext) -> str:
        _runs["Large"] += 1
        return "x" * self.size


class Asked(Task):
    """Does not say by itself that it may be reused."""

    def execute(self, context: ExecutionContext) -> int:
        _runs["Asked"] += 1
        return 1


class AskedParent(Task):
    reuse: bool

    def execute(self, context: ExecutionContext) -> None:
        context.submit_subtask(Asked(), reuse=self.reuse)


class Tree(Task, reuse=True):
    """Complete only when its subtask is."""

    def execute(self, context: ExecutionContext) -> str:
        _runs["Tree"] += 1
        context.submit_subtask(Gated())
        return "tree"


class Gated(Task):
    def execute(self, context: ExecutionContext) -> None:
        _runs["Gated"] += 1


class Broken(Task, reuse=True):
    def execute(self, context: ExecutionContext) -> None:
        _runs["Broken"] += 1
        raise ValueError("as ever")


class Reader(Task):
    def execute(self, context: ExecutionContext) -> None:
        given: list[FutureTask] = [
            context.submit_subtask(Count("abc")),
            context.submit_subtask(Large(50_000)),
        ]
        context.submit_subtask(Sum(), depends_on=given)


class Sum(Task):
    def execute(self, context: ExecutionContext) -> int:
        number, text = context.results()
        return int(number) + len(text)


def new(task: Task) -> NewTask:
    """Return the task as a client submits it."""
    identifier = identifier_of(task)
    policy = spec_policy(policy_of(task, {}), now=0)
    spec = TaskSpec(identifier.name, identifier.major, identifier.minor, "default", policy=policy)
    return NewTask(spec, encode_input(task), frozenset())


def submit(bench: Workbench, *tasks: Task, force: bool = False) -> str:
    job_id = uuid4().hex
    options = e.JobOptions(force=True) if force else None
    command(bench.link, c.SubmitJob(job_id, "a job", submission(*map(new, tasks)), options=options))
    return job_id


def run(bench: Workbench, *tasks: Task, runs: tuple[type[Task], ...] = (), force: bool = False) -> str:
    """Submit a job, run it as far as it goes, and return its id."""
    job_id = submit(bench, *tasks, force=force)
    bench.runner(*{*map(type, tasks), *runs}).run_all()
    return job_id


def of_kind(bench: Workbench, job_id: str, kind: type[Any]) -> list[Any]:
    return [
        event
        for stored in history(bench.link, job_id)
        for event in stored.commit.events
        if type(event) is kind
    ]


def noted(bench: Workbench) -> int:
    """Return how many successes may be reused."""
    stream = f"KV_{bench.names.reuse_bucket}"
    pattern = f"$KV.{bench.names.reuse_bucket}.key.*"
    return len(bench.portal.run(leader.subjects_in(bench.link.nc, stream, pattern)))


def await_notes(bench: Workbench, count: int) -> None:
    eventually(lambda: noted(bench) == count)


def delete(bench: Workbench, job_id: str) -> None:
    command(bench.link, c.DeleteJob(job_id, uuid4().hex))


def test_the_same_task_with_the_same_input_runs_once(bench: Workbench) -> None:
    first = run(bench, Count("abc"))
    await_notes(bench, 1)
    second = run(bench, Count("abc"))
    assert _runs["Count"] == 1
    assert is_completed(bench.job(second))
    (reused,) = of_kind(bench, second, e.TaskReused)
    assert (reused.source_job, reused.source_task) == (first, 0)
    assert reused.result == e.Value(b"3")
    third = run(bench, Count("abc"))  # the source is still the one that ran
    assert of_kind(bench, third, e.TaskReused)[0].source_job == first


def test_successes_are_reused_at_once(bench: Workbench) -> None:
    tasks = [Count("a" * number) for number in range(200)]
    run(bench, *tasks)
    again = run(bench, *tasks)
    assert _runs["Count"] == len(tasks)
    assert len(of_kind(bench, again, e.TaskReused)) == len(tasks)


def test_a_task_is_not_handed_out_while_an_earlier_success_is_being_noted(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember, may_note = successes.remember, asyncio.Event()

    async def slow(*success: Any) -> None:
        await may_note.wait()
        await remember(*success)

    monkeypatch.setattr(successes, "remember", slow)
    monkeypatch.setattr(aftermath, "_WORTH", 20.0)
    run(bench, Count("abc"))
    second = submit(bench, Count("abc"))
    running = bench.in_background(bench.runner(Count).run_all)
    eventually(lambda: bench.job(second).claimed_by)
    bench.portal.loop.call_soon_threadsafe(may_note.set)
    running.join(20)
    assert len(of_kind(bench, second, e.TaskReused)) == 1


def test_another_input_runs(bench: Workbench) -> None:
    run(bench, Count("abc"))
    await_notes(bench, 1)
    run(bench, Count("abcd"))
    assert _runs["Count"] == 2


def count_of(body: str, version: str = "v0.0") -> Callable[[str], Task]:
    """Return a class called Count with this code."""
    code = f"""
class Count(Task, reuse=True):
    text: str

    @staticmethod
    def identifier():
        return "Count", "{version}"

    def execute(self, context):
        {body}
"""
    names: dict[str, Any] = {"Task": Task, "runs": _runs, "__name__": __name__}
    exec(compile(code, "<code>", "exec", dont_inherit=True), names)  # noqa: S102
    cls: Callable[[str], Task] = names["Count"]
    return cls


def test_other_code_runs_and_other_versions_do(bench: Workbench) -> None:
    body = "runs['Count'] += 1; return len(self.text)"
    variants = [count_of(body), count_of(body + " + 1"), count_of(body, "v0.1"), count_of(body, "v1.0")]
    for number, cls in enumerate(variants, 1):
        for _ in range(2):
            job_id = run(bench, cls("abc"))
            await_notes(bench, number)
        assert len(of_kind(bench, job_id, e.TaskReused)) == 1
    assert _runs["Count"] == len(variants)


def test_force_runs_and_is_reused_from_then_on(bench: Workbench) -> None:
    run(bench, Count("abc"))
    await_notes(bench, 1)
    forced = run(bench, Count("abc"), force=True)
    assert _runs["Count"] == 2
    assert not of_kind(bench, forced, e.TaskReused)

    def latest() -> str:
        job_id = run(bench, Count("abc"))
        (reused,) = of_kind(bench, job_id, e.TaskReused)
        return str(reused.source_job)

    eventually(lambda: latest() == forced)


@pytest.mark.parametrize("reuse", [True, False])
def test_a_subtask_is_reused_where_that_was_asked_for(bench: Workbench, reuse: bool) -> None:
    run(bench, AskedParent(reuse), runs=(Asked,))
    if reuse:
        await_notes(bench, 1)
    run(bench, AskedParent(reuse), runs=(Asked,))
    assert _runs["Asked"] == (1 if reuse else 2)


def test_a_failure_is_not_reused(bench: Workbench) -> None:
    for _ in range(2):
        run(bench, Broken())
    assert _runs["Broken"] == 2
    assert noted(bench) == 0


def test_a_success_counts_once_everything_below_it_is_complete(bench: Workbench) -> None:
    first = run(bench, Tree())  # Gated is left to others
    run(bench, Tree())
    assert _runs["Tree"] == 2
    assert noted(bench) == 0
    bench.runner(Gated).run_all()
    assert is_completed(bench.job(first))
    await_notes(bench, 1)
    third = run(bench, Tree(), runs=(Gated,))
    assert is_completed(bench.job(third))
    assert _runs["Tree"] == 2
    assert _runs["Gated"] == 2
    assert len(bench.job(third).inputs) == 1


def test_reused_results_are_read_as_any(bench: Workbench) -> None:
    run(bench, Count("abc"), Large(50_000))
    await_notes(bench, 2)
    job_id = run(bench, Reader(), runs=(Count, Large, Sum))
    assert len(of_kind(bench, job_id, e.TaskReused)) == 2
    assert of_kind(bench, job_id, e.TaskComputed)[-1].result == e.Value(b"50003")


def test_a_large_result_outlives_the_job_it_came_from(bench: Workbench) -> None:
    first = run(bench, Large(200_000))
    await_notes(bench, 1)
    second = run(bench, Large(200_000))
    (reused,) = of_kind(bench, second, e.TaskReused)
    assert objects.job_of(reused.result.object) == second
    delete(bench, first)
    await_notes(bench, 0)
    data = bench.portal.run(objects.get(bench.link.nc, bench.names, reused.result.object))
    assert len(data) == reused.result.size == 200_002


def test_a_large_result_that_is_gone_is_computed_again(bench: Workbench) -> None:
    first = run(bench, Large(200_000))
    await_notes(bench, 1)
    bench.portal.run(objects.purge(bench.link.nc, bench.names, first))
    second = run(bench, Large(200_000))
    assert is_completed(bench.job(second))
    assert not of_kind(bench, second, e.TaskReused)
    assert _runs["Large"] == 2


def test_nothing_of_a_deleted_job_is_reused(bench: Workbench) -> None:
    first = run(bench, Count("abc"), Large(200_000))
    await_notes(bench, 2)
    delete(bench, first)
    await_notes(bench, 0)
    run(bench, Count("abc"), Large(200_000))
    assert _runs == {"Count": 2, "Large": 2}


def test_a_large_input_is_looked_up_without_being_read(bench: Workbench) -> None:
    class Same(Task):
        def execute(self, context: ExecutionContext) -> None:
            context.submit_subtask(Count("y" * 400_000))

    run(bench, Same(), runs=(Count,))
    await_notes(bench, 1)
    job_id = uuid4().hex
    command(bench.link, c.SubmitJob(job_id, "a job", submission(new(Same()))))
    bench.runner(Same).run_all()
    bench.portal.run(objects.purge(bench.link.nc, bench.names, job_id))
    bench.runner(Count).run_all()
    assert len(of_kind(bench, job_id, e.TaskReused)) == 1
    assert _runs["Count"] == 1


def test_an_entry_that_says_nonsense_is_passed_over(bench: Workbench) -> None:
    first = run(bench, Large(200_000))
    await_notes(bench, 1)
    stream = f"KV_{bench.names.reuse_bucket}"
    (entry,) = bench.portal.run(
        leader.subjects_in(bench.link.nc, stream, f"$KV.{bench.names.reuse_bucket}.key.*")
    )
    key = bytes.fromhex(entry.rpartition(".")[2])
    gone = successes.Success(first, 0, e.Value(object=f"{first}/{'0' * 64}", size=9))
    bench.portal.run(successes.remember(bench.link.nc, bench.names, key, gone))
    second = run(bench, Large(200_000))
    assert is_completed(bench.job(second))
    assert _runs["Large"] == 2
