"""A job that begins where another one was: what is written before it, and when it takes effect."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.job import Job, evolve
from jobledger.core.lifecycle import JobState, LifecycleError, TaskState
from support.forks import FORK, ORIGIN, fork_job, plan, view_of, write
from support.histories import A_TASK, OF_AN_ATTEMPT, JobDriver, snapshot, submission, task

COMPUTED = TaskState.COMPUTED.value


def half_way() -> JobDriver:
    """A root is computed, and two of its three subtasks; the third waits for both."""
    job = JobDriver(task("Root"))
    job.run(0, task("Left"), task("Right"), task("Both", after=[0, 1]))
    job.run(1)
    job.run(2)
    return job


def in_parts(size: int = 1) -> list[c.Command]:
    """Return the commands that fork that job, with about as many bytes a part."""
    planned = plan(view_of(half_way()), part=size)
    return [*(c.TakeOver(FORK, part) for part in planned.parts[:-1]), fork_job(planned)]


# -- when it takes effect -----------------------------------------------------------------------------------------


def test_a_fork_goes_on_where_the_old_job_was() -> None:
    fork = write(plan(view_of(half_way())))
    assert (fork.state, fork.states) == (JobState.STARTED, "CCCQ")
    assert fork.drain() == [3]
    assert (fork.state, fork.states) == (JobState.COMPLETED, "CCCC")


def test_what_is_taken_over_does_not_run_again() -> None:
    fork = write(plan(view_of(half_way())))
    assert fork.claim(10) == [3]
    assert [fork.job.attempt[number] for number in range(4)] == [1, 1, 1, 1]
    assert fork.refused(OF_AN_ATTEMPT["computed"](1, 2)) == "stale"


def test_there_is_no_job_before_all_parts_are_there() -> None:
    *parts, last = in_parts()
    fork = JobDriver()
    assert len(parts) > 2
    for part in parts:
        assert fork.do(part) != []
        assert fork.job.state == 0
        assert fork.claim(10) == []
        assert fork.refused(c.CancelJob(FORK, "cancel-1")) == "unknown_job"
    fork.do(last)
    assert fork.states == "CCCQ"


def test_it_is_the_same_in_any_number_of_parts() -> None:
    for size in (1, 60, 200, 100_000):
        fork = JobDriver()
        for command in in_parts(size):
            fork.do(command)
        assert fork.states == "CCCQ"
        assert fork.drain() == [3]


def test_a_fork_of_which_nothing_is_left_is_completed() -> None:
    job = half_way()
    job.drain()
    fork = write(plan(view_of(job)))
    assert [type(event) for _, events in fork.history for event in events] == [
        e.TasksTakenOver,
        e.JobSubmitted,
        e.JobCompleted,
    ]
    assert fork.job.settled


def test_a_fork_of_what_never_ran_begins_at_the_beginning() -> None:
    fork = write(plan(view_of(JobDriver(task("A"), task("B")))))
    assert fork.state is JobState.SUBMITTED
    assert fork.drain() == [0, 1]


def test_a_fork_can_be_canceled_retried_and_deleted_like_any_job() -> None:
    fork = write(plan(view_of(half_way())))
    fork.cancel()
    fork.retry()
    assert fork.states == "CCCQ"
    fork.cancel("cancel-2")
    fork.delete()
    assert fork.state is JobState.DELETED


# -- repeating it -------------------------------------------------------------------------------------------------


def test_every_command_may_be_repeated() -> None:
    fork = JobDriver()
    for command in in_parts():
        assert fork.do(command) != []
        before = snapshot(fork.job)
        assert fork.do(command) == []
        assert snapshot(fork.job) == before
    fork.drain()
    assert all(fork.do(command) == [] for command in in_parts())


def test_a_fork_that_was_left_half_written_is_completed_by_whoever_repeats_it() -> None:
    commands = in_parts()
    fork = JobDriver()
    for command in [*commands[:2], *commands]:
        fork.do(command)
    assert fork.states == "CCCQ"


@pytest.mark.parametrize("size", [1, 100_000])
def test_another_fork_to_the_same_id_does_away_with_what_was_left_half_written(size: int) -> None:
    fork = JobDriver()
    for command in in_parts()[:3]:
        fork.do(command)
    write(plan(view_of(half_way()), 1, part=size), fork)
    assert fork.states == "CQCQ"
    assert fork.job.taken_over == [], "nothing of it is kept in memory"


def test_parts_of_two_forks_do_not_mix() -> None:
    first = in_parts()
    planned = plan(view_of(half_way()), 1, part=1)
    fork = JobDriver()
    fork.do(first[0])
    assert len(planned.parts) > 1
    assert fork.refused(c.TakeOver(FORK, planned.parts[1])) == "conflict"
    assert fork.refused(first[2]) == "conflict"
    assert fork.refused(fork_job(planned)) == "conflict"
    fork.do(first[1])
    assert fork.refused(c.TakeOver(FORK, planned.parts[1])) == "conflict"


@pytest.mark.parametrize(
    "options",
    [{"origin": msgspec.structs.replace(ORIGIN, version=3)}, {}],
    ids=["another point", "other inputs"],
)
def test_an_idempotency_key_stands_for_one_fork(options: dict[str, Any]) -> None:
    fork = write(plan(view_of(half_way())), key="nightly")
    assert fork.do(fork_job(plan(view_of(half_way())), key="nightly")) == []
    others = plan(view_of(half_way())) if options else plan(view_of(half_way()), 2)
    assert fork.refused(fork_job(others, key="nightly", **options)) == "conflict"
    assert (
        fork.refused(c.SubmitJob(FORK, "a job", submission(task("Root")), "", e.JobOptions(key="nightly")))
        == "conflict"
    )


# -- what is refused ----------------------------------------------------------------------------------------------


def over(number: int, **fields: Any) -> e.TakenOver:
    return e.TakenOver(**({"task": number, "source": number, "state": COMPUTED} | fields))


MALFORMED: dict[str, tuple[list[e.TakenOver], list[e.SubtasksOf]]] = {
    "a task that is not there": ([over(1)], []),
    "a negative number": ([over(-1)], []),
    "twice": ([over(0), over(0)], []),
    "a state that is no end": ([over(0, state=TaskState.RUNNING.value)], []),
    "a failure, which could be retried": ([over(0, state=TaskState.FAILED.value)], []),
    "an attempt that does not fit": ([over(0, attempt=2**32)], []),
    "a number there that no task has": ([over(0, source=2**31)], []),
    "a runner that is not named": ([over(0, runner=1)], []),
    "skipped because of nobody": ([over(0, state=TaskState.SKIPPED.value, cause=5)], []),
    "children before their parent": ([over(1), over(0)], [e.SubtasksOf(0, A_TASK)]),
    "subtasks of a task that is queued": ([], [e.SubtasksOf(0, A_TASK)]),
    "subtasks of a task that failed": (
        [over(0, state=TaskState.FAILED_OPTIONAL.value)],
        [e.SubtasksOf(0, A_TASK)],
    ),
    "chunks with a hole": ([over(0)], [e.SubtasksOf(0, msgspec.structs.replace(A_TASK, start=1))]),
    "malformed subtasks": ([over(0)], [e.SubtasksOf(0, msgspec.structs.replace(A_TASK, inputs=[]))]),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_what_makes_no_sense_is_refused_and_cannot_be_folded(what: str) -> None:
    part = e.TasksTakenOver(b"plan", 0, *MALFORMED[what], ["runner-1"])
    options = e.JobOptions(origin=ORIGIN)
    driver = JobDriver()
    assert driver.refused(c.ForkJob(FORK, "a job", A_TASK, "", options, part)) == "invalid"
    job = Job(FORK)
    evolve(job, part, 1)
    before = snapshot(job)
    with pytest.raises(LifecycleError):
        evolve(job, e.JobSubmitted("a job", A_TASK, "", options), 1)
    assert snapshot(job) == before


def test_a_fork_says_where_it_comes_from() -> None:
    planned = plan(view_of(half_way()))
    driver = JobDriver()
    assert driver.refused(fork_job(planned, origin=None)) == "invalid"
    assert driver.refused(msgspec.structs.replace(fork_job(planned), name="")) == "invalid"
    driver.do(c.TakeOver(FORK, planned.parts[0]))
    with pytest.raises(LifecycleError, match="from where"):
        evolve(driver.job, e.JobSubmitted("a job", planned.roots), 1)


def test_a_job_that_is_only_submitted_comes_from_nowhere() -> None:
    submit = c.SubmitJob(FORK, "a job", A_TASK, "", e.JobOptions(origin=ORIGIN))
    assert JobDriver().refused(submit) == "invalid"


def test_nothing_is_taken_over_by_a_job_that_exists() -> None:
    part = plan(view_of(half_way())).parts[0]
    job = JobDriver(task())
    assert job.do(c.TakeOver(FORK, part)) == []
    with pytest.raises(LifecycleError, match="after JobSubmitted"):
        evolve(job.job, part, 1)
    job.delete(force=True)
    with pytest.raises(LifecycleError, match="after JobDeleted"):
        evolve(job.job, part, 1)


def test_parts_are_folded_in_order() -> None:
    parts = [command.part for command in in_parts() if isinstance(command, c.TakeOver)]
    job = Job(FORK)
    evolve(job, parts[0], 1)
    with pytest.raises(LifecycleError, match="part 2"):
        evolve(job, parts[2], 1)
    with pytest.raises(LifecycleError, match="part 1"):
        evolve(job, msgspec.structs.replace(parts[1], plan=b"another"), 1)
    evolve(job, parts[1], 1)
