"""`jobledger job list|show|tasks|history|result|diagram`: the facts, in each format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from jobledger import Job
from support.command_line import CommandLine

from .conftest import Greet, Served

Run = Callable[..., Job]


# -- list -------------------------------------------------------------------------------------------------------------


def test_a_table_has_a_line_for_each_job_with_the_newest_first(cli: CommandLine, run: Run) -> None:
    first, second = run("listed one", "you", labels={"team": "blue"}), run("listed two", "you", "")
    said = cli.ok("job", "list", "--name", "LISTED")
    header, *lines = said.lines
    assert header.split() == ["id", "state", "name", "percent", "submitted", "at", "error", "tasks", "labels"]
    assert [line.split()[0] for line in lines] == [str(second.id), str(first.id)]
    assert lines[0].split()[1:4] == ["FAILED", "listed", "two"]
    assert "ValueError" in lines[0]
    assert lines[1].split()[1:4] == ["COMPLETED", "listed", "one"]
    assert lines[1].endswith("1      team=blue")
    assert "100.0" in lines[1]
    assert said.err == ""


def test_programs_get_every_fact_of_each_job_as_json(cli: CommandLine, run: Run) -> None:
    job = run("as json", "", labels={"team": "blue"})
    (row,) = cli.ok("job", "list", "--name", "as json", "-o", "json").json
    assert [row] == cli.ok("job", "list", "--name", "as json", "-o", "jsonl").jsonl
    assert row["id"] == str(job.id)
    assert row["state"] == "FAILED"
    assert row["tasks"] == {"FAILED": 1}
    assert row["labels"] == {"team": "blue"}
    assert row["error"] == {"task": f"{job.id}/0", "reason": "ValueError", "message": "greet whom?"}
    assert row["submitted_at"] == job.submitted_at.isoformat()
    assert row["settled"] is True


def test_jobs_are_selected_by_what_they_are(cli: CommandLine, run: Run) -> None:
    done = run("choice", "you", labels={"team": "blue", "run": "1"})
    failed = run("choice", "", labels={"team": "red", "run": "1"})

    def ids(*options: str) -> list[str]:
        return [row["id"] for row in cli.ok("job", "list", "--name", "choice", "-o", "jsonl", *options).jsonl]

    both = [str(failed.id), str(done.id)]
    assert ids() == both
    assert ids("--state", "failed") == [str(failed.id)]
    assert ids("--state", "COMPLETED", "--state", "failed") == both
    assert ids("--task-state", "computed") == [str(done.id)]
    assert ids("--label", "run=1", "--label", "team=red") == [str(failed.id)]
    assert ids("--label", "team=red", "--label", "team=blue") == both
    assert ids("--task-name", "Greet", "--cluster", "default") == both
    assert ids("--task-name", "Other") == []
    assert ids("--since", "1h") == both
    assert ids("--until", "1h") == []
    assert ids("--since", done.submitted_at.isoformat(), "--until", failed.submitted_at.isoformat()) == [
        str(done.id)
    ]


def test_a_list_that_was_cut_says_so_and_only_to_people(cli: CommandLine, run: Run) -> None:
    run("cut", "a")
    newest = run("cut", "b")
    said = cli.ok("job", "list", "--name", "cut", "-n", 1, "-o", "json")
    assert [row["id"] for row in said.json] == [str(newest.id)]
    assert "--limit" in said.err
    assert cli.ok("job", "list", "--name", "cut", "--limit", 0, "-o", "json").err == ""


def test_nothing_found_is_no_error_and_no_data(cli: CommandLine) -> None:
    assert cli.ok("job", "list", "--name", "nobody has this name").out == ""
    assert cli.ok("job", "list", "--name", "nobody has this name", "-o", "json").json == []
    assert cli.ok("job", "list", "--name", "nobody has this name", "-o", "jsonl").out == ""


def test_where_no_terminal_reads_it_no_line_is_folded_or_coloured(cli: CommandLine, run: Run) -> None:
    run("long " * 60, "you")
    said = cli.ok("job", "list", "--name", "long long")
    assert len(said.lines) == 2
    assert "\x1b" not in said.out
    assert not set("─│╭") & set(said.out)


def test_a_terminal_shows_states_in_colour_unless_it_is_asked_not_to(
    cli: CommandLine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = run("coloured", "you")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32mCOMPLETED" in cli.on_a_terminal("job", "show", job.id)
    assert "\x1b[32mCOMPLETED" in cli.on_a_terminal("job", "list", "--name", "coloured")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in cli.on_a_terminal("job", "list", "--name", "coloured")


def test_a_narrow_terminal_gets_short_lines_with_whole_ids(
    cli: CommandLine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = run("a name of many words that says 何でもいい in the end", "you", labels={"team": "blue"})
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    lines = cli.on_a_terminal("job", "list", "--name", "many words").splitlines()
    assert len(lines) == 2
    assert all(len(line) <= 80 for line in lines)
    assert lines[1].split()[:3] == [str(job.id), "COMPLETED", "a"]
    assert "…" in lines[1]
    monkeypatch.setenv("COLUMNS", "300")
    assert job.name in cli.on_a_terminal("job", "list", "--name", "many words")


def test_names_cannot_command_the_terminal(cli: CommandLine, run: Run) -> None:
    job = run("bell \x07 and \x1b[2J", "you")
    said = cli.ok("job", "list", "--name", "bell")
    assert "\x1b" not in said.out
    assert r"bell \x07 and \x1b[2J" in said.out
    assert cli.ok("job", "show", job.id, "-o", "json").json["name"] == job.name


# -- show -------------------------------------------------------------------------------------------------------------


def test_show_tells_how_a_job_stands(cli: CommandLine, run: Run) -> None:
    job = run("shown", "you", "", labels={"team": "blue"})
    told = dict(line.split("  ", 1) for line in cli.ok("job", "show", job.id).lines)
    told = {name.strip(): value.strip() for name, value in told.items()}
    assert told["id"] == str(job.id)
    assert told["state"] == "FAILED"
    assert told["tasks"] == "COMPUTED=1, FAILED=1"
    assert told["labels"] == "team=blue"
    assert (told["error"], told["failed task"]) == ("ValueError: greet whom?", f"{job.id}/1")
    assert told["traceback"].startswith("Traceback")
    assert told["submitted at"].endswith("Z")
    facts = cli.ok("job", "show", job.id, "-o", "json").json
    assert facts["tasks"] == {"COMPUTED": 1, "FAILED": 1}
    error = facts["error"]
    assert (error["task"], error["reason"], error["message"]) == (f"{job.id}/1", "ValueError", "greet whom?")
    assert 'raise ValueError("greet whom?")' in error["traceback"]
    assert facts["progress"] == {"greetings": "2/2"}
    assert facts["elapsed_time"] > 0
    assert cli.ok("job", "show", job.id, "-o", "jsonl").jsonl == [facts]


def test_show_says_why_nothing_runs(cli: CommandLine, served: Served) -> None:
    job = served.client.jobs().submit("stuck", Greet("you"), cluster="default")
    facts = cli.ok("job", "show", job.id, "-o", "json").json
    assert facts["waiting"].startswith("task 0 (Greet) is ")
    served.client.jobs().cancel(job)


# -- which job --------------------------------------------------------------------------------------------------------


def test_people_may_say_latest(cli: CommandLine, run: Run) -> None:
    older, newer = run("Nightly import", "you"), run("something else", "you")
    said = cli.ok("job", "show", "latest", "-o", "json")
    assert said.json["id"] == str(newer.id)
    assert str(newer.id) in said.err
    assert cli.ok("job", "show", "latest:nightly", "-o", "json").json["id"] == str(older.id)


def test_no_job_of_that_name_is_not_found(cli: CommandLine) -> None:
    said = cli("job", "show", "latest:nobody has this name")
    assert (said.code, said.out) == (4, "")
    assert "'nobody has this name'" in said.err


@pytest.mark.parametrize(
    "command", ["show", "wait", "watch", "tasks", "history", "logs", "result", "diagram"]
)
def test_an_unknown_job_is_not_found(cli: CommandLine, command: str) -> None:
    unknown = uuid4()
    said = cli("job", command, unknown)
    assert (said.code, said.out) == (4, "")
    assert str(unknown) in said.err


@pytest.mark.parametrize("reference", ["17", "newest", "0190f6a4-8c1e", "latest/", "/3"])
def test_what_is_no_id_is_a_usage_error_that_says_what_is(cli: CommandLine, reference: str) -> None:
    said = cli("job", "show", reference)
    assert (said.code, said.out) == (2, "")
    assert repr(reference) in said.err
    assert "latest:NAME" in said.err


def test_a_task_where_a_job_is_needed_is_a_usage_error(cli: CommandLine) -> None:
    said = cli("job", "wait", "0190f6a4-8c1e-7f5e-9a57-3f1d1c2b4a66/3")
    assert said.code == 2
    assert "leave out /3" in said.err


# -- tasks, history, result, diagram ----------------------------------------------------------------------------------


def test_tasks_are_listed_in_order_with_why_they_wait(cli: CommandLine, served: Served) -> None:
    job = served.client.jobs().submit("tasks", [Greet("you"), Greet("")])
    served.client.runner(tasks=[Greet]).run_all()
    header, first, second = cli.ok("job", "tasks", job.id).lines
    assert header.split()[:3] == ["task", "state", "display"]
    assert first.split()[:4] == ["0", "COMPUTED", "Hello,", "you"]
    assert second.split()[:2] == ["1", "FAILED"]
    assert "ValueError" in second
    (failed,) = cli.ok("job", "tasks", job.id, "--state", "failed", "-o", "json").json
    assert failed["id"] == f"{job.id}/1"
    assert failed["attempt"] == 1
    assert (failed["error"]["reason"], failed["error"]["message"]) == ("ValueError", "greet whom?")
    assert "raise ValueError" in failed["error"]["traceback"]
    waiting = served.client.jobs().submit("waiting", Greet("you"))
    (task,) = cli.ok("job", "tasks", waiting.id, "-o", "jsonl").jsonl
    assert task["state"] == "QUEUED"
    assert task["waiting"]
    assert cli.ok("job", "tasks", waiting.id, "--name", "Other", "-o", "json").json == []
    served.client.jobs().cancel(waiting)


def test_a_cut_list_of_tasks_says_how_many_there_are(cli: CommandLine, run: Run) -> None:
    job = run("three", "a", "b", "c")
    said = cli.ok("job", "tasks", job.id, "--limit", 2, "-o", "jsonl")
    assert [task["task"] for task in said.jsonl] == [0, 1]
    assert "3 in all" in said.err


def test_the_history_is_that_of_the_log(cli: CommandLine, run: Run) -> None:
    job = run("historic", "you")
    assert cli.ok("job", "history", job.id).out.strip() == str(job.history)
    entries = cli.ok("job", "history", job.id, "-o", "json").json
    assert [entry["text"] for entry in entries] == [entry.text for entry in job.history]
    assert entries[0]["event"] == "JobSubmitted"
    assert entries == cli.ok("job", "history", job.id, "-o", "jsonl").jsonl


def test_the_result_is_json(cli: CommandLine, run: Run) -> None:
    assert cli.ok("job", "result", run("one result", "you").id).json == "Hello, you!"
    assert cli.ok("job", "result", run("two results", "you", "me").id).json == ["Hello, you!", "Hello, me!"]


def test_a_diagram_is_a_tree_of_text_or_svg(cli: CommandLine, run: Run, tmp_path: Path) -> None:
    job = run("drawn", "you")
    assert cli.ok("job", "diagram", job.id).lines[-1].endswith("Hello, you")
    file = tmp_path / "job.svg"
    said = cli.ok("job", "diagram", job.id, "--to", file, "--direction", "right", "--theme", "dark")
    assert (said.out, file.read_text(encoding="utf-8")[:4]) == ("", "<svg")
    assert cli.ok("job", "diagram", job.id, "-t", "-").out.startswith("<svg")
    refused = cli("job", "diagram", job.id, "--to", tmp_path / "missing" / "job.svg")
    assert refused.code == 2
    assert "--to" in refused.err


# -- as of a moment ---------------------------------------------------------------------------------------------------


def test_every_reading_command_tells_of_a_moment_of_the_past(
    cli: CommandLine, run: Run, served: Served
) -> None:
    job = run("moments", "you", labels={"team": "blue"})
    first, *_, last = job.history
    at = ("--at", first.position)
    shown = cli.ok("job", "show", job.id, *at, "-o", "json").json
    assert (shown["state"], shown["tasks"], shown["finished_at"]) == ("SUBMITTED", {"QUEUED": 1}, None)
    assert (shown["as_of"], shown["position"], shown["version"]) == (first.at.isoformat(), first.position, 1)
    (listed,) = cli.ok("job", "list", "--name", "moments", *at, "-o", "json").json
    assert (listed["id"], listed["state"]) == (str(job.id), "SUBMITTED")
    assert cli.ok("job", "list", "--name", "moments", "--state", "completed", *at, "-o", "json").json == []
    (row,) = cli.ok("job", "tasks", job.id, *at, "-o", "jsonl").jsonl
    assert (row["state"], row["attempt"], row["display"]) == ("QUEUED", 0, "Greet")
    assert cli.ok("job", "history", job.id, *at).lines == [str(first)]
    assert cli.ok("job", "result", job.id, *at).json is None
    assert cli.ok("job", "diagram", job.id, *at).lines[0] == "moments · SUBMITTED · 1 task"
    assert "Hello" not in cli.ok("job", "diagram", job.id, *at, "--to", "-").out
    assert cli.ok("job", "logs", job.id, *at).out == ""
    assert "greeting" in cli.ok("job", "logs", job.id, "--at", last.position).out


def test_a_moment_is_a_position_or_a_time_or_so_long_ago(cli: CommandLine, run: Run) -> None:
    job = run("forms", "you")
    first = job.history[0]
    for form in (f"#{first.position}", first.position, first.at.isoformat()):
        assert cli.ok("job", "show", job.id, "--at", form, "-o", "json").json["version"] == 1, form
    assert cli.ok("job", "show", job.id, "--at", "0s", "-o", "json").json["state"] == "COMPLETED"
    wrong = cli("job", "show", job.id, "--at", "yesterday")
    assert wrong.code == 2
    assert "'yesterday' is neither a position of the log, such as 4711 or #4711, nor a time" in wrong.err


def test_the_latest_job_of_a_moment_is_the_newest_one_of_then(cli: CommandLine, run: Run) -> None:
    first = run("newest", "you")
    at = first.history[-1].position
    run("newest", "you")
    assert cli.ok("job", "show", "latest:newest", "--at", at, "-o", "json").json["id"] == str(first.id)
    nothing = cli("job", "show", "latest:newest", "--at", 1)
    assert nothing.code == 4
    assert "there was no job whose name contains 'newest' at position 1" in nothing.err


def test_moments_that_are_none_are_told(cli: CommandLine, run: Run) -> None:
    job = run("no moments", "you")
    first = job.history[0]
    before = cli("job", "tasks", job.id, "--at", "30d")
    assert before.code == 4
    assert f"job {job.id} did not exist at 2" in before.err
    assert f"it begins at position {first.position}" in before.err
    beyond = cli("job", "list", "--at", 99_999_999)
    assert beyond.code == 2
    assert "at=99999999 is beyond the end of the log: its newest commit is at position" in beyond.err
    assert cli("job", "show", job.id, "--at", "2999-01-01").code == 2
    for option in ("--follow", "--until=1d"):
        both = cli("job", "logs", job.id, "--at", first.position, option)
        assert both.code == 2
        assert f"--at and {option.partition('=')[0]} exclude each other" in both.err


def test_a_job_that_was_deleted_is_shown_as_of_before_that(
    cli: CommandLine, run: Run, served: Served
) -> None:
    job = run("deleted later", "you")
    last = job.history[-1]
    served.client.jobs().delete(job)
    assert cli("job", "show", job.id).code == 4
    assert cli.ok("job", "show", job.id, "--at", last.position, "-o", "json").json["state"] == "COMPLETED"
