"""What a history may say, and what it may not: an event that cannot follow is refused, and the job is as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import msgspec
import pytest

from jobledger.core import events as e
from jobledger.core.job import Job, evolve, fold
from jobledger.core.lifecycle import JobState, LifecycleError
from jobledger.core.submission import Submission
from support.histories import ERROR, JOB, JobDriver, snapshot, submission, task

TWO = submission(task(), task())
MALFORMED = Submission([b""], [], [0, 1])


def refused(job: Job, event: Any, reason: str) -> None:
    before = snapshot(job)
    with pytest.raises(LifecycleError, match=reason):
        evolve(job, event, 99)
    assert snapshot(job) == before


#: one of each kind, about task 0 and its first attempt
EVENTS: list[e.Event] = [
    e.SubtasksStaged(0, 1, TWO),
    e.TasksClaimed("runner-1", 1, [0, 1]),
    e.TaskComputed(0, 1, 10, 20),
    e.TaskReused(0, 1, 10, 20, "job-0", 7),
    e.AttemptFailed(0, 1, 10, 20, ERROR),
    e.TaskFailed(0, 1, 10, 20, ERROR),
    e.OptionalTaskFailed(0, 1, 10, 20, ERROR),
    e.TaskCanceled(0, 1, 10, 20),
    e.TaskProgressed(0, 1, 10),
    e.TaskReleased(0, 1, ""),
    e.LeaseExpired(0, 1, "runner-1"),
    e.TasksSkipped([0, 1], 0),
    e.TasksCanceled([0, 1], 0),
    e.TasksAbandoned([0, 1], 0),
    e.CancelRequested(0, [0, 1], "cancel-1"),
    e.JobCompleted(),
    e.JobFailed(0),
    e.JobCanceled("cancel-1"),
    e.JobRetried("retry-1", [], 0),
    e.DeadlineExceeded(0),
    e.JobDeleted("delete-1"),
    e.JobErased("keys/1"),
]
every_event = pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
#: those that speak of a running attempt
OF_AN_ATTEMPT = [event for event in EVENTS if hasattr(event, "attempt") and hasattr(event, "task")]


@every_event
def test_a_history_begins_with_the_submission(event: e.Event) -> None:
    refused(Job(JOB), event, "before JobSubmitted")


@pytest.mark.parametrize("state", ["QUEUED", "RUNNING"])
@every_event
def test_a_history_ends_with_the_deletion(event: e.Event, state: str) -> None:
    job = JobDriver(task())
    if state == "RUNNING":
        job.claim()
    job.delete(force=True)
    assert (job.state, job.job.settled, job.job.state_of(0).name) == (JobState.DELETED, True, state)
    refused(job.job, event, f"{type(event).__name__} after JobDeleted")
    refused(job.job, e.JobSubmitted("again", TWO), "after JobDeleted")


def test_there_is_an_event_of_each_kind() -> None:
    begin = {e.JobSubmitted, e.TasksTakenOver}
    assert {type(event) for event in EVENTS} == {*get_args(e.Event)} - begin


def test_a_job_is_submitted_once() -> None:
    refused(JobDriver(task()).job, e.JobSubmitted("again", TWO), "twice")


@pytest.mark.parametrize("tasks", [MALFORMED, msgspec.structs.replace(TWO, start=1)])
def test_malformed_tasks_are_refused(tasks: Submission) -> None:
    refused(Job(JOB), e.JobSubmitted("a job", tasks), "malformed|begins at 1")
    job = JobDriver(task())
    job.claim()
    refused(job.job, e.SubtasksStaged(0, 1, tasks), "malformed|begins at 1")
    refused(job.job, e.TaskComputed(0, 1, 10, 20, tasks), "malformed|begins at 1")


@pytest.mark.parametrize("ranges", [[0], [1, 0], [0, 3], [-1, 1], [0, 1, 0, 1]], ids=str)
def test_malformed_ranges_are_refused(ranges: list[int]) -> None:
    job = JobDriver(task(), task())
    refused(job.job, e.TasksClaimed("runner-1", 1, ranges), "malformed ranges")
    refused(job.job, e.TasksSkipped(ranges, 0), "malformed ranges")
    refused(job.job, e.TasksCanceled(ranges, 0), "malformed ranges")
    refused(job.job, e.TasksAbandoned(ranges, 0), "malformed ranges")
    refused(job.job, e.CancelRequested(0, ranges, "cancel-1"), "malformed ranges")
    job.claim(2)
    job.fail(0)
    job.fail(1)
    refused(job.job, e.JobRetried("retry-1", ranges, 2), "malformed ranges")


@pytest.mark.parametrize("attempt", [-(2**63), 0, 2, 2**64 - 1])
def test_a_claim_begins_the_next_attempt(attempt: int) -> None:
    refused(JobDriver(task()).job, e.TasksClaimed("runner-1", attempt, [0, 1]), "is not its next")


def test_a_claim_is_of_ready_tasks_only_and_of_all_or_none() -> None:
    job = JobDriver(task(), task(), task(after=[1]))
    job.claim(1)
    refused(job.job, e.TasksClaimed("runner-1", 1, [0, 2]), "not ready")
    refused(job.job, e.TasksClaimed("runner-1", 1, [1, 3]), "not ready")
    evolve(job.job, e.TasksClaimed("runner-1", 1, [1, 2]), 99)
    assert job.states == "RRQ"


def test_nothing_is_claimed_of_a_halted_job() -> None:
    job = JobDriver(task())
    job.cancel()
    refused(job.job, e.TasksClaimed("runner-1", 1, [0, 1]), "while the job is CANCELED")


def test_an_attempt_ends_once() -> None:
    job = JobDriver(task(retries=1), task())
    job.claim(2)
    job.fail(0)
    job.compute(1)
    for event in OF_AN_ATTEMPT:
        if not isinstance(event, e.TaskCanceled):
            refused(job.job, event, "of attempt 1 of task 0, which is QUEUED at attempt 1")
            late = msgspec.structs.replace(event, task=1)
            refused(job.job, late, "of attempt 1 of task 1, which is COMPUTED at attempt 1")


def test_only_the_current_attempt_is_spoken_of() -> None:
    job = JobDriver(task())
    job.claim()
    job.release(0)
    job.claim()
    refused(job.job, e.TaskComputed(0, 1, 10, 20), "which is RUNNING at attempt 2")
    refused(job.job, e.TaskComputed(7, 1, 10, 20), "of task 7, which does not exist")
    refused(job.job, e.TaskComputed(-1, 2, 10, 20), "of task -1, which does not exist")


@pytest.mark.parametrize("kind", [e.TasksSkipped, e.TasksCanceled, e.TasksAbandoned])
def test_only_queued_tasks_are_dismissed(kind: Callable[[list[int], int], e.Event]) -> None:
    job = JobDriver(task(), task(), task())
    job.claim()
    refused(job.job, kind([0, 3], 0), "that is not queued")
    refused(job.job, kind([1, 2, 0, 1], 0), "malformed ranges")
    for cause in (-1, 3):
        refused(job.job, kind([1, 2], cause), f"of task {cause}, which does not exist")


def test_only_a_running_task_is_asked_to_stop() -> None:
    job = JobDriver(task(), task())
    job.claim()
    refused(job.job, e.CancelRequested(0, [0, 2], "cancel-1"), "is asked to stop but does not run")
    refused(job.job, e.CancelRequested(2, [0, 1], "cancel-1"), "of task 2, which does not exist")
    refused(job.job, e.CancelRequested(-1, [0, 1], "cancel-1"), "of task -1, which does not exist")


def test_only_a_task_that_was_asked_to_stop_is_canceled_while_it_runs() -> None:
    job = JobDriver(task(), task())
    job.claim(2)
    refused(job.job, e.TaskCanceled(0, 1, 10, 20), "was not asked to stop")
    evolve(job.job, e.CancelRequested(0, [0, 1], "cancel-1"), 99)
    refused(job.job, e.TaskCanceled(0, 2, 10, 20), "which is RUNNING at attempt 1")
    refused(job.job, e.TaskCanceled(1, 1, 10, 20), "was not asked to stop")
    evolve(job.job, e.TaskCanceled(0, 1, 10, 20), 99)
    assert job.states == "XR"


def test_a_deadline_is_exceeded_if_it_is_that_of_the_job() -> None:
    job = JobDriver()
    job.submit(task(), deadline=50)
    refused(job.job, e.DeadlineExceeded(51), "that of the job is 50")
    evolve(job.job, e.DeadlineExceeded(50), 99)
    assert job.state is JobState.FAILED
    refused(job.job, e.DeadlineExceeded(50), "cannot expire: it is FAILED")


def test_a_job_that_goes_on_is_not_deleted() -> None:
    refused(JobDriver(task()).job, e.JobDeleted("delete-1"), "cannot delete: it is SUBMITTED")


def test_a_job_is_completed_once_nothing_is_left() -> None:
    job = JobDriver(task())
    refused(job.job, e.JobCompleted(), "1 unfinished")
    job.claim()
    job.cancel()
    job.compute(0)
    refused(job.job, e.JobCompleted(), "cannot complete: it is CANCELED")


def test_a_job_fails_of_a_task_that_failed() -> None:
    job = JobDriver(task(), task())
    for number in (0, 2, -1):
        refused(job.job, e.JobFailed(number), "has not failed|does not exist")
    job.claim()
    job.fail(0)
    refused(job.job, e.JobFailed(1), "has not failed")
    refused(job.job, e.JobFailed(0), "cannot fail: it is FAILED")


def test_a_completed_job_is_not_canceled() -> None:
    job = JobDriver(task())
    job.claim()
    job.compute(0)
    refused(job.job, e.JobCanceled("late"), "cannot stop: it is COMPLETED")


def test_only_what_failed_is_retried() -> None:
    job = JobDriver(task(), task())
    job.claim(2)
    job.fail(0)
    refused(job.job, e.JobRetried("retry-1", [0, 2], 2), "is retried that has not failed")
    refused(job.job, e.JobRetried("retry-1", [0, 1], 2, "", 2), "of task 2, which does not exist")
    job.retry()
    job.drain()
    job.compute(1)
    refused(job.job, e.JobRetried("retry-2", [], 0), "cannot retry: it is COMPLETED")


def test_folding_goes_on_where_it_stopped() -> None:
    job = JobDriver(task(retries=1))
    job.claim()
    job.fail(0)
    job.claim()
    job.compute(0, task(), task())
    job.drain()
    for stop in range(len(job.history) + 1):
        begun = fold(Job(JOB), job.history[:stop])
        assert snapshot(fold(begun, job.history[stop:])) == snapshot(job.job)
    assert job.state is JobState.COMPLETED
