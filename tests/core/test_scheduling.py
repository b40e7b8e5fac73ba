"""Which task is next: by priority, by its time, and by how many of its kind may run at once."""

from __future__ import annotations

from jobledger.core import events as e
from jobledger.core.graph import HELD, READY
from jobledger.core.job import Job, fold
from jobledger.core.lifecycle import JobState
from support.histories import JOB, JobDriver, snapshot, task

# -- priority ---------------------------------------------------------------------------------------------------------


def test_larger_priorities_go_first() -> None:
    job = JobDriver(
        task("A"), task("B", priority=5), task("C", priority=-1), task("D"), task("E", priority=5)
    )
    assert job.drain() == [1, 4, 0, 3, 2]


def test_priority_goes_before_depth_and_depth_before_number() -> None:
    job = JobDriver(task("A"), task("B", priority=1))
    assert job.drain()[:1] == [1]
    job = JobDriver(task("A"), task("B"), task("Urgent", priority=1))
    job.run(2)
    job.run(0, task("A1"), task("A2"))
    assert job.drain() == [3, 4, 1]


# -- time -------------------------------------------------------------------------------------------------------------


def test_a_task_is_not_claimed_before_its_time() -> None:
    job = JobDriver(task("Late", not_before=100), task("Now"))
    assert [job.job.graph.ready[number] for number in (0, 1)] == [HELD, READY]
    assert job.claim(9) == [1]
    assert job.job.graph.next_wake == 100
    job.now = 98
    assert job.claim(9) == []
    assert job.claim(9) == [0]
    assert job.job.graph.next_wake is None


def test_dependencies_and_time_both_count() -> None:
    job = JobDriver(task("First"), task("Late", not_before=10, after=[0]))
    job.now = 50
    assert job.claim(9) == [0]
    assert job.job.graph.next_wake is None  # its time has come, the other task is not complete
    job.compute(0)
    assert job.claim(9) == [1]


def test_a_job_whose_tasks_are_held_goes_on() -> None:
    job = JobDriver(task("Now"), task("Late", not_before=1000))
    job.drain()
    assert (job.state, job.states) == (JobState.STARTED, "CQ")
    job.now = 1000
    assert job.drain() == [1]
    assert job.state is JobState.COMPLETED


def test_of_many_held_tasks_those_that_are_queued_become_ready() -> None:
    job = JobDriver(*[task(not_before=100) for _ in range(6)])
    job.cancel_task(2)
    job.now = 100
    assert job.claim(2) == [0, 1]
    assert job.claim(9) == [3, 4, 5]


def test_a_task_that_is_held_anew_is_not_woken_by_its_earlier_hold() -> None:
    job = JobDriver(task(retries=1, delay=100), task())
    job.claim()
    job.fail(0)
    assert job.job.graph.held_until(0) == 103
    job.cancel_task(0)
    job.retry(task=0)
    job.now = 50
    job.claim()
    job.fail(0)
    assert job.job.graph.held_until(0) == 152
    job.now = 140
    assert job.claim(9) == [1]
    job.now = 152
    assert job.claim(9) == [0]


def test_folding_does_not_look_at_the_clock() -> None:
    # a claim was right by the clock of whoever decided it
    job = JobDriver(task(not_before=100), task(not_before=100, retries=1, delay=50))
    job.now = 100
    job.claim(9)
    job.compute(0)
    job.fail(1)
    again = fold(Job(JOB), job.history)
    assert snapshot(again) == snapshot(job.job)
    assert again.graph.ready[1] == HELD
    again.graph.wake(2**62)
    assert again.graph.next_ready([0, 1], 9) == [1]


# -- concurrency ------------------------------------------------------------------------------------------------------


def test_running_tasks_hold_the_slots_of_their_key() -> None:
    job = JobDriver(*[task("A", key="api", limit=2, retries=1) for _ in range(5)], task("B"))
    assert job.claim(9, slots={"api": 2}) == [0, 1, 5]
    assert job.job.slots == {"api": 2}
    assert job.claim(9, slots={"api": 0}) == []
    job.compute(0)
    job.fail(1)
    assert job.job.slots == {"api": 0}
    assert job.claim(9, slots={"api": 1}) == [1]
    job.expire(1)
    job.claim(9, slots={"api": 1})
    job.release(1)
    assert job.job.slots == {"api": 0}


def test_a_key_is_limited_across_kinds_and_priorities() -> None:
    low = [task("A", key="api", limit=2) for _ in range(2)]
    high = [task("B", key="api", limit=2, priority=1) for _ in range(2)]
    other = [task("C", key="disk", limit=1) for _ in range(2)]
    job = JobDriver(*low, *high, *other, task("D"))
    assert job.claim(9, slots={"api": 3, "disk": 1}) == [0, 2, 3, 4, 6]
    assert job.job.slots == {"api": 3, "disk": 1}


def test_a_key_that_nobody_limits_is_unlimited() -> None:
    job = JobDriver(*[task("A", key="api", limit=1) for _ in range(3)])
    assert job.claim(9, slots={"disk": 0}) == [0, 1, 2]


def test_a_limit_in_the_middle_of_a_claim_leaves_the_rest_in_order() -> None:
    job = JobDriver(*[task("A", key="api", limit=2) for _ in range(4)])
    assert job.claim(9, slots={"api": 1}) == [0]
    assert job.claim(1, slots={"api": 3}) == [1]
    assert job.claim(9, slots={"api": 3}) == [2, 3]


def test_a_deleted_job_holds_no_slots() -> None:
    job = JobDriver(task(key="api", limit=1))
    job.claim()
    job.delete(force=True)
    assert job.job.slots == {"api": 0}
    assert not job.job.claimed_by


def test_a_canceled_task_frees_its_slot_when_it_stops() -> None:
    job = JobDriver(task(key="api", limit=1), task())
    job.claim()
    job.cancel_task(0)
    assert job.job.slots == {"api": 1}
    assert [type(event) for event in job.stop(0)] == [e.TaskCanceled]
    assert job.job.slots == {"api": 0}
