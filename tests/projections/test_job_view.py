"""The view of one job: the core's own fold, plus facts that must come out the same however the commits arrive."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.codec import Commit, decode_commit, encode_commit
from jobledger.core.errors import ArgumentError, DamagedLog
from jobledger.core.job import Job, fold
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.core.submission import columns
from jobledger.projections.attempts import AttemptOutcome
from jobledger.projections.job_view import JobView
from support.histories import ERROR, JOB, JobDriver, snapshot, submission, task
from support.random_history import RUNNERS, T0, committed, random_history
from support.views import facts, view_of

START = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


randoms = st.integers(0, 2**32).map(Random)


@given(randoms)
@settings(max_examples=60, deadline=None)
def test_the_state_is_that_of_the_core(random: Random) -> None:
    driver = random_history(random)
    commits = committed(driver, random)
    view = view_of(commits)
    folded = fold(Job(JOB), [(one.commit.at, one.commit.events) for one in commits])
    assert snapshot(view.job) == snapshot(folded)
    assert view.tasks_by_state == {state: driver.counts.get(state, 0) for state in TaskState}
    assert (view.position, view.version) == (3 * len(commits), len(commits))


@given(randoms)
@settings(max_examples=30, deadline=None)
def test_it_does_not_matter_how_commits_arrive(random: Random) -> None:
    commits = committed(random_history(random), random)
    whole = facts(view_of(commits))

    step_by_step = JobView(JOB)
    for commit in commits:
        assert step_by_step.apply(*commit)
        facts(step_by_step)  # reading changes nothing
        assert not step_by_step.apply(*commit)  # neither does a commit that was seen
    assert facts(step_by_step) == whole

    through_bytes = [one._replace(commit=decode_commit(encode_commit(one.commit))) for one in commits]
    assert facts(view_of(through_bytes)) == whole


@given(randoms)
@settings(max_examples=60, deadline=None)
def test_attempts_are_those_in_the_events(random: Random) -> None:
    commits = committed(random_history(random), random)
    view = view_of(commits)
    expected: dict[int, list[list[Any]]] = {}
    for one in commits:
        for event in one.commit.events:
            match event:
                case e.TasksClaimed():
                    for number in _numbers(event.tasks):
                        expected.setdefault(number, []).append([event.runner, "running", None, one.commit.at])
                case e.TaskProgressed():
                    expected[event.task][-1][2] = event.started
                case e.TaskComputed():
                    expected[event.task][-1][1:3] = ["computed", event.started]
                case e.TaskReused():
                    expected[event.task][-1][1:3] = ["reused", event.started]
                case e.AttemptFailed() | e.TaskFailed() | e.OptionalTaskFailed():
                    expected[event.task][-1][1:3] = ["failed", event.started]
                case e.TaskCanceled():
                    attempt = expected[event.task][-1]
                    attempt[1:3] = ["canceled", event.started or attempt[2]]
                case e.TaskReleased():
                    expected[event.task][-1][1] = "released"
                case e.LeaseExpired():
                    expected[event.task][-1][1] = "expired"
    for one_task in view.tasks:
        attempts = one_task.attempts
        wanted = expected.get(one_task.number, [])
        assert [[a.runner, a.outcome.value, _us(a.started_at), _us(a.claimed_at)] for a in attempts] == wanted
        assert [a.number for a in attempts] == list(range(1, len(wanted) + 1))
        assert one_task.attempt == len(wanted)
        assert one_task.runner in ("", *RUNNERS)


def _numbers(packed: list[int]) -> list[int]:
    return [n for start, stop in zip(packed[::2], packed[1::2], strict=True) for n in range(start, stop)]


def _us(at: datetime | None) -> int | None:
    return None if at is None else (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


# -- one task at a time -----------------------------------------------------------------------------------------


def test_a_task_tells_what_it_is() -> None:
    driver = JobDriver(task("Root", data=b'{"n":3,"name":"x"}', cluster="gpu", retries=2))
    driver.run(0, task("Left"), task("Right", after=[0], optional=True, data=b"7"))
    root, left, right = view_of(driver).tasks
    assert root.id == f"{JOB}/0"
    assert (root.name, root.version, root.cluster, root.max_retries) == ("Root", "v1.0", "gpu", 2)
    assert root.input == b'{"n":3,"name":"x"}'
    assert root.input_json == {"n": 3, "name": "x"}
    assert left.input_json is None
    assert right.input_json == 7
    assert list(root.children) == [left, right]
    assert right.parent == left.parent == root
    assert root.parent is None
    assert list(right.depends_on) == [left]
    assert list(left.depends_on) == []
    assert right.optional
    assert not left.optional
    assert (root.state, root.complete) == (TaskState.COMPUTED, False)
    assert repr(right) == "<Task 2 Right v1.0 QUEUED>"
    assert str(right) == "Right (QUEUED)"
    assert right != root
    assert len({right, root, right.parent}) == 2


@pytest.mark.parametrize("data", [b"\xff\xfe", b"{", b"[" * 100_000])
def test_an_input_that_is_no_json_is_shown_as_text(data: bytes) -> None:
    (one,) = view_of(committed(JobDriver(task(data=data)))).tasks
    assert one.input_json == data.decode("utf-8", "replace")


def test_times_are_aware_utc() -> None:
    driver = JobDriver(task())
    view = view_of(driver)
    (one,) = view.tasks
    assert view.submitted_at == START + timedelta(milliseconds=1)
    assert view.submitted_at.tzinfo is UTC
    assert (one.claimed_at, one.started_at, one.stopped_at) == (None, None, None)
    driver.claim()
    view_of(driver, view)
    assert one.claimed_at == START + timedelta(milliseconds=2)
    assert (one.started_at, one.stopped_at, view.settled_at) == (None, None, None)
    driver.do(c.ReportComputed(JOB, 0, 1, T0 + 2_500_000, T0 + 3_000_001))
    view_of(driver, view)
    assert one.started_at == START + timedelta(seconds=2.5)
    assert one.stopped_at == START + timedelta(seconds=3, microseconds=1)
    assert view.settled_at == view.updated_at == START + timedelta(milliseconds=3)
    assert one.stopped_at.tzinfo is UTC


def test_a_runner_with_a_broken_clock_does_not_make_the_job_unreadable() -> None:
    driver = JobDriver(task())
    driver.claim()
    driver.do(c.ReportComputed(JOB, 0, 1, -(2**62), 2**64 - 1))
    (one,) = view_of(driver).tasks
    assert one.started_at is not None
    assert one.started_at.year == 1
    assert one.stopped_at is not None
    assert one.stopped_at.year == 9999


def test_display_is_the_name_until_the_task_says_otherwise() -> None:
    driver = JobDriver(task("Leaf", retries=1))
    driver.claim()
    view = view_of(driver)
    assert view.tasks[0].display == "Leaf"
    driver.do(c.ReportFailed(JOB, 0, 1, 1, 2, ERROR, "half of it"))
    assert view_of(driver, view).tasks[0].display == "half of it"
    driver.claim()
    driver.do(c.ReportComputed(JOB, 0, 2, 3, 4, None, "all\nof it"))
    assert view_of(driver, view).tasks[0].display == "all\nof it"


def test_every_attempt_keeps_its_whole_error() -> None:
    driver = JobDriver(task(retries=1))
    first = e.Error("KeyError", "'x' is\nmissing", "Traceback:\n  …")
    view = JobView(JOB)
    driver.claim()
    driver.fail(0, error=first)
    assert view_of(driver, view).tasks[0].error == first
    driver.claim()
    assert view_of(driver, view).tasks[0].error is None  # this one has not failed yet
    driver.release(0)
    driver.claim()
    driver.expire(0)
    driver.claim()
    driver.fail(0)
    (one,) = view_of(driver, view).tasks
    assert [str(attempt) for attempt in one.attempts] == [
        "attempt 1 failed: KeyError: 'x' is\nmissing",
        "attempt 2 released: shutting down",
        "attempt 3 expired: no sign of life from runner runner-1",
        "attempt 4 failed: ValueError: it broke",
    ]
    assert [attempt.outcome for attempt in one.attempts][1:3] == [
        AttemptOutcome.RELEASED,
        AttemptOutcome.EXPIRED,
    ]
    assert one.attempts[0].error == first
    assert one.error == ERROR
    assert view.error is not None
    assert view.error == (f"{JOB}/0", "ValueError", "it broke", "a traceback")
    assert str(view.error) == "ValueError: it broke"


def test_the_error_of_the_job_is_gone_once_it_is_retried() -> None:
    driver = JobDriver(task())
    driver.claim()
    driver.fail(0)
    view = view_of(driver)
    assert view.error is not None
    assert (view.state, view.settled) == (JobState.FAILED, True)
    driver.retry()
    view_of(driver, view)
    assert facts(view).items() >= {"error": None, "settled": False, "settled_at": None}.items()
    driver.drain()
    view_of(driver, view)
    assert facts(view).items() >= {"error": None, "state": JobState.COMPLETED}.items()
    assert [attempt.outcome.value for attempt in view.tasks[0].attempts] == ["failed", "computed"]


# -- all tasks together -----------------------------------------------------------------------------------------


def test_tasks_are_a_sequence() -> None:
    driver = JobDriver(task("Root"))
    driver.run(0, *[task("Leaf") for _ in range(5)], task("Other"))
    view = view_of(driver)
    tasks = view.tasks
    assert len(tasks) == 7
    assert [one.number for one in tasks] == [0, 1, 2, 3, 4, 5, 6]
    assert tasks[-1] == tasks[6]
    assert [one.number for one in tasks[1:6:2]] == [1, 3, 5]
    assert [one.number for one in tasks[::-1]] == [6, 5, 4, 3, 2, 1, 0]
    assert [one.number for one in reversed(tasks)] == [6, 5, 4, 3, 2, 1, 0]
    assert tasks[3] in tasks
    assert tasks[3] not in tasks[:3]
    assert tasks.index(tasks[3]) == 3
    with pytest.raises(IndexError, match="there is no task 7 among 7"):
        tasks[7]
    assert [one.number for one in tasks.filter(state=TaskState.COMPUTED)] == [0]
    assert len(tasks.filter(state=(TaskState.COMPUTED, TaskState.QUEUED))) == 7
    assert [one.number for one in tasks.filter(name="Other")] == [6]
    assert [one.number for one in tasks[:3].filter(state=TaskState.QUEUED, name="Leaf")] == [1, 2]
    assert len(tasks.filter(name="Nobody")) == 0
    assert repr(tasks) == "<7 tasks: 6 QUEUED, 1 COMPUTED>"
    assert repr(tasks.filter(name="Leaf")) == "<5 tasks: 5 QUEUED>"
    assert repr(tasks[:0]) == "<0 tasks>"


@pytest.mark.parametrize("state", ["FAILED", 3.5, [TaskState.FAILED, "x"], JobState.FAILED])
def test_a_filter_by_what_is_no_state_is_refused(state: Any) -> None:
    with pytest.raises(ArgumentError, match=r"write state=TaskState\.FAILED"):
        JobView(JOB).tasks.filter(state=state)


# -- bad histories ----------------------------------------------------------------------------------------------


def test_a_history_no_engine_wrote_names_job_and_position() -> None:
    view = JobView(JOB)
    commit = Commit(bytes(16), bytes(32), T0, "engine", False, [e.TasksClaimed("r", 1, [0, 1])])
    with pytest.raises(DamagedLog, match=f"position 17, in the history of job {JOB}") as caught:
        view.apply(17, 1, commit)
    assert (caught.value.position, caught.value.job_id) == (17, JOB)


def test_a_gap_is_refused() -> None:
    commits = committed(random_history(Random(1)))
    view = view_of(commits[:2])
    with pytest.raises(ValueError, match="version 4 cannot follow version 2"):
        view.apply(*commits[3])
    view.apply(*commits[2])


def test_events_of_a_later_version_change_nothing() -> None:
    driver = JobDriver(task())
    (first,) = committed(driver)
    later = Commit(bytes(16), bytes(32), T0 + 5000, "engine", False, [e.UnknownEvent(99, ["?"])])
    view = view_of([first])
    before = snapshot(view.job)
    assert view.apply(9, 2, later)
    assert snapshot(view.job) == before
    assert view.version == 2


# -- size -------------------------------------------------------------------------------------------------------


def test_100_000_tasks_are_folded_in_little_memory() -> None:
    count = 100_000
    chunks = list(columns((task("Leaf", data=b"%d" % n) for n in range(count)), max_bytes=500_000))
    driver = JobDriver(task("Root"))
    driver.claim()
    for chunk in chunks[:-1]:
        driver.stage(0, chunk)
    driver.do(c.ReportComputed(JOB, 0, 1, 1, 2, chunks[-1]))
    first = [encode_commit(one.commit) for one in committed(driver)]
    rest = []
    for start in range(1, count + 1, 500):
        claimed = e.TasksClaimed("runner", 1, [start, start + 500])
        computed = [e.TaskComputed(number, 1, T0, T0 + 9) for number in range(start, start + 500)]
        rest.append(encode_commit(Commit(bytes(16), bytes(32), T0, "engine", False, [claimed, *computed])))
    del driver, chunks

    tracemalloc.start()
    try:
        view = JobView(JOB)
        for version, payload in enumerate(first + rest, 1):
            view.apply(version, version, decode_commit(payload))
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert view.tasks_by_state[TaskState.COMPUTED] == count + 1
    assert view.tasks[-1].input_json == count - 1
    assert used < 60e6, f"{used / count:.0f} bytes a task"


def test_a_submission_of_nothing_but_staged_chunks_is_seen() -> None:
    driver = JobDriver(task("Root"))
    driver.claim()
    driver.stage(0, submission(task("Leaf"), task("Leaf")))
    driver.compute(0)
    view = view_of(driver)
    assert len(view.tasks) == 3
    assert view.tasks[2].claimed_at is None
