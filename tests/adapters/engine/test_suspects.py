"""Tasks that kill their runner are found and stopped; those that were only beside them are not taken for one.

A runner that dies is one that says nothing more: it takes with it what it holds, for the length of a lease.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jobledger.adapters import protocol as p
from jobledger.adapters.link import Link
from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.lifecycle import TaskState
from support.engines import BareRunner, EngineHarness, command, computed, folded, history, refs, submit, task
from support.waiting import eventually

Start = Callable[..., EngineHarness]
LEASE = 0.25


@pytest.fixture
def engine(start_engine: Start) -> EngineHarness:
    return start_engine(lease=LEASE).wait_ready()


def lost(link: Link, job_id: str) -> list[e.LeaseExpired]:
    """Return the losses that the log tells of."""
    events = [event for stored in history(link, job_id) for event in stored.commit.events]
    return [event for event in events if isinstance(event, e.LeaseExpired)]


def lose(link: Link, job_id: str, *, times: int, limit: int) -> None:
    """Have runners claim so many tasks and die."""
    claimed = 0
    for _ in range(times):
        claimed += len(BareRunner(link).claim(limit=limit, wait=10))
        wait_for_losses(link, job_id, claimed)


def wait_for_losses(link: Link, job_id: str, count: int) -> None:
    eventually(lambda: len(lost(link, job_id)) == count)


def test_what_is_lost_again_and_again_is_handed_out_in_ever_smaller_groups(
    engine: EngineHarness, link: Link
) -> None:
    job_id = submit(link, *[task() for _ in range(20)])
    sizes, lost_so_far = [], 0
    for _ in range(5):
        claimed = BareRunner(link).claim(limit=20, wait=10)
        assert claimed[0].task == 0
        sizes.append(len(claimed))
        lost_so_far += len(claimed)
        wait_for_losses(link, job_id, lost_so_far)
    assert sizes == [20, 20, 8, 3, 1]


def test_a_runner_holds_one_group_at_a_time_and_the_next_goes_to_others(
    engine: EngineHarness, link: Link
) -> None:
    job_id = submit(link, *[task() for _ in range(20)])
    lose(link, job_id, times=2, limit=20)
    runner, other = BareRunner(link), BareRunner(link)
    first = runner.claim(limit=20)
    second = other.claim(limit=20)
    assert [ref.task for ref in first + second] == [*range(16)]
    assert refs(runner.exchange(*map(computed, first[:7]), limit=20, wait=0)) == []  # it still holds one
    assert [ref.task for ref in refs(runner.exchange(computed(first[7]), limit=20))] == [16, 17, 18, 19]


def test_what_was_never_suspected_goes_together_up_to_a_suspect(engine: EngineHarness, link: Link) -> None:
    job_id = submit(link, task("First"), task("Deadly"), task("Last"))
    deadly = BareRunner(link, "Deadly")
    for _ in range(2):
        deadly.claim(wait=10)
        eventually(lambda: folded(link, job_id).counts[TaskState.RUNNING.value] == 0)
    all_kinds = BareRunner(link, "First", "Deadly", "Last")
    assert [ref.task for ref in all_kinds.claim(limit=3)] == [0]
    assert all_kinds.claim(limit=3, wait=0.05) == []  # what it has comes first
    beside = BareRunner(link, "Last")
    assert [ref.task for ref in beside.claim(limit=3)] == [2]
    (suspect,) = refs(all_kinds.exchange(computed(p.AttemptRef(job_id, 0, 1)), limit=3))
    assert suspect.task == 1
    submit(link, task("Last"))
    assert all_kinds.claim(limit=3, wait=0.05) == []  # nothing beside it
    assert len(beside.claim(limit=3)) == 1


def test_a_runner_with_a_long_task_gets_a_suspect_after_a_lease_all_the_same(
    engine: EngineHarness, link: Link
) -> None:
    job_id = submit(link, task("Long"), task("Deadly"))
    lose_one = BareRunner(link, "Deadly")
    for _ in range(2):
        lose_one.claim(wait=10)
        eventually(lambda: folded(link, job_id).counts[TaskState.RUNNING.value] == 0)
    runner = BareRunner(link, "Long", "Deadly")
    (long,) = runner.claim(limit=2)
    suspect: list[p.AttemptRef] = []

    def asked() -> bool:
        runner.heartbeat(long, *suspect)
        suspect.extend(runner.claim(limit=1, wait=0.05))
        return bool(suspect)

    assert runner.claim(limit=1, wait=0.05) == []
    eventually(asked)
    assert suspect[0].task == 1


def test_one_that_kills_its_runner_stops_and_says_so_and_nothing_else_fails(
    engine: EngineHarness, link: Link
) -> None:
    deadly = 3
    job_id = submit(link, *[task() for _ in range(20)], options=e.JobOptions(continues=True))

    def a_runner_lives() -> bool:
        """Claim eight tasks at a time and compute them, until the deadly one is among them or the job is over."""
        runner = BareRunner(link)
        claimed = runner.claim(limit=8, wait=0.2)
        while claimed and deadly not in [ref.task for ref in claimed]:
            claimed = refs(runner.exchange(*map(computed, claimed), limit=8, wait=0.2))
        return folded(link, job_id).settled

    eventually(a_runner_lives, within=30)
    job = folded(link, job_id)
    states = [job.state_of(number) for number in range(20)]
    assert states.count(TaskState.COMPUTED) == 19
    assert states[deadly] is TaskState.FAILED
    (error,) = (
        event.error
        for stored in history(link, job_id)
        for event in stored.commit.events
        if isinstance(event, e.TaskFailed)
    )
    assert error.reason == "LeaseExpired"
    assert "11 of them with nothing else in its hands" in error.message
    assert job.attempt[deadly] <= 15
    assert (
        max(job.attempt[number] for number in range(20) if number != deadly) <= 5
    )  # lost beside it, in smaller groups


def test_where_runners_are_lost_with_all_kinds_of_tasks_none_is_to_blame(
    engine: EngineHarness, link: Link
) -> None:
    job_id = submit(link, *[task() for _ in range(3)])
    lose(link, job_id, times=2, limit=1)  # task 0, by itself: that counts
    assert [(event.task, event.alone) for event in lost(link, job_id)] == [(0, True), (0, True)]
    alone, many = BareRunner(link), BareRunner(link)
    (suspect,) = alone.claim(limit=1)
    assert [suspect.task, *(ref.task for ref in many.claim(limit=2))] == [0, 1, 2]
    eventually(lambda: len(lost(link, job_id)) == 5)
    assert {event.task: event.alone for event in lost(link, job_id)[2:]} == {0: False, 1: False, 2: False}


def test_a_runner_that_a_new_engine_never_heard_of_counts_against_no_task(
    start_engine: Start, link: Link
) -> None:
    first = start_engine(lease=LEASE).wait_ready()
    job_id = submit(link)
    BareRunner(link).claim()
    first.stop()
    start_engine(lease=LEASE).wait_ready()
    eventually(lambda: lost(link, job_id))
    assert [event.alone for event in lost(link, job_id)] == [False]


def test_a_retry_takes_the_suspicion_away(engine: EngineHarness, link: Link) -> None:
    job_id = submit(link, task(), task())
    lose(link, job_id, times=4, limit=2)
    assert len(BareRunner(link).claim(limit=2)) == 1
    command(link, c.CancelJob(job_id, "cancel"))
    eventually(lambda: folded(link, job_id).counts[TaskState.RUNNING.value] == 0)
    command(link, c.RetryJob(job_id, "retry"))
    assert len(BareRunner(link).claim(limit=2)) == 2
