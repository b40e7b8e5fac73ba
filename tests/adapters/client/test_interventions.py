"""Stepping in: cancel and retry a job or a part of it, and delete a job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from jobledger import (
    ArgumentError,
    Client,
    ExecutionContext,
    Job,
    JobNotDeletable,
    JobNotRetryable,
    JobState,
    NotFoundError,
    Task,
    TaskState,
)
from jobledger.adapters.client.read.reasons import Reasons
from jobledger.core.commands import ReportCanceled
from support.engines import BareRunner, computed, failed, task

QUEUED, RUNNING, COMPUTED = TaskState.QUEUED, TaskState.RUNNING, TaskState.COMPUTED
TASK_CANCELED, ABANDONED = TaskState.CANCELED, TaskState.ABANDONED


class Add(Task):
    left: int

    def execute(self, context: ExecutionContext) -> None:
        """Nothing is left to do."""


def states(job: Job) -> list[TaskState]:
    return [task.state for task in job.tasks]


def state(job: Job) -> JobState:
    return job.state


@pytest.fixture
def leaves(bare_runner: BareRunner) -> BareRunner:
    """A runner of the children."""
    return BareRunner(bare_runner._link, "Leaf", name="leaves")


@pytest.fixture
def fanned_out(client: Client, bare_runner: BareRunner, leaves: BareRunner) -> Job:
    """A root that is computed, two children, and one that depends on the first of them; the first child runs."""
    job = client.jobs().submit("adding", Add(1))
    (ref,) = bare_runner.claim()
    bare_runner.report(computed(ref, task("Leaf"), task("Leaf"), task("Leaf", after=(0,))))
    (running,) = leaves.claim()
    assert running.task == 1
    assert states(job) == [COMPUTED, RUNNING, QUEUED, QUEUED]
    return job


# -- cancel -------------------------------------------------------------------------------------------------------


def test_a_queued_task_is_canceled_and_the_job_goes_on(client: Client, fanned_out: Job) -> None:
    jobs = client.jobs()
    assert jobs.cancel(fanned_out.tasks[2], reason="not needed") == 1
    assert states(fanned_out) == [COMPUTED, RUNNING, TASK_CANCELED, QUEUED]
    assert jobs.cancel(f"{fanned_out.id}/2") == 0
    assert state(fanned_out) is JobState.RUNNING
    assert "not needed" in str(fanned_out.history)


def test_a_running_task_is_told_and_what_depends_on_it_abandoned(
    client: Client, fanned_out: Job, leaves: BareRunner
) -> None:
    jobs = client.jobs()
    assert jobs.cancel(fanned_out.tasks[1], grace=5) == 2
    assert states(fanned_out) == [COMPUTED, RUNNING, QUEUED, ABANDONED]
    leaves.report(ReportCanceled(str(fanned_out.id), 1, 1, 1, 2))
    assert states(fanned_out)[1] is TASK_CANCELED
    client.jobs().cancel(fanned_out.tasks[2])
    assert (state(fanned_out), fanned_out.settled) == (JobState.CANCELED, True)
    assert jobs.retry(fanned_out) == 3
    assert states(fanned_out) == [COMPUTED, QUEUED, QUEUED, QUEUED]


def test_a_job_or_a_task_that_is_not_there(client: Client, fanned_out: Job) -> None:
    jobs = client.jobs()
    calls: list[Callable[[Any], object]] = [jobs.cancel, jobs.retry]
    for call in calls:
        with pytest.raises(NotFoundError, match=rf"job {fanned_out.id} has no task 7"):
            call(f"{fanned_out.id}/7")
        with pytest.raises(NotFoundError, match="there is no job"):
            call(f"{uuid4()}/0")
        for wrong in (f"{fanned_out.id}/", f"{fanned_out.id}/x", f"{fanned_out.id}/-1", f"{fanned_out.id}/²"):
            with pytest.raises(ArgumentError, match="is not the id of a task"):
                call(wrong)
        with pytest.raises(ArgumentError, match="is not a job, nor the id of one"):
            call("movies/3")


@pytest.mark.parametrize(("grace", "says"), [(-1, "grace=-1"), ("5", "grace='5' is no length of time")])
def test_a_grace_is_a_length_of_time(client: Client, grace: Any, says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        client.jobs().cancel(uuid4(), grace=grace)


# -- retry --------------------------------------------------------------------------------------------------------


def test_one_task_is_retried_while_the_rest_of_the_job_goes_on(
    client: Client, bare_runner: BareRunner
) -> None:
    jobs = client.jobs()
    job = jobs.submit("adding", [Add(1), Add(2)], on_failure="continue")
    first, second = bare_runner.claim(limit=2)
    bare_runner.report(failed(first))
    assert (states(job), state(job)) == ([TaskState.FAILED, RUNNING], JobState.RUNNING)
    assert jobs.retry(job.tasks[0]) == 1
    assert states(job) == [QUEUED, RUNNING]
    with pytest.raises(JobNotRetryable, match="task 1 of job"):
        jobs.retry(f"{job.id}/1")
    bare_runner.report(computed(second))


def test_a_retry_may_set_a_new_deadline(client: Client) -> None:
    jobs = client.jobs()
    job = jobs.submit("adding", Add(1), deadline=3600)
    first = job.deadline
    assert first is not None
    jobs.cancel(job)
    jobs.retry(job, deadline=7200)
    assert job.deadline is not None
    assert 3500 < (job.deadline - first).total_seconds() < 3700


# -- delete -------------------------------------------------------------------------------------------------------


def test_a_settled_job_is_deleted_and_everyone_told_when_and_by_whom(client: Client, fanned_out: Job) -> None:
    jobs = client.jobs()
    done = jobs.submit("adding", Add(1))
    jobs.cancel(done)
    assert jobs.deletable(done) == done.deletable == Reasons()
    assert done.deletable
    found = jobs.find(done)
    jobs.delete(done.id, reason="cleaning up")
    told = rf"job 'adding' \({done.id}\) was deleted at \d{{4}}-.* UTC by .*@.*: cleaning up"
    calls: list[Callable[[], object]] = [
        lambda: jobs.find(done.id),
        lambda: found.state,
        lambda: done.history,
        lambda: jobs.cancel(done),
        lambda: jobs.retry(done),
        lambda: jobs.delete(done),
        lambda: jobs.deletable(done),
        lambda: jobs.visualize(done),
        found.wait,
    ]
    for call in calls:
        with pytest.raises(NotFoundError, match=told):
            call()


def test_a_job_that_is_not_settled_is_not_deleted_and_says_why(client: Client, fanned_out: Job) -> None:
    jobs = client.jobs()
    assert not fanned_out.deletable
    assert fanned_out.deletable.reasons == ("it is RUNNING: cancel it first, or delete it with force=True",)
    with pytest.raises(
        JobNotDeletable, match=r"it is RUNNING and 1 of its tasks still run.*delete it with force"
    ):
        jobs.delete(fanned_out)
    jobs.cancel(fanned_out)
    assert str(jobs.deletable(str(fanned_out.id))) == (
        "it is CANCELED, but 1 of its tasks still run: wait for them, or delete it with force=True"
    )
    with pytest.raises(ArgumentError, match="cannot be deleted: it is CANCELED"):
        jobs.delete(fanned_out)


def test_force_deletes_a_job_under_the_hands_of_its_runner(
    client: Client, fanned_out: Job, bare_runner: BareRunner
) -> None:
    client.jobs().delete(fanned_out, force=True)
    with pytest.raises(NotFoundError, match="was deleted"):
        fanned_out.refresh()
    (code,) = bare_runner.report(ReportCanceled(str(fanned_out.id), 1, 1, 1, 2))
    assert code in ("unknown_job", "stale")
    with pytest.raises(ArgumentError, match="force=1 is neither True nor False"):
        client.jobs().delete(fanned_out, force=1)  # type: ignore[arg-type]
