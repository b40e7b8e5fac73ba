"""What a history may say, and what it may not: an event that cannot follow is refused, and the job is as it was."""

from __future__ import annotations

from typing import Any

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


@pytest.mark.parametrize(
    "event",
    [
        e.SubtasksStaged(0, 1, TWO),
        e.TasksClaimed("runner-1", 1, [0, 1]),
        e.TaskComputed(0, 1, 10, 20),
        e.AttemptFailed(0, 1, 10, 20, ERROR),
        e.TaskFailed(0, 1, 10, 20, ERROR),
        e.OptionalTaskFailed(0, 1, 10, 20, ERROR),
        e.TasksSkipped([0, 1], 0),
        e.TaskReleased(0, 1, ""),
        e.LeaseExpired(0, 1, "runner-1"),
        e.JobCompleted(),
        e.JobFailed(0),
        e.JobCanceled("cancel-1"),
        e.JobRetried("retry-1", [], 0),
    ],
    ids=lambda event: type(event).__name__,
)
def test_a_history_begins_with_the_submission(event: e.Event) -> None:
    refused(Job(JOB), event, "before JobSubmitted")


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
    for number in (0, 1):
        for end in (
            e.SubtasksStaged(number, 1, TWO),
            e.TaskComputed(number, 1, 10, 20),
            e.AttemptFailed(number, 1, 10, 20, ERROR),
            e.TaskFailed(number, 1, 10, 20, ERROR),
            e.OptionalTaskFailed(number, 1, 10, 20, ERROR),
            e.TaskReleased(number, 1, ""),
            e.LeaseExpired(number, 1, "runner-1"),
        ):
            refused(job.job, end, f"of attempt 1 of task {number}, which is (QUEUED|COMPUTED) at attempt 1")


def test_only_the_current_attempt_is_spoken_of() -> None:
    job = JobDriver(task())
    job.claim()
    job.release(0)
    job.claim()
    refused(job.job, e.TaskComputed(0, 1, 10, 20), "which is RUNNING at attempt 2")
    refused(job.job, e.TaskComputed(7, 1, 10, 20), "of task 7, which does not exist")
    refused(job.job, e.TaskComputed(-1, 2, 10, 20), "of task -1, which does not exist")


def test_only_queued_tasks_are_skipped() -> None:
    job = JobDriver(task(), task(), task())
    job.claim()
    refused(job.job, e.TasksSkipped([0, 3], 0), "skipped but not queued")
    refused(job.job, e.TasksSkipped([1, 2, 0, 1], 0), "malformed ranges")


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
        refused(job.job, e.JobFailed(number), "has not failed")
    job.claim()
    job.fail(0)
    refused(job.job, e.JobFailed(1), "has not failed")
    refused(job.job, e.JobFailed(0), "cannot fail: it is FAILED")


def test_a_halted_job_is_not_canceled() -> None:
    job = JobDriver(task())
    job.cancel()
    refused(job.job, e.JobCanceled("again"), "cannot cancel: it is CANCELED")


def test_only_failed_tasks_of_a_halted_job_are_retried() -> None:
    job = JobDriver(task(), task())
    refused(job.job, e.JobRetried("retry-1", [], 2), "cannot retry: it is SUBMITTED")
    job.claim(2)
    job.fail(0)
    refused(job.job, e.JobRetried("retry-1", [0, 2], 2), "has not failed")


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
