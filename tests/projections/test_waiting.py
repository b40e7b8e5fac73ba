"""Why a task does not run, in words: what is in its way, who put it there, and what to do."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.core.policy import CONTINUE, Policy
from jobledger.core.submission import NewTask, TaskSpec
from support.histories import JOB, JobDriver, task
from support.random_history import T0, ClockedDriver, committed, random_history
from support.views import view_of

SECOND = 1_000_000
randoms = st.integers(0, 2**32).map(Random)


def asking(name: str, policy: Policy, *, after: tuple[int, ...] = (), retries: int = 0) -> NewTask:
    return NewTask(TaskSpec(name, 1, 0, "default", retries, policy=policy), b"", frozenset(after))


def waiting(driver: JobDriver, number: int, *, at: int = 0) -> str | None:
    """Return what a task says, `at` seconds after T0 if that is given."""
    view = view_of(driver)
    return (view.at(T0 + at * SECOND) if at else view).tasks[number].waiting


@given(randoms)
@settings(max_examples=60, deadline=None)
def test_every_task_says_what_keeps_it_from_running(random: Random) -> None:
    view = view_of(committed(random_history(random)))
    halted = view.state in (JobState.FAILED, JobState.CANCELED)
    for one in view.tasks:
        said = one.waiting or ""
        match one.state:
            case TaskState.SKIPPED | TaskState.ABANDONED:
                assert said.startswith(
                    (f"{one.state.name.lower()}, because task ", "skipped, because it was")
                )
            case TaskState.CANCELED:
                assert said.startswith("canceled")
            case TaskState.QUEUED if view.state is JobState.DELETED:
                assert said.startswith("the job was deleted")
            case TaskState.QUEUED if halted:
                assert said.startswith("the job is halted: ")
            case TaskState.QUEUED if one.ready:
                assert said.startswith(("ready: waits for a runner", "waits for its turn: 2 tasks run"))
                assert all(other.complete for other in one.depends_on)
            case TaskState.QUEUED if one.held_until is not None:
                assert said.startswith(("not before 2023-", "backing off until 2023-"))
            case TaskState.QUEUED:
                assert said.startswith("waits for task")
                assert not all(other.complete for other in one.depends_on)
            case _:
                assert one.waiting is None


def test_a_ready_task_names_the_runner_it_needs() -> None:
    driver = JobDriver(task("Leaf", cluster="gpu", retries=1))
    assert waiting(driver, 0) == "ready: waits for a runner of cluster 'gpu' with task Leaf v1.0"
    driver.claim()
    driver.fail(0)
    assert waiting(driver, 0) == (
        "ready: waits for a runner of cluster 'gpu' with task Leaf v1.0, "
        "to make attempt 2: the one before failed: ValueError: it broke"
    )


def test_a_dependant_names_what_is_not_complete() -> None:
    driver = JobDriver(task("Root"))
    leaves = [task("Leaf") for _ in range(6)]
    driver.run(0, *leaves, task("Reduce", after=range(6)), task("Last", after=[0]))
    assert waiting(driver, 7) == (
        "waits for tasks 1 (Leaf, QUEUED), 2 (Leaf, QUEUED), 3 (Leaf, QUEUED) and 3 more"
    )
    assert waiting(driver, 8) == "waits for task 1 (Leaf, QUEUED)"
    driver.claim()
    assert waiting(driver, 8) == "waits for task 1 (Leaf, RUNNING)"
    driver.compute(1, task("Below"))
    assert waiting(driver, 8) == "waits for task 1 (Leaf, COMPUTED, its subtasks are not complete)"
    driver.run(9)
    assert view_of(driver).tasks[8].ready


def test_a_task_that_backs_off_says_until_when_and_after_what() -> None:
    driver = ClockedDriver(asking("Load", Policy(delay=5 * SECOND), retries=3))
    driver.claim()
    driver.now = T0 + 2 * SECOND - 1000
    driver.fail(0)
    assert waiting(driver, 0) == (
        "backing off until 2023-11-14 22:13:27.000Z, to make attempt 2: the one before failed: ValueError: it broke"
    )
    assert (waiting(driver, 0, at=7) or "").startswith("ready: waits for a runner")
    assert not view_of(driver).tasks[0].ready
    assert view_of(driver).at(T0 + 7 * SECOND).tasks[0].ready


def test_a_task_that_is_to_start_later_says_when() -> None:
    driver = ClockedDriver(asking("Load", Policy(not_before=T0 + 60 * SECOND)))
    assert waiting(driver, 0) == "not before 2023-11-14 22:14:20.000Z, its start"
    assert (waiting(driver, 0, at=60) or "").startswith("ready: waits for a runner")


def test_a_task_whose_key_is_full_says_so() -> None:
    policy = Policy(key="api", limit=2)
    driver = ClockedDriver(*[asking("Call", policy) for _ in range(3)])
    assert waiting(driver, 2) == (
        "ready: waits for a runner of cluster 'default' with task Call v1.0, and for a place under the key 'api', "
        "which has 2 in all jobs"
    )
    driver.claim(2)
    assert waiting(driver, 2) == "waits for its turn: 2 tasks run under the key 'api', which is its limit"
    driver.compute(0)
    assert (waiting(driver, 2) or "").startswith("ready")


def test_a_halted_task_says_who_halted_it() -> None:
    driver = JobDriver(task("One"), task("Two"))
    driver.claim()
    driver.cancel()
    assert waiting(driver, 1) == (
        "the job is halted: it was canceled by user@host (enough). Retry the job to go on"
    )
    assert not view_of(driver).tasks[1].ready
    driver.fail(0)
    assert waiting(driver, 1) == "the job is halted: task 0 (One) failed. Retry the job to go on"
    driver.retry()
    assert view_of(driver).canceled is None
    assert (waiting(driver, 1) or "").startswith("ready")


def test_a_task_of_a_job_that_missed_its_deadline_says_which() -> None:
    driver = ClockedDriver(task("One"), options=e.JobOptions(deadline=T0 + SECOND))
    driver.pass_time(SECOND)
    driver.do(c.ExpireJob(JOB))
    assert waiting(driver, 0) == (
        "the job is halted: its deadline, 2023-11-14 22:13:21.000Z, has passed. Retry the job to go on"
    )
    error = view_of(driver).error
    assert error is not None
    assert str(error) == "DeadlineExceeded: the job was not over at its deadline, 2023-11-14 22:13:21.000Z"
    assert error.task_id == ""
    driver.retry()
    assert view_of(driver).error is None
    assert (waiting(driver, 0) or "").startswith("ready")


def test_a_task_of_a_deleted_job_says_by_whom() -> None:
    driver = JobDriver(task("One"))
    driver.do(c.DeleteJob(JOB, "delete", "ada@host", "a mistake", force=True))
    assert waiting(driver, 0) == "the job was deleted by ada@host: a mistake"


def test_a_canceled_task_says_by_whom_and_an_abandoned_one_because_of_which() -> None:
    driver = JobDriver(task("Root"))
    driver.run(0, task("Group"), task("Report", after=[0]), task("Other"))
    driver.run(1, task("Leaf"))
    driver.do(c.CancelTask(JOB, "cancel", 1, "ada@host", "too dear"))
    assert waiting(driver, 4) == (
        "canceled, because task 1 (Group) was canceled by ada@host: too dear. Retry it, or the job, to run it after all"
    )
    assert waiting(driver, 2) == (
        "abandoned, because task 1 (Group) was canceled by ada@host: too dear. Retry that task, or the job, to go on"
    )
    driver.do(c.CancelTask(JOB, "cancel-2", 3, "ada@host"))
    assert waiting(driver, 3) == "canceled by ada@host. Retry it, or the job, to run it after all"


def test_what_a_failure_leaves_behind_names_it() -> None:
    driver = JobDriver(task("Root"))
    bad = asking("Bad", Policy(on_failure=CONTINUE))
    driver.run(0, bad, task("Next", after=[0]), task("Maybe", optional=True))
    driver.run(3, task("Flaky"), task("Rest", after=[0]))
    driver.claim(4)
    driver.fail(1)
    driver.fail(4)
    assert waiting(driver, 2) == (
        "abandoned, because task 1 (Bad) failed: ValueError: it broke. Retry that task, or the job, to go on"
    )
    assert waiting(driver, 5) == "skipped, because task 4 (Flaky) failed: ValueError: it broke"
    assert waiting(driver, 1) is None


def test_a_task_that_may_kill_its_runners_says_that_it_is_handed_out_by_itself() -> None:
    driver = JobDriver(task("Leaf"))
    for _ in range(2):
        driver.claim()
        driver.expire(0, alone=True)
    text = waiting(driver, 0)
    assert text is not None
    assert text.endswith(
        ", which holds nothing else, or few like it: 2 runners were lost while they had it, and it may be what kills them, "
        "to make attempt 3: the one before expired: no sign of life from runner runner-1"
    )
