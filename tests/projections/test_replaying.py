"""Stepping through a history: at each commit the job is what folding everything up to there makes of it."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from datetime import timedelta
from enum import Enum
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobledger.core import events as e
from jobledger.core.codec import Commit
from jobledger.core.errors import ArgumentError, DamagedLog, NotFoundError
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.core.submission import columns
from jobledger.projections import checkpoints, replaying
from jobledger.projections.job_view import JobView
from jobledger.projections.replaying import Replay
from jobledger.projections.sealed import Opener
from jobledger.projections.steps import ReplayStep
from jobledger.projections.utc import utc
from support.histories import JOB, JobDriver, submission, task
from support.random_history import Placed, committed, random_history
from support.views import facts, view_of

randoms = st.integers(0, 2**32).map(Random)


@pytest.fixture(autouse=True)
def _short_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints are as close in these histories as they are in ones of a million events."""
    monkeypatch.setattr(replaying, "_SPACING", 15)
    monkeypatch.setattr(replaying, "_NEAR", 5)


def states(view: JobView) -> dict[int, TaskState]:
    return {one.number: one.state for one in view.tasks}


# -- the state at each commit -----------------------------------------------------------------------------------------


@given(randoms)
@settings(max_examples=25, deadline=None)
def test_wherever_it_goes_the_job_is_what_folding_that_much_makes_of_it(random: Random) -> None:
    commits = committed(random_history(random), random)
    folded = [facts(view_of(commits[:version])) for version in range(len(commits) + 1)]
    replay = Replay(JOB, commits)
    for _ in range(2 * len(commits)):
        match random.choice(["step", "back", "seek"]):
            case "step":
                step = replay.step()
            case "back":
                step = replay.back()
            case _:
                step = replay.seek(version=random.randint(1, len(commits)))
        assert step is None or step is replay.current
        assert facts(replay.view) == folded[replay.version]


@given(randoms)
@settings(max_examples=25, deadline=None)
def test_a_step_tells_which_states_its_commit_changed(random: Random) -> None:
    commits = committed(random_history(random), random)
    before: dict[int, TaskState] = {}
    for step, placed in zip(Replay(JOB, commits), commits, strict=True):
        view, previous = view_of(commits[: step.version]), view_of(commits[: step.version - 1])
        after = states(view)
        changed = {number: (before.get(number), state) for number, state in after.items()}
        told = {number: (change.old, change.new) for change in step.changes for number in change.tasks}
        assert told == {number: change for number, change in changed.items() if change[0] is not change[1]}
        assert all(change.count == len(list(change.tasks)) > 0 for change in step.changes)
        assert (step.old, step.new) == (previous.state, view.state)
        assert (step.position, step.version, step.at) == (
            placed.position,
            placed.version,
            utc(placed.commit.at),
        )
        assert [entry.event for entry in step.events] == placed.commit.events
        before = after


@given(randoms)
@settings(max_examples=25, deadline=None)
def test_a_step_is_the_same_whichever_way_it_is_come_to(random: Random) -> None:
    commits = committed(random_history(random), random)
    forwards = list(Replay(JOB, commits))
    replay = Replay(JOB, commits)
    replay.seek(version=-1)
    backwards = [replay.current, *iter(replay.back, None)]
    assert backwards[::-1] == forwards
    assert [str(step) for step in backwards[::-1]] == [str(step) for step in forwards]


@given(randoms)
@settings(max_examples=25, deadline=None)
def test_a_moment_is_the_last_commit_by_then(random: Random) -> None:
    commits = committed(random_history(random), random)
    replay = Replay(JOB, commits)
    for position in random.sample(range(1, commits[-1].position + 5), min(10, commits[-1].position)):
        by_then = [one.version for one in commits if one.position <= position]
        if by_then:
            assert replay.seek(position).version == by_then[-1]
        else:
            with pytest.raises(NotFoundError, match=f"did not exist at position {position}: it begins at"):
                replay.seek(position)
    for one in random.sample(commits, min(5, len(commits))):
        at = utc(one.commit.at) + timedelta(microseconds=random.choice([0, 3]))
        assert replay.seek(at).version == max(c.version for c in commits if utc(c.commit.at) <= at)


# -- copies -----------------------------------------------------------------------------------------------------------

_SHARED = (int, str, bytes, type(None), Enum, Opener, float)


def parts(value: Any, seen: set[int]) -> Iterator[Any]:
    """Yield whatever a view consists of."""
    if id(value) in seen:
        return
    seen.add(id(value))
    yield value
    if isinstance(value, dict):
        for key, one in value.items():
            yield from parts(key, seen)
            yield from parts(one, seen)
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from parts(one, seen)
    elif not isinstance(value, (*_SHARED, array, bytearray)) and not callable(value):
        for base in type(value).__mro__:
            for name in getattr(base, "__slots__", ()):
                yield from parts(getattr(value, name), seen)


@pytest.mark.parametrize("seed", range(20))
def test_what_a_copy_shares_with_the_original_never_changes(seed: int) -> None:
    random = Random(seed)
    for value in parts(view_of(committed(random_history(random), random)), set()):
        kind = type(value)
        immutable = (
            isinstance(value, (*_SHARED, tuple, frozenset))
            or callable(value)
            or (isinstance(value, msgspec.Struct) and kind.__struct_config__.frozen)
        )
        assert immutable or kind in checkpoints._CHANGING, f"{kind.__name__} is shared by checkpoints"


# -- who did it -------------------------------------------------------------------------------------------------------


def replay_of(driver: JobDriver, *groups: int) -> Replay:
    """Return the replay of what a driver did; `groups` are how many decisions are in each of the first commits."""
    return Replay(JOB, list(grouped(committed(driver), groups)))


def grouped(commits: list[Placed], groups: tuple[int, ...]) -> Iterator[Placed]:
    left, sizes, version = list(commits), list(groups), 0
    while left:
        some, left = left[: (size := sizes.pop(0) if sizes else 1)], left[size:]
        version += 1
        events = [event for one in some for event in one.commit.events]
        first = some[0].commit
        commit = Commit(first.id, first.previous, first.at, first.writer, first.settled, events)
        yield Placed(3 * version, version, commit)


def test_users_are_those_who_asked_and_runners_those_who_ran() -> None:
    driver = JobDriver(task("A", retries=5), task("B"))
    driver.claim(1, runner="first")
    driver.fail(0)
    driver.claim(2, runner="second")
    driver.compute(1)
    driver.cancel()
    steps = list(replay_of(driver))
    assert [(step.users, step.runners) for step in steps] == [
        (["user@host"], []),
        ([], ["first"]),
        ([], ["first"]),
        ([], ["second"]),
        ([], ["second"]),
        (["user@host"], []),
    ]


def test_a_report_is_of_whoever_had_the_task_then_also_in_a_commit_with_later_claims() -> None:
    driver = JobDriver(task("A", retries=5))
    driver.claim(1, runner="first")
    driver.fail(0)
    driver.claim(1, runner="second")
    driver.fail(0)
    driver.claim(1, runner="third")
    steps = list(replay_of(driver, 2, 2, 1))
    assert [step.runners for step in steps] == [["first"], ["first", "second"], ["second"], ["third"]]


# -- what it says -----------------------------------------------------------------------------------------------------


def test_a_step_says_what_happened_and_what_that_changed() -> None:
    driver = JobDriver(task("Root"))
    driver.claim()
    driver.compute(0, *[task("Leaf")] * 3)
    steps = list(replay_of(driver))
    assert str(steps[2]).splitlines()[1:] == [
        "  task 0 (Root) computed by attempt 1 in 10 µs, submitting 3 subtasks",
        "  job: RUNNING → STARTED",
        "  3 tasks (1-3): new → QUEUED",
        "  task 0 (Root): RUNNING → COMPUTED",
    ]


def test_thousands_of_events_are_told_by_their_number() -> None:
    driver = JobDriver(*[task("Leaf")] * 2500)
    driver.claim(2500)
    for number in range(2500):
        driver.compute(number)
    *_, step = replay_of(driver, 1, 1, 2500)
    assert step.lines == [
        "task 0 (Leaf) computed by attempt 1 in 10 µs",
        "task 1 (Leaf) computed by attempt 1 in 10 µs",
        "… and 2,498 more TaskComputed",
        "job completed",
    ]
    assert step.state_lines == [
        "job: RUNNING → COMPLETED",
        "2,500 tasks (0-2499): RUNNING → COMPUTED",
    ]


def test_a_commit_that_changes_no_state_says_so_by_no_line() -> None:
    driver = JobDriver(task("Root"))
    driver.claim()
    (chunk,) = columns([task("Leaf")])
    driver.stage(0, chunk)
    *_, step = replay_of(driver)
    assert (step.changes, step.state_lines) == ([], [])


# -- searching --------------------------------------------------------------------------------------------------------


def history() -> Replay:
    driver = JobDriver(task("A"), task("B", retries=1))
    driver.claim(1)  # 2
    driver.compute(0)  # 3
    driver.claim(1)  # 4
    driver.fail(1)  # 5
    driver.claim(1)  # 6
    driver.fail(1)  # 7: for good
    driver.retry()  # 8
    return replay_of(driver)


def found(replay: Replay, **wanted: Any) -> list[int]:
    return [step.version for step in iter(lambda: replay.search(**wanted), None) if step]


def test_the_next_commit_is_found_that_touches_a_task_or_comes_to_a_state() -> None:
    assert found(history(), task=0) == [1, 2, 3]
    assert found(history(), task=1) == [1, 4, 5, 6, 7, 8]
    assert found(history(), state=TaskState.RUNNING) == [2, 4, 6]
    assert found(history(), state=JobState.FAILED) == [7]
    assert found(history(), state=[TaskState.COMPUTED, JobState.FAILED]) == [3, 7]
    assert found(history(), task=1, state=TaskState.QUEUED) == [1, 5, 8]


def test_a_search_that_finds_nothing_leaves_it_where_it_was() -> None:
    replay = history()
    assert replay.search(task=7) is None
    assert (replay.version, replay.current) == (0, None)
    step = replay.seek(version=5)
    assert replay.search(state=TaskState.COMPUTED) is None
    assert (replay.version, replay.current) == (5, step)


# -- the ends, and what cannot be -------------------------------------------------------------------------------------


def test_it_begins_before_the_first_commit_and_stays_at_either_end() -> None:
    replay = history()
    assert (replay.version, replay.current, replay.back(), replay.view.state) == (0, None, None, None)
    assert [step.version for step in iter(replay.step, None) if step] == [*range(1, 9)]
    assert replay.step() is None
    assert replay.version == 8
    assert [step.version for step in iter(replay.back, None) if step] == [*range(7, 0, -1)]
    assert replay.back() is None
    assert replay.version == 1


def test_commits_between_two_moments_are_counted_with_both() -> None:
    replay = history()  # at positions 3, 6, …, 24
    assert list(replay.versions()) == [*range(1, 9)]
    assert list(replay.versions(6, 12)) == [2, 3, 4]
    assert list(replay.versions(7, 11)) == [3]
    assert list(replay.versions(since=24)) == [8]
    assert list(replay.versions(until=2)) == []
    second = replay.seek(version=2).at
    assert list(replay.versions(second, second)) == [2]


@pytest.mark.parametrize("version", [0, 9, -9])
def test_a_version_that_is_not_there_is_refused(version: int) -> None:
    with pytest.raises(
        ArgumentError, match=rf"version={version} is not there: the history has versions 1 to 8"
    ):
        history().seek(version=version)


def test_what_is_neither_a_moment_nor_a_version_is_refused() -> None:
    replay = history()
    with pytest.raises(ArgumentError, match="needs one of both"):
        replay.seek()
    with pytest.raises(ArgumentError, match="needs one of both"):
        replay.seek(3, version=1)
    with pytest.raises(ArgumentError, match="no number of a commit"):
        replay.seek(version=True)
    with pytest.raises(ArgumentError, match="search for something"):
        replay.search()


def test_a_commit_that_cannot_follow_is_told_and_those_before_it_can_be_stepped_through() -> None:
    commits = committed(JobDriver(task("A")))
    again = commits[0]._replace(position=6, version=2)
    replay = Replay(JOB, [*commits, again])
    first = replay.step()
    with pytest.raises(DamagedLog, match="position 6"):
        replay.step()
    assert isinstance(first, ReplayStep)
    assert replay.seek(version=1) == first


def test_a_fork_begins_with_what_it_takes_over() -> None:
    taken = e.TasksTakenOver(bytes(32), 0, [e.TakenOver(0, 0, TaskState.COMPUTED.value, 1)], runners=["r"])
    origin = e.Origin("another", 9, 3, bytes(32))
    submitted = [
        e.JobSubmitted("a fork", submission(task("A"), task("B")), options=e.JobOptions(origin=origin))
    ]
    decided: list[list[Any]] = [[taken], submitted]
    commits = [
        Placed(version, version, Commit(bytes(16), bytes(32), 5, "engine", False, events))
        for version, events in enumerate(decided, 1)
    ]
    replay = Replay(JOB, commits)
    first, second = replay
    assert (first.old, first.new, first.changes, first.touches(0), first.touches(1)) == (
        None,
        None,
        [],
        True,
        False,
    )
    assert (second.old, second.new) == (None, JobState.STARTED)
    assert second.state_lines == [
        "job: new → STARTED",
        "task 1 (B): new → QUEUED",
        "task 0 (A): new → COMPUTED",
    ]
