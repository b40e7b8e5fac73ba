"""Whose turn it is, among however many jobs: what an exchange looks at is what it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice

import pytest

from jobledger.adapters.engine.live import LiveJob, SpecKey
from jobledger.adapters.engine.runners.dispatch import Capability, Dispatcher, Waiter
from jobledger.adapters.engine.runners.slots import Slots
from jobledger.core import events as e
from jobledger.core.graph import TaskGraph
from jobledger.core.job import Job, evolve
from jobledger.core.task import TaskIdentifier
from support.histories import submission, task

RUNNER = Capability("default", (TaskIdentifier("Task", 1, 0),))
JOBS = 300


class Desk:
    """A dispatcher with jobs, each of two tasks that are ready."""

    def __init__(self, jobs: int, **policy: object) -> None:
        self.slots = Slots()
        self.dispatcher = Dispatcher(self.slots)
        self.live = [LiveJob(Job(f"job {number}")) for number in range(jobs)]
        for live in self.live:
            self.happens(live, e.JobSubmitted("a job", submission(*[task(**policy) for _ in range(2)])))  # type: ignore[arg-type]

    def happens(self, live: LiveJob, event: e.Event) -> None:
        """Something is decided about a job, and written."""
        evolve(live.job, event, 1)
        live.decided = live.durable = live.decided + 1
        freed = self.slots.refresh(live)
        self.dispatcher.refresh(live)
        if freed:
            self.dispatcher.look_again()

    def claim(self) -> LiveJob | None:
        """Claim one task, as an exchange does."""
        for live, kinds in self.dispatcher.jobs_for(RUNNER):
            for number in live.job.graph.next_ready(kinds, 1, self.slots.left(live)):
                self.happens(live, e.TasksClaimed("runner", 1, [number, number + 1]))
                return live
        return None

    def end(self, live: LiveJob) -> None:
        (number,) = live.job.claimed_by
        self.happens(live, e.TaskComputed(number, 1, 1, 2))


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[TaskGraph]:
    """Every look at what of a job is ready."""
    found: list[TaskGraph] = []
    ready_specs = TaskGraph.ready_specs

    def counted(graph: TaskGraph) -> Iterator[int]:
        found.append(graph)
        return ready_specs(graph)

    monkeypatch.setattr(TaskGraph, "ready_specs", counted)
    return found


def test_jobs_take_turns() -> None:
    desk = Desk(3)
    assert [desk.claim() for _ in range(6)] == desk.live * 2
    assert desk.claim() is None


def test_who_looks_on_sees_every_job_once() -> None:
    desk = Desk(5)
    assert [live for live, _ in desk.dispatcher.jobs_for(RUNNER)] == desk.live


def test_a_claim_looks_at_the_job_it_claims_from_however_many_there_are(looks: list[TaskGraph]) -> None:
    desk = Desk(JOBS)
    looks.clear()
    claimed = desk.claim()
    assert claimed is not None
    assert {id(graph) for graph in looks} == {id(claimed.job.graph)}


def test_jobs_without_a_slot_are_not_looked_at(looks: list[TaskGraph]) -> None:
    desk = Desk(JOBS, key="door", limit=2)
    running = [desk.claim(), desk.claim()]
    looks.clear()
    assert desk.claim() is None
    assert looks == []
    first = running[0]
    assert first is not None
    desk.end(first)
    assert desk.claim() not in (None, *running)  # the next one in turn
    assert len({id(graph) for graph in looks}) == 2


def test_a_job_in_which_a_task_has_ended_goes_on_before_that_is_written() -> None:
    desk = Desk(2, key="door", limit=1)
    first = desk.claim()
    assert first is not None
    evolve(first.job, e.TaskComputed(0, 1, 1, 2), 1)
    first.decided += 1  # and not durable
    desk.slots.refresh(first)
    desk.dispatcher.refresh(first)
    assert [live for live, _ in desk.dispatcher.jobs_for(RUNNER)] == [first]


def test_whoever_waits_for_a_slot_hears_when_one_is_free() -> None:
    async def waiting() -> None:
        desk = Desk(2, key="door", limit=1)
        first = desk.claim()
        assert first is not None
        answers: list[bool] = []
        desk.dispatcher.hold(Waiter("runner", RUNNER, answers.append), 60.0)
        desk.dispatcher.look_again()
        desk.dispatcher.match()
        assert answers == []
        desk.end(first)
        desk.dispatcher.match()
        assert answers == [True]

    asyncio.run(waiting())


def test_of_runners_that_wait_the_newest_are_answered_as_long_as_there_is_something() -> None:
    async def waiting() -> None:
        desk = Desk(2)
        answered: list[str] = []
        for name in ("one", "two", "three", "four", "five", "six"):

            def answer(ready: bool, name: str = name) -> None:
                assert ready
                assert desk.claim() is not None
                answered.append(name)

            desk.dispatcher.hold(Waiter(name, RUNNER, answer), 60.0)
        desk.dispatcher.look_again()
        desk.dispatcher.match()
        assert answered == ["six", "five", "four", "three"]  # there are four tasks
        assert desk.dispatcher.waiting == 2

    asyncio.run(waiting())


def test_runners_that_can_run_the_same_are_one_question(monkeypatch: pytest.MonkeyPatch) -> None:
    async def waiting() -> None:
        desk = Desk(0)
        for number in range(100):
            desk.dispatcher.hold(Waiter(f"runner {number}", RUNNER, lambda ready: None), 60.0)
        asked: list[Capability] = []
        keys = Dispatcher._keys

        def noted(dispatcher: Dispatcher, capability: Capability) -> list[SpecKey]:
            asked.append(capability)
            return keys(dispatcher, capability)

        monkeypatch.setattr(Dispatcher, "_keys", noted)
        desk.dispatcher.look_again()
        desk.dispatcher.match()
        assert asked == [RUNNER]

    asyncio.run(waiting())


def test_turns_go_on_where_the_exchange_before_left_off() -> None:
    desk = Desk(5)
    for _ in islice(desk.dispatcher.jobs_for(RUNNER), 2):
        pass
    assert [live for live, _ in desk.dispatcher.jobs_for(RUNNER)] == [*desk.live[2:], *desk.live[:2]]
