"""The first task that waits for others, as a runner that keeps to the order is told it, however large the job."""

from __future__ import annotations

import random

import pytest

from jobledger.adapters.engine.runners.waits import Waits
from jobledger.adapters.protocol import Order
from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.decisions import decide
from jobledger.core.graph import WAITING, TaskGraph
from jobledger.core.job import Job, evolve
from jobledger.core.lifecycle import TaskState
from support.histories import submission, task

JOB = "a job"


def job_of(*tasks: object) -> Job:
    job = Job(JOB)
    evolve(job, e.JobSubmitted("a job", submission(*tasks)), 1)  # type: ignore[arg-type]
    return job


def do(job: Job, command: c.Command) -> None:
    for event in decide(job, command, 1):
        evolve(job, event, 1)


def run(job: Job, number: int) -> None:
    attempt = job.attempt[number] + 1
    evolve(job, e.TasksClaimed("runner", attempt, [number, number + 1]), 1)
    do(job, c.ReportComputed(JOB, number, attempt, 1, 2))


def expected(job: Job) -> Order | None:
    """The answer, by looking at every task."""
    graph = job.graph
    waiting = [
        (-job.spec_of(number).asked.priority, -graph.depth[number], number)
        for number in range(len(graph))
        if graph.status[number] == TaskState.QUEUED.value and graph.ready[number] == WAITING
    ]
    return min(waiting, default=None)


def test_of_a_chain_it_is_the_next_task_but_one() -> None:
    job, waits = job_of(task(), task(after=[0]), task(after=[1])), Waits()
    assert waits.first(job) == (0, 0, 1)
    run(job, 0)
    assert waits.first(job) == (0, 0, 2)
    run(job, 1)
    assert waits.first(job) is None


def test_the_most_urgent_one_comes_first() -> None:
    job = job_of(task(), task(after=[0]), task("Other", after=[0], priority=5))
    assert Waits().first(job) == (-5, 0, 2)


def test_what_a_retry_makes_wait_again_is_found_again() -> None:
    job, waits = job_of(task(), task(after=[0])), Waits()
    do(job, c.CancelTask(JOB, "cancel", 0))
    assert waits.first(job) is None
    do(job, c.RetryJob(JOB, "retry"))
    assert waits.first(job) == (0, 0, 1)


@pytest.mark.parametrize("seed", range(20))
def test_it_is_what_a_look_at_every_task_finds(seed: int) -> None:
    chance, job, waits = random.Random(seed), Job(JOB), Waits()
    tasks = []
    for number in range(40):
        after = chance.sample(range(number), chance.randrange(min(number, 3) + 1))
        tasks.append(task(chance.choice("ab"), after=after, priority=chance.choice([0, 0, 3])))
    evolve(job, e.JobSubmitted("a job", submission(*tasks)), 1)
    while ready := job.graph.next_ready(range(len(job.specs)), 5):
        assert waits.first(job) == expected(job)
        if chance.random() < 0.1 and job.attempt[ready[0]] == 0:
            do(job, c.CancelTask(JOB, f"cancel {ready[0]}", ready[0]))
            continue
        run(job, chance.choice(ready))
    assert waits.first(job) == expected(job)


def test_a_task_is_not_looked_at_again_for_every_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    job, waits = job_of(*[task(after=[n - 1] if n else ()) for n in range(300)]), Waits()
    asked: list[int] = []
    is_met = TaskGraph.is_met

    def counted(graph: TaskGraph, index: int) -> bool:
        asked.append(index)
        return is_met(graph, index)

    monkeypatch.setattr(TaskGraph, "is_met", counted)
    for number in range(200):
        run(job, number)
        waits.first(job)
    assert len(asked) <= 2 * 200 + 1
