"""Programs that fail, in part or for a time."""

from __future__ import annotations

import pytest

from jobledger import Job, JobFailed, Task
from jobledger.data import AttemptOutcome, JobState, TaskState
from programs.conftest import Output
from programs.workflows import cancellation, failing_root, flaky, optional_tasks


def counts(job: Job) -> dict[str, int]:
    return {state.name: count for state, count in job.tasks_by_state.items() if count}


def test_a_flaky_task_is_tried_until_it_works(output: Output) -> None:
    flaky.dice.seed(4)
    job = flaky.main()
    runs = output.lines().count("Executing FlakyTask")
    assert runs > 2
    assert job.state is JobState.COMPLETED
    attempts = job.tasks[1].attempts
    assert [attempt.outcome for attempt in attempts] == [
        *[AttemptOutcome.FAILED] * (runs - 1),
        AttemptOutcome.COMPUTED,
    ]
    assert {str(attempt.error.message) for attempt in attempts if attempt.error} == {"FlakyTask had no luck"}


def test_a_task_without_retries_fails_its_job(output: Output) -> None:
    flaky.dice.seed(1)  # whose first number is small
    job = flaky.main(retries=0)
    assert job.state is JobState.FAILED
    assert counts(job) == {"COMPUTED": 1, "FAILED": 1}
    executing, error = output.lines()
    assert executing == "Executing FlakyTask"
    assert error == (
        "ERROR: Task FlakyTask failed with exception: RuntimeError('FlakyTask had no luck')"
        f' job_id="{job.id}" task_id="{job.id}/1" attempt=1'
    )
    with pytest.raises(JobFailed, match="FlakyTask had no luck"):
        job.wait(timeout=10)


def test_retries_of_the_root_task_are_counted_and_fresh_after_a_retry_of_the_job(output: Output) -> None:
    job = failing_root.main(needed=5, max_retries=2)
    assert job.state is JobState.FAILED
    assert len(failing_root.runs) == 3  # the first and two retries
    output.lines()

    failing_root.go_on(job)
    assert output.lines()[0] == "1 rescheduled, the job is RUNNING"
    assert job.refresh().state is JobState.COMPLETED
    assert len(failing_root.runs) == 5
    assert job.tasks[0].attempt == 5


def test_a_job_may_be_retried_more_than_once() -> None:
    job = failing_root.main(needed=3, max_retries=0)
    assert job.state is JobState.FAILED
    failing_root.go_on(job)
    assert job.state is JobState.FAILED
    failing_root.go_on(job)
    assert job.refresh().state is JobState.COMPLETED
    assert len(failing_root.runs) == 3


@pytest.mark.parametrize(
    ("root", "expected", "printed"),
    [
        (optional_tasks.Workflow(), {"COMPUTED": 3, "FAILED_OPTIONAL": 1}, ["required", "fails", "final"]),
        (
            optional_tasks.Branches(),
            {"COMPUTED": 3, "FAILED_OPTIONAL": 1, "SKIPPED": 1},
            ["fails", "required"],
        ),
        (optional_tasks.OptionalLeaf(), {"COMPUTED": 2, "FAILED_OPTIONAL": 1}, ["fails", "final"]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Task) else "",
)
def test_an_optional_task_may_fail(
    root: Task, expected: dict[str, int], printed: list[str], output: Output
) -> None:
    job = optional_tasks.main(root)
    assert job.state is JobState.COMPLETED
    assert counts(job) == expected
    assert sorted(line for line in output.lines() if not line.startswith("ERROR")) == sorted(printed)


def test_a_branch_that_is_skipped_says_why() -> None:
    job = optional_tasks.main(optional_tasks.Branches())
    (skipped,) = job.tasks.filter(state=TaskState.SKIPPED)
    assert skipped.name == "Final"
    assert any("skipped" in entry.text and "(Fails)" in entry.text for entry in job.history)


def test_a_canceled_job_keeps_what_was_submitted_and_resumes(output: Output) -> None:
    job = cancellation.main()
    assert output.lines() == [
        "canceled",
        "-- CANCELED, as asked for: True",
        "-- canceled once more: False",
        "-- 3 rescheduled",
        "measure north",
        "measure east",
        "measure south",
    ]
    assert job.state is JobState.COMPLETED
    assert [task.attempt for task in job.tasks] == [1, 1, 1, 1]
