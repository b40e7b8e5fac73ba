"""`jobledger job fork`, `jobledger diff` and `jobledger what-if`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobledger import Job
from jobledger.core import events as e
from jobledger.core import job as folding
from jobledger.data import JobState
from support.command_line import CommandLine

from .conftest import Greet, Served

Run = Callable[..., Job]

CODE = """
from jobledger import Task

class Greet(Task):
    name: str
    def execute(self, context): ...

class Other(Task):
    def execute(self, context): ...
"""
CHANGED = CODE.replace("name: str", "name: int")


@pytest.fixture(autouse=True)
def code(cli: CommandLine, tmp_path: Path) -> None:
    """In the working folder of the command line, which searches that first."""
    (tmp_path / "greeting_code.py").write_text(CODE)
    (tmp_path / "changed_code.py").write_text(CHANGED)


def finished(served: Served, job_id: str) -> Job:
    served.client.runner(tasks=[Greet]).run_all()
    return served.client.jobs().find(job_id).wait(30)


# -- fork -------------------------------------------------------------------------------------------------------------


def test_a_failed_job_is_forked_with_another_input(cli: CommandLine, run: Run, served: Served) -> None:
    job = run("fork of failed", "you", "")
    (line,) = cli.ok("job", "fork", job.id, "--input", '1="me"').lines
    fork = finished(served, line)
    assert fork.result == ["Hello, you!", "Hello, me!"]
    assert fork.origin is not None
    assert fork.origin.job == str(job.id)
    assert f"forked from job {job.id}" in cli.ok("job", "history", line).out
    assert cli.ok("job", "show", line, "-o", "json").json["origin"]["job"] == str(job.id)
    tasks = cli.ok("job", "tasks", line, "-o", "json").json
    assert [(one["input"], one["origin"]) for one in tasks] == [("you", f"{job.id}/0"), ("me", None)]


def test_options_of_its_own(cli: CommandLine, run: Run, served: Served) -> None:
    job = run("fork with options", "you", labels={"team": "a"})
    options = (
        "--name",
        "another",
        "--label",
        "team=b",
        "--deadline",
        "1h",
        "--on-failure",
        "continue",
        "--key",
        "k1",
    )
    said = cli.ok("job", "fork", job.id, "-i", '0="me"', *options, "-o", "json").json
    assert said == {"id": said["id"], "name": "another", "origin": str(job.id), "tasks": 1, "kept": 0}
    fork = served.client.jobs().find(said["id"])
    assert (fork.labels, fork.on_failure, fork.deadline is None) == ({"team": "b"}, "continue", False)
    assert cli.ok("job", "fork", job.id, "-i", '0="me"', *options, "-o", "json").json["id"] == said["id"]
    served.client.jobs().cancel(fork)


def test_from_any_point_and_waiting_for_its_end(cli: CommandLine, run: Run, served: Served) -> None:
    job = run("fork at", "you", "me")
    claimed = next(entry for entry in job.history if "claimed" in entry.text)
    refused = cli("job", "fork", job.id, "--at", claimed.position)
    assert refused.code == 2
    assert "running" in refused.err
    said = cli.ok("job", "fork", job.id, "--at", f"#{claimed.position}", "--requeue-running").lines
    assert len(finished(served, said[0]).tasks) == 2
    assert cli.ok("job", "fork", job.id, "--wait").code == 0, "nothing of it is left to run"


def test_new_inputs_are_checked_by_the_code_that_is_named(cli: CommandLine, run: Run) -> None:
    job = run("fork with code", "you")
    assert cli.ok("job", "fork", job.id, "-i", '0="me"', "--code", "greeting_code").lines
    Path("input.json").write_text("7")
    for given, told in {
        (
            "-i",
            "0=@input.json",
            "--code",
            "greeting_code",
        ): "--input 0=…: Greet v0.0 does not take it: Expected `str`",
        ("-i", '0="me"', "--code", "greeting_code:Other"): "task 0 is a Greet, and --code has Other",
        ("-i", '5="me"', "--code", "greeting_code"): "has 1 tasks, from 0",
        ("--code", "greeting_code"): "it goes with --input",
    }.items():
        said = cli("job", "fork", job.id, *given)
        assert (said.code, said.out) == (2, "")
        assert told in said.err


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("-i", '"me"'), "names no task"),
        (("-i", "0=me"), "is not JSON"),
        (("-i", "0=@nowhere"), "cannot be read"),
        (("-i", "0=1", "-i", "0=2"), "given twice"),
        (("-i", '7="me"'), "tasks[7] cannot be edited"),
        (("--at", "soon"), "--at"),
        (("--at", "99999999"), "beyond the end of the log"),
        (("--timeout", "3"), "goes with --wait"),
    ],
)
def test_what_makes_no_sense(cli: CommandLine, run: Run, given: tuple[str, ...], told: str) -> None:
    said = cli("job", "fork", run("fork without sense", "you").id, *given)
    assert (said.code, said.out) == (2, "")
    assert told in said.err


# -- diff -------------------------------------------------------------------------------------------------------------


def test_two_runs_that_are_the_same(cli: CommandLine, run: Run) -> None:
    said = cli("diff", run("same", "you").id, run("same", "you").id)
    assert (said.code, said.out) == (0, "")
    assert "1 of 1 and 1 tasks are in both" in said.err
    assert "they are the same" in said.err


def test_two_runs_that_differ(cli: CommandLine, run: Run, served: Served) -> None:
    job = run("different", "you", "")
    fork = finished(served, cli.ok("job", "fork", job.id, "-i", '1="me"').lines[0])
    said = cli("diff", job.id, fork.id)
    assert said.code == 1
    assert said.lines[0].split() == ["task", "what", "left", "right"]
    assert ["Greet[1]", "state", "FAILED", "COMPUTED"] in [line.split() for line in said.lines]
    facts = cli("diff", job.id, fork.id, "-o", "json")
    assert facts.code == 1
    assert (facts.json["equal"], facts.json["matched"]) == (False, 2)
    assert facts.json["left"]["id"] == str(job.id)
    assert [one["path"] for one in facts.json["tasks"]] == ["Greet[1]"]
    assert {"what": "input", "left": '""', "right": '"me"'} in facts.json["tasks"][0]["differences"]
    lines = cli("diff", job.id, fork.id, "-o", "jsonl").jsonl
    assert lines[0] == {
        "path": "",
        "left_task": None,
        "right_task": None,
        "what": "state",
        "left": "FAILED",
        "right": "COMPLETED",
    }
    assert "more differences: --limit" in cli("diff", job.id, fork.id, "--limit", "1").err


def test_a_run_and_what_it_was(cli: CommandLine, run: Run) -> None:
    job = run("then and now", "you")
    said = cli("diff", job.id, job.id, "--left-at", job.history[0].position, "-o", "json")
    assert said.code == 1
    assert said.json["job"] == [{"what": "state", "left": "SUBMITTED", "right": "COMPLETED"}]


def test_only_one_has_it(cli: CommandLine, run: Run) -> None:
    said = cli("diff", run("one", "you").id, run("one", "you", "me").id)
    assert said.code == 1
    assert "Greet[1]" in said.out
    assert "only here" in said.out


def test_there_must_be_two_jobs(cli: CommandLine, run: Run) -> None:
    job = run("alone", "you")
    assert cli("diff", job.id).code == 2
    assert cli("diff", job.id, "018dd029-58ca-74e5-8b58-b4f99d610f9a").code == 4
    assert cli("diff", job.id, job.id, "--duration-factor", "0.5").code == 2


# -- what-if ----------------------------------------------------------------------------------------------------------


def test_all_is_as_recorded(cli: CommandLine, run: Run) -> None:
    jobs = [run("as recorded", "you"), run("as recorded", "")]
    said = cli("what-if", *(job.id for job in jobs), "--tasks", "greeting_code")
    assert (said.code, said.out) == (0, "")
    assert "2 jobs, all as recorded" in said.err
    assert "2 jobs" in cli.ok("what-if", "--name", "as recorded").err


def test_a_change_of_the_code_of_this_library_is_told(
    cli: CommandLine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = run("folded otherwise", "you")
    cli.ok("what-if", job.id, "--save", "states.json")
    cli.ok("what-if", "--against", "states.json")
    folded = folding._HANDLERS[e.TaskComputed]

    def changed(job: Any, event: e.TaskComputed, at: int) -> None:
        folded(job, event, at)
        job.results.clear()

    monkeypatch.setitem(folding._HANDLERS, e.TaskComputed, changed)
    assert cli.ok("what-if", job.id).out == "", "nothing that commits say of themselves is different"
    said = cli("what-if", "--against", "states.json", "-o", "json")
    assert said.code == 1
    assert [(one["job"], one["kind"], one["text"]) for one in said.json] == [
        (str(job.id), "state", "its results are not those that were saved")
    ]
    monkeypatch.setitem(folding._HANDLERS, e.JobCompleted, lambda job, event, at: None)
    table = cli("what-if", job.id)
    assert table.code == 1
    assert "was COMPLETED when this was written" in table.out


def test_a_change_of_task_code_is_told(cli: CommandLine, run: Run) -> None:
    job = run("other code", "you")
    said = cli("what-if", job.id, "--tasks", "changed_code", "-o", "jsonl")
    assert said.code == 1
    (only,) = said.jsonl
    assert (only["kind"], only["task"], only["count"]) == ("input", 0, 1)
    assert "Expected `int`, got `str`" in only["text"]


def test_the_histories_of_a_bundle(cli: CommandLine, run: Run) -> None:
    jobs = [run("bundled", "you"), run("bundled", "")]
    cli.ok("audit", "export", "--file", "greetings.bundle", *(f"--job={job.id}" for job in jobs))
    assert "2 jobs, all as recorded" in cli.ok("what-if", "--bundle", "greetings.bundle").err
    said = cli("what-if", "--bundle", "greetings.bundle", "--tasks", "changed_code", "-o", "json")
    assert said.code == 1
    assert {one["job"] for one in said.json} == {str(job.id) for job in jobs}
    behind = jobs[1].history[1].position
    cli.ok("audit", "export", "--file", "part.bundle", f"--job={jobs[1].id}", "--from", behind)
    partly = cli.ok("what-if", "--bundle", "part.bundle").err
    assert f"job {jobs[1].id} is left out" in partly
    assert "0 jobs, all as recorded" in partly
    Path("no.bundle").write_text("nothing")
    assert cli("what-if", "--bundle", "no.bundle").code != 0


def test_a_job_that_was_saved_and_is_gone(cli: CommandLine, run: Run) -> None:
    job = run("gone", "you")
    cli.ok("what-if", job.id, "--save", "states.json")
    states = json.loads(Path("states.json").read_text())
    states["jobs"]["018dd029-58ca-74e5-8b58-b4f99d610f9a"] = states["jobs"].pop(str(job.id))
    Path("states.json").write_text(json.dumps(states))
    said = cli("what-if", "--against", "states.json", "-o", "json")
    assert said.code == 1
    assert said.json[0]["text"] == "it was saved, and is not in this log"


@pytest.mark.parametrize(
    "content", ["", "{}", '{"format": 2, "jobs": {}}', '{"format": 1, "jobs": {"a": 1}}', "[]"]
)
def test_a_file_that_holds_no_states(cli: CommandLine, content: str) -> None:
    Path("states.json").write_text(content)
    said = cli("what-if", "--against", "states.json")
    assert (said.code, said.out) == (2, "")
    assert "--against states.json" in said.err


def test_it_is_said_which_histories_are_meant(cli: CommandLine, run: Run) -> None:
    job = run("meant", "you")
    assert job.state is JobState.COMPLETED
    assert "none selected" in cli("what-if").err
    assert "Give one of them" in cli("what-if", job.id, "--all").err
    assert cli("what-if", "018dd029-58ca-74e5-8b58-b4f99d610f9a").code == 4
    assert cli("what-if", "--bundle", "nowhere").code == 2
    assert cli("what-if", job.id, "--tasks", "nowhere_code").code == 2
