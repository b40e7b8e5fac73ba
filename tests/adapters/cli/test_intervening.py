"""`jobledger job cancel|retry|delete`: one job, one task, or all that are selected, once that is agreed to."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest

from jobledger import Job, NotFoundError
from jobledger.data import JobState, TaskState
from support.command_line import CommandLine

from .conftest import Greet, Served

Run = Callable[..., Job]


@pytest.fixture
def submit(served: Served) -> Callable[..., Job]:
    """Submit a job that nobody runs."""

    def submit(name: str, *greeted: str, **options: object) -> Job:
        tasks = [Greet(one) for one in greeted or ("you",)]
        return served.client.jobs().submit(name, tasks, **options)  # type: ignore[arg-type]

    return submit


# -- one --------------------------------------------------------------------------------------------------------------


def test_a_job_is_canceled_with_a_reason(cli: CommandLine, submit: Callable[..., Job]) -> None:
    job = submit("to cancel")
    said = cli.ok("job", "cancel", job.id, "--reason", "a typing error")
    assert said.out == ""
    assert str(job.id) in said.err
    assert job.state is JobState.CANCELED
    assert "a typing error" in str(job.history)
    again = cli.ok("job", "cancel", job.id, "-o", "json")
    assert again.json == {"id": str(job.id), "affected": 0}


def test_one_task_is_canceled_and_retried_by_its_number(cli: CommandLine, submit: Callable[..., Job]) -> None:
    job = submit("parts", "you", "me")
    said = cli.ok("job", "cancel", f"{job.id}/1", "-o", "json")
    assert said.json == {"id": f"{job.id}/1", "affected": 1}
    assert [task.state for task in job.refresh().tasks] == [TaskState.QUEUED, TaskState.CANCELED]
    assert "1 task may run again" in cli.ok("job", "retry", "latest:parts/1").err
    assert job.tasks_by_state[TaskState.QUEUED] == 2
    cli.ok("job", "cancel", job.id)


def test_a_failed_job_is_retried(cli: CommandLine, run: Run) -> None:
    job = run("to retry", "")
    assert cli.ok("job", "retry", job.id, "-o", "json").json == {"id": str(job.id), "affected": 1}
    assert job.tasks_by_state[TaskState.QUEUED] == 1
    cli.ok("job", "cancel", job.id)


def test_a_retry_may_have_a_new_deadline(cli: CommandLine, run: Run) -> None:
    job = run("with a deadline", "")
    cli.ok("job", "retry", job.id, "--deadline", "2h")
    assert job.deadline is not None
    cli.ok("job", "cancel", job.id)


def test_a_settled_job_is_deleted(cli: CommandLine, run: Run, served: Served) -> None:
    job = run("to delete", "you")
    assert cli.ok("job", "delete", job.id, "-o", "jsonl").jsonl == [{"id": str(job.id), "affected": 1}]
    with pytest.raises(NotFoundError):
        served.client.jobs().find(job.id)
    said = cli("job", "show", job.id)
    assert said.code == 4
    assert "was deleted" in said.err


def test_a_job_in_the_wrong_state_is_no_usage_error(
    cli: CommandLine, submit: Callable[..., Job], run: Run
) -> None:
    job = submit("unsettled")
    said = cli("job", "delete", job.id)
    assert (said.code, said.out) == (1, "")
    assert "--force" in said.err
    assert cli("job", "retry", run("completed already", "you").id).code == 1
    cli.ok("job", "delete", job.id, "--force", "--reason", "a test")


@pytest.mark.parametrize("command", ["cancel", "retry", "delete"])
def test_what_there_is_not_is_not_found(cli: CommandLine, command: str, run: Run) -> None:
    assert cli("job", command, uuid4()).code == 4
    assert cli("job", command, "17").code == 2
    if command != "delete":
        said = cli("job", command, f"{run('small', '').id}/7")
        assert said.code == 4
        assert "no task 7" in said.err


# -- many -------------------------------------------------------------------------------------------------------------


def states(*jobs: Job) -> list[str]:
    return [job.state.name for job in jobs]


def test_many_are_counted_first_and_nothing_is_done_without_a_word(
    cli: CommandLine, submit: Callable[..., Job]
) -> None:
    jobs = submit("crowd", labels={"a": "1"}), submit("crowd", labels={"a": "2"})
    said = cli("job", "cancel", "--name", "crowd", typed="")
    assert (said.code, said.out) == (2, "")
    assert "2 jobs would be canceled" in said.err
    assert "--yes" in said.err
    assert states(*jobs) == ["SUBMITTED", "SUBMITTED"]
    shown = cli.ok("job", "cancel", "--name", "crowd", "--dry-run", "-o", "json")
    assert {row["id"] for row in shown.json} == {str(job.id) for job in jobs}
    assert states(*jobs) == ["SUBMITTED", "SUBMITTED"]
    done = cli.ok("job", "cancel", "--name", "crowd", "--label", "a=1", "--yes", "-o", "json")
    assert done.json == [
        {
            "id": str(jobs[0].id),
            "name": "crowd",
            "state": "SUBMITTED",
            "submitted_at": jobs[0].submitted_at.isoformat(),
            "affected": 1,
            "error": None,
        }
    ]
    assert "1 of 1 job canceled" in done.err
    assert states(*jobs) == ["CANCELED", "SUBMITTED"]
    assert "2 jobs would be retried" not in cli("job", "retry", "--name", "crowd", "--dry-run").err
    cli.ok("job", "retry", "--name", "crowd", "-y")
    assert states(*jobs) == ["SUBMITTED", "SUBMITTED"]
    cli.ok("job", "delete", "--name", "crowd", "--state", "submitted", "--force", "--yes")
    assert cli.ok("job", "list", "--name", "crowd", "-o", "json").json == []


def test_at_a_terminal_it_asks(cli: CommandLine, submit: Callable[..., Job]) -> None:
    job = submit("asked about")
    said = cli.at_a_terminal("job", "cancel", "--name", "asked about", typed="\n")
    assert (said.code, said.out) == (1, "")
    assert "1 job would be canceled. Do it? [y/N]" in said.err
    assert states(job) == ["SUBMITTED"]
    assert cli.at_a_terminal("job", "cancel", "--name", "asked about", typed="y\n").code == 0
    assert states(job) == ["CANCELED"]


def test_what_is_not_possible_for_one_is_told_and_the_others_done(
    cli: CommandLine, submit: Callable[..., Job], run: Run
) -> None:
    run("mixed", "you")
    live = submit("mixed")
    said = cli("job", "delete", "--name", "mixed", "--state", "submitted", "--state", "completed", "--yes")
    assert said.code == 1
    assert "1 of 2 jobs deleted, 1 failed" in said.err
    assert str(live.id) in said.out
    cli.ok("job", "delete", live.id, "--force")


def test_of_nothing_there_is_nothing_to_do(cli: CommandLine) -> None:
    assert cli.ok("job", "retry", "--name", "nobody has this name", "-o", "json").json == []


@pytest.mark.parametrize("command", ["cancel", "retry", "delete"])
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], ["--state", "--all"]),
        (["--yes"], ["--all"]),
        (["--all", "--name", "x"], ["--all", "no other condition"]),
        (["latest", "--all"], ["--all", "'latest'"]),
        (["latest", "--dry-run"], ["--dry-run", "'latest'"]),
        (["latest", "--name", "x"], ["'latest'"]),
        (["--state", "lost"], ["--state", "lost", "failed"]),
        (["--label", "x"], ["--label 'x'"]),
    ],
)
def test_a_selection_that_makes_no_sense_is_a_usage_error(
    cli: CommandLine, command: str, options: list[str], told: list[str]
) -> None:
    said = cli("job", command, *options)
    assert (said.code, said.out) == (2, "")
    for text in told:
        assert text in said.err


def test_a_deadline_is_for_a_single_job(cli: CommandLine) -> None:
    said = cli("job", "retry", "--name", "x", "--deadline", "1h")
    assert said.code == 2
    assert "--deadline" in said.err
