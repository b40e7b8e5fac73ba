"""The events of a commit, taken together, change a job as they do one by one."""

from __future__ import annotations

from random import Random

import pytest

from jobledger.core import events as e
from jobledger.core.job import Job, evolve, evolve_all, leaves
from jobledger.core.lifecycle import JobState, LifecycleError
from support.histories import JOB, snapshot, submission, task
from support.random_history import committed, random_history


def one_by_one(events: list[e.Event]) -> Job:
    job = Job(JOB)
    for event in events:
        evolve(job, event, 1)
    return job


def computed(*tasks: int) -> list[e.Event]:
    return [e.TaskComputed(number, 1, 1, 2) for number in tasks]


def claimed_fan(count: int, **policy: object) -> list[e.Event]:
    """A job of so many tasks, all of which run."""
    tasks = [task(**policy) for _ in range(count)]  # type: ignore[arg-type]
    return [e.JobSubmitted("a job", submission(*tasks)), e.TasksClaimed("runner", 1, [0, count])]


@pytest.mark.parametrize("seed", range(40))
def test_any_history_folds_to_the_same_job(seed: int) -> None:
    random = Random(seed)
    together, apart = Job(JOB), Job(JOB)
    for placed in committed(random_history(random), random):
        evolve_all(together, placed.commit.events, placed.commit.at)
        for event in placed.commit.events:
            evolve(apart, event, placed.commit.at)
        assert snapshot(together) == snapshot(apart)


@pytest.mark.parametrize(
    "last",
    [
        pytest.param(e.TaskComputed(5, 1, 1, 2, submission(task(), task())), id="submits subtasks"),
        pytest.param(e.TaskComputed(5, 1, 1, 2, result=e.Value(b"7")), id="returns something"),
        pytest.param(e.TaskComputed(5, 1, 1, 2, reuse_key=b"key"), id="may be reused"),
        pytest.param(e.TaskFailed(5, 1, 1, 2, e.Error("ValueError", "it broke")), id="fails"),
    ],
)
def test_a_run_of_computed_tasks_ends_where_something_else_happens(last: e.Event) -> None:
    events = [*claimed_fan(8), *computed(0, 1, 2, 3, 4), last, *computed(6, 7)]
    job = Job(JOB)
    evolve_all(job, events, 1)
    assert snapshot(job) == snapshot(one_by_one(events))


def test_tasks_under_a_concurrency_key_give_their_slots_back() -> None:
    job = Job(JOB)
    evolve_all(job, [*claimed_fan(4, key="door", limit=4), *computed(0, 1, 2)], 1)
    assert job.slots == {"door": 1}


def test_the_job_rests_when_the_last_running_task_is_computed() -> None:
    events = [*claimed_fan(4)[:1], e.TasksClaimed("runner", 1, [0, 3]), *computed(0, 1, 2)]
    job = Job(JOB)
    evolve_all(job, events, 1)
    assert job.state == JobState.STARTED.value
    assert snapshot(job) == snapshot(one_by_one(events))


@pytest.mark.parametrize("wrong", [*computed(1), *computed(4), e.TaskComputed(2, 2, 1, 2)])
def test_what_comes_before_an_event_that_cannot_follow_has_happened(wrong: e.Event) -> None:
    before = [*claimed_fan(4), *computed(0, 1)]
    job = Job(JOB)
    with pytest.raises(LifecycleError):
        evolve_all(job, [*before, wrong, *computed(3)], 1)
    assert snapshot(job) == snapshot(one_by_one(before))


def test_a_deleted_job_takes_no_more() -> None:
    job = Job(JOB)
    events = [*claimed_fan(2), e.JobCanceled("cancel"), e.JobDeleted("delete")]
    with pytest.raises(LifecycleError, match="after JobDeleted"):
        evolve_all(job, [*events, *computed(0)], 1)
    assert snapshot(job) == snapshot(one_by_one(events))


def test_a_run_is_taken_in_one_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = []
    take = leaves.computed

    def noted(job: Job, events: list[e.Event | e.UnknownEvent], start: int) -> int:
        done = take(job, events, start)
        lengths.append(done - start)
        return done

    monkeypatch.setattr(leaves, "computed", noted)
    evolve_all(Job(JOB), [*claimed_fan(50), *computed(*range(50))], 1)
    assert lengths == [50]
