"""Rows folded from the log: the same as anybody who folds a job by itself would tell, whatever is in memory."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec
import pytest

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.codec import encode_commit
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.projections.jobs import JobRow, JobsFold
from jobledger.projections.jobs.row_fold import Step
from support.histories import JOB, JobDriver, task
from support.random_history import ClockedDriver, Placed, committed, random_history
from support.views import view_of


def steps(history: list[Placed]) -> list[Step]:
    return [Step(position, version, encode_commit(commit)) for position, version, commit in history]


def apart(number: int, history: list[Placed]) -> list[Step]:
    """Return the steps at positions that no other job of another number has."""
    return [step._replace(position=10_000 * number + step.position) for step in steps(history)]


class Log:
    """The commits of some jobs, to be folded in any order and read again."""

    def __init__(self, **jobs: list[Step]) -> None:
        self.jobs = jobs
        self.reads = 0

    def read_again(self, job_id: str, version: int) -> Iterator[Step]:
        self.reads += 1
        return iter(self.jobs[job_id][:version])

    def folded(self, fold: JobsFold | None = None) -> dict[str, JobRow]:
        """Fold everything at once; return the rows by job."""
        fold = fold or JobsFold(self.read_again)
        for job_id, history in self.jobs.items():
            for step in history:
                fold.add(job_id, step)
        return {row.id: row for row in fold.take().rows}


def first_start(history: list[Placed]) -> int:
    """Return the earliest start any runner told of. (In a random history it may tell of several for one attempt.)"""
    events = [event for placed in history for event in placed.commit.events]
    return min((event.started for event in events if getattr(event, "started", 0)), default=0)


@pytest.mark.parametrize("seed", range(60))
def test_a_row_tells_what_a_view_of_the_job_alone_tells(seed: int) -> None:
    random = Random(seed)
    history = committed(random_history(random), random)
    for length in {random.randint(1, len(history)), len(history)}:
        view = view_of(history[:length])
        found = Log(**{JOB: steps(history[:length])}).folded()
        if view.state is JobState.DELETED:
            assert found == {}
            continue
        row = found[JOB]
        assert (row.id, row.name, row.by, row.labels) == (JOB, "a job", "user@host", view.labels)
        assert (row.state, row.settled, row.version, row.position) == (
            view.state,
            view.settled,
            view.version,
            view.position,
        )
        assert row.tasks_by_state == view.tasks_by_state
        assert sorted(map(str, row.progress)) == sorted(map(str, view.progress))
        assert row.percent == pytest.approx(view.percent)
        assert (row.submitted_at, row.finished_at, row.updated_at) == (
            view.submitted_at,
            view.finished_at,
            view.updated_at,
        )
        assert row.started == first_start(history[:length])
        assert row.error == (view.error and view.error._replace(traceback=""))
        assert sorted(row.clusters) == view.info["clusters"]
        assert row.on_failure == view.on_failure
        assert set(row.root_tasks) == {one.name for one in view.roots}
        assert set(row.task_names) == {one.name for one in view.tasks}


@pytest.mark.parametrize("seed", range(20))
def test_it_does_not_matter_how_often_the_rows_are_taken_or_what_is_forgotten(seed: int) -> None:
    random = Random(seed)
    jobs = {f"job-{number}": apart(number, committed(random_history(random), random)) for number in range(3)}
    log = Log(**jobs)
    fold = JobsFold(
        log.read_again,
        capacity=random.choice([0, 30, 2_000_000]),
        kept=random.randint(0, 2),
        room=random.choice([0, 1000, 1_000_000]),
    )
    rows: dict[int, JobRow] = {}
    order = [job_id for job_id, history in jobs.items() for _ in history]
    random.shuffle(order)
    left = {job_id: iter(history) for job_id, history in jobs.items()}
    for job_id in order:
        fold.add(job_id, next(left[job_id]))
        if random.random() < 0.5:
            keep(rows, fold)
    keep(rows, fold)
    assert {row.id: row for row in rows.values()} == Log(**jobs).folded()


def keep(rows: dict[int, JobRow], fold: JobsFold) -> list[int]:
    """Bring rows up to date; return the positions of commits that were found to be damaged."""
    changes = fold.take()
    rows.update({row.place: row for row in changes.rows})
    for place in changes.deleted:
        rows.pop(place, None)
    return [error.position for error in changes.damaged]


# -- what is kept in memory ------------------------------------------------------------------------------------------


def history_of(driver: JobDriver) -> list[Step]:
    return steps(committed(driver))


def completed() -> JobDriver:
    job = JobDriver(task())
    job.drain()
    return job


def test_a_settled_job_is_forgotten_and_read_again_when_it_is_changed() -> None:
    job = completed()
    job.do(c.DeleteJob(JOB, "delete-1"))
    *before, last = history_of(job)
    log = Log(**{JOB: [*before, last]})
    fold = JobsFold(log.read_again)
    for step in before:
        fold.add(JOB, step)
    (row,) = fold.take().rows
    assert (row.settled, log.reads) == (True, 0)
    fold.add(JOB, last)
    assert (fold.take().deleted, log.reads) == ([row.place], 1)


def test_a_job_that_is_followed_from_the_middle_is_read_from_its_beginning() -> None:
    history = history_of(completed())
    log = Log(**{JOB: history})
    fold = JobsFold(log.read_again)
    fold.add(JOB, history[-1])
    assert {row.id: row for row in fold.take().rows} == Log(**{JOB: history}).folded()


def test_a_live_job_stays_in_memory() -> None:
    history = history_of(completed())
    log = Log(**{JOB: history})
    fold = JobsFold(log.read_again)
    for step in history:
        fold.add(JOB, step)
        assert len(fold.take().rows) == 1
    assert log.reads == 0


def test_of_more_than_fits_the_job_that_rested_longest_is_forgotten() -> None:
    first, *others = history_of(completed())
    log = Log(a=[first, *others], b=[first, *others])
    fold = JobsFold(log.read_again, capacity=1, kept=1)
    for job_id in ("a", "b"):
        fold.add(job_id, first)
    fold.take()
    fold.add("b", others[0])
    assert [(row.id, row.version) for row in fold.take().rows] == [("b", 2)]
    assert log.reads == 0
    fold.add("a", others[0])
    assert [(row.id, row.version) for row in fold.take().rows] == [("a", 2)]
    assert log.reads == 1


def test_what_comes_twice_counts_once() -> None:
    first, *others = history_of(completed())
    fold = JobsFold(Log(**{JOB: [first, *others]}).read_again)
    for step in (first, first, *others):
        fold.add(JOB, step)
    (row,) = fold.take().rows
    assert row.version == 1 + len(others)


def test_a_job_that_was_submitted_and_deleted_between_two_looks_is_only_deleted() -> None:
    job = completed()
    job.do(c.DeleteJob(JOB, "delete-1"))
    fold = JobsFold(Log().read_again)
    for step in history_of(job):
        fold.add(JOB, step)
    changes = fold.take()
    assert (changes.rows, len(changes.deleted)) == ([], 1)


# -- damage ----------------------------------------------------------------------------------------------------------


def damaged(history: list[Step], version: int) -> list[Step]:
    return [step if step.version != version else step._replace(state=b"\xc1") for step in history]


@pytest.mark.parametrize("room", [0, 1_000_000])
@pytest.mark.parametrize("taken", [True, False])
@pytest.mark.parametrize("broken", [1, 2, 3])
def test_a_row_stays_as_it_was_before_the_first_commit_that_cannot_be_read(
    broken: int, taken: bool, room: int
) -> None:
    sound = history_of(completed())
    history = damaged(sound, broken)
    log = Log(**{JOB: history})
    fold = JobsFold(log.read_again, room=room)
    rows: dict[int, JobRow] = {}
    told: list[int] = []
    for step in history:
        fold.add(JOB, step)
        if taken:
            told += keep(rows, fold)
    told += keep(rows, fold)
    assert told == [history[broken - 1].position]
    assert list(rows.values()) == list(Log(**{JOB: sound[: broken - 1]}).folded().values())


def test_a_commit_that_cannot_follow_changes_nothing_not_even_in_part() -> None:
    job = JobDriver(task("A"), task("B"))
    claimed = job.claim(2)
    first, second = committed(job)
    impossible = e.TaskComputed(7, 1, 1, 2)
    commit = second.commit.__class__(
        bytes(16), bytes(32), 9, "engine", False, [e.TaskComputed(claimed[0], 1, 1, 2), impossible]
    )
    log = Log(**{JOB: steps([first, second, Placed(9, 3, commit)])})
    fold = JobsFold(log.read_again)
    for step in log.jobs[JOB][:2]:
        fold.add(JOB, step)
    fold.add(JOB, log.jobs[JOB][2])
    changes = fold.take()
    (row,) = changes.rows
    assert [error.position for error in changes.damaged] == [9]
    assert (row.version, row.tasks_by_state[TaskState.RUNNING]) == (2, 2)


def test_other_jobs_are_not_harmed() -> None:
    sound = history_of(completed())
    fold = JobsFold(Log(a=damaged(sound, 2), b=sound).read_again)
    for number in range(len(sound)):
        for job_id, step in (("a", damaged(sound, 2)[number]), ("b", sound[number])):
            fold.add(job_id, step)
    changes = fold.take()
    assert [error.job_id for error in changes.damaged] == ["a"]
    assert {row.id: row.version for row in changes.rows} == {"a": 1, "b": len(sound)}


# -- what a row holds ------------------------------------------------------------------------------------------------


def test_long_messages_and_endless_names_are_cut() -> None:
    job = ClockedDriver(*[task(f"Kind{number}", cluster=f"c{number}") for number in range(300)])
    job.claim(1)
    job.fail(0, error=e.Error("ValueError", "x" * 5000))
    row = Log(**{JOB: steps(committed(job))}).folded()[JOB]
    assert (len(row.task_names), len(row.clusters), len(row.root_tasks)) == (200, 200, 200)
    assert (row.reason, row.message) == ("ValueError", "x" * 1000)


def test_a_place_is_newer_for_what_was_submitted_later() -> None:
    jobs = {}
    for number, second in enumerate((5, 5, 6)):
        job = completed()
        placed = [
            Placed(10 * number + p.version, p.version, e_at(p.commit, second * 1_000_000))
            for p in committed(job)
        ]
        jobs[f"job-{number}"] = steps(placed)
    rows = sorted(Log(**jobs).folded().values(), key=lambda row: row.place)
    assert [row.id for row in rows] == ["job-0", "job-1", "job-2"]


def e_at(commit: Any, at: int) -> Any:
    return msgspec.structs.replace(commit, at=at)
