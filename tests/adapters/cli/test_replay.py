"""`jobledger replay`: at a terminal, a job is stepped through by keys; elsewhere its commits are printed."""

from __future__ import annotations

import os
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from jobledger import ExecutionContext, Job, Task
from support.command_line import CommandLine
from support.terminals import AtTerminal

from .conftest import Greet, Served

Run = Callable[..., Job]
NOBODY = "018dd029-58ca-74e5-8b58-b4f99d610f9a"


class Survey(Task):
    """Fans out: one of its greetings fails."""

    def execute(self, context: ExecutionContext) -> None:
        context.submit_subtasks([Greet("you"), Greet("me"), Greet("")])


@pytest.fixture(scope="module")
def failed(served: Served) -> Job:
    """A job of a survey that failed, was retried, and failed again."""
    jobs = served.client.jobs()
    job = jobs.submit("survey", Survey(), on_failure="continue")
    runner = served.client.runner(tasks=[Survey, Greet])
    runner.run_all()
    job.wait(30, raise_on_failure=False)
    jobs.retry(job)
    runner.run_all()
    return job.wait(30, raise_on_failure=False)


# -- printed ----------------------------------------------------------------------------------------------------------


def test_every_commit_is_printed_with_who_wrote_it_what_happened_and_which_states_changed(
    cli: CommandLine, run: Run
) -> None:
    job = run("printed", "you")
    said = cli.ok("replay", job.id)
    commits = said.out.rstrip("\n").split("\n\n")
    entries = job.history
    assert len(commits) == entries[-1].version
    first = commits[0].splitlines()
    assert f"position {entries[0].position}, version 1, written by " in first[0]
    assert f"asked for by {job.info['submitted_by']}" in first[0]
    assert first[1:] == [f"  {entries[0].text}", "  job: new → SUBMITTED", "  task 0 (Greet): new → QUEUED"]
    assert f"runner {job.tasks[0].runner}" in commits[1]
    assert commits[1].splitlines()[-2:] == [
        "  job: SUBMITTED → RUNNING",
        "  task 0 (Greet): QUEUED → RUNNING",
    ]
    assert commits[-1].splitlines()[-2:] == [
        "  job: RUNNING → COMPLETED",
        "  task 0 (Greet): RUNNING → COMPUTED",
    ]


def test_programs_get_each_commit_as_json(cli: CommandLine, failed: Job) -> None:
    steps = cli.ok("replay", failed.id, "-o", "json").json
    assert steps == cli.ok("replay", failed.id, "-o", "jsonl").jsonl
    assert [step["version"] for step in steps] == [*range(1, failed.history[-1].version + 1)]
    assert [event["text"] for step in steps for event in step["events"]] == [e.text for e in failed.history]
    first = steps[0]
    assert (first["position"], first["at"]) == (failed.history[0].position, failed.submitted_at.isoformat())
    assert first["job"] == {"before": None, "after": "SUBMITTED"}
    assert first["tasks"] == [{"before": None, "after": "QUEUED", "count": 1, "ranges": [[0, 0]]}]
    changes = [change for step in steps[1:] for change in step["tasks"]]
    (grown,) = [change for change in changes if change["before"] is None]  # claimed at once, as a rule
    assert (grown["count"], grown["ranges"]) == (3, [[1, 3]])
    assert steps[-1]["job"]["after"] == "FAILED"


def test_a_part_is_printed_from_one_moment_to_another(cli: CommandLine, failed: Job) -> None:
    def versions(*options: object) -> list[int]:
        return [step["version"] for step in cli.ok("replay", failed.id, "-o", "jsonl", *options).jsonl]

    history = failed.history
    last, second = history[-1], next(entry for entry in history if entry.version == 2)
    assert versions("--to", second.position) == [1, 2]
    assert versions("--from", f"#{second.position}", "--to", second.position) == [2]
    assert versions("--from", second.at.isoformat())[0] <= 2
    assert versions("--from", last.position) == [last.version]
    assert versions("--to", "1d") == []
    said = cli.ok("replay", failed.id, "--to", "1d")
    assert said.out == ""
    assert "no commit of this job" in said.err


def test_a_job_that_was_deleted_can_be_replayed(cli: CommandLine, served: Served, run: Run) -> None:
    job = run("gone", "you")
    served.client.jobs().delete(job, reason="of no use")
    assert cli("job", "show", job.id).code == 4
    last = cli.ok("replay", job.id, "-o", "json").json[-1]
    assert last["job"] == {"before": "COMPLETED", "after": "DELETED"}
    assert last["users"] == [job_by(cli, job)]


def job_by(cli: CommandLine, job: Job) -> str:
    (user,) = cli.ok("replay", job.id, "-o", "json").json[0]["users"]
    return str(user)


def test_what_cannot_be_replayed_is_told(cli: CommandLine, failed: Job) -> None:
    missing = cli("replay", NOBODY)
    assert (missing.code, NOBODY in missing.err) == (4, True)
    wrong = cli("replay", failed.id, "--from", "yesterday")
    assert wrong.code == 2
    assert "'yesterday' is neither a position of the log" in wrong.err


def test_of_thousands_of_events_and_states_a_line_tells_how_many(cli: CommandLine, served: Served) -> None:
    job = served.client.jobs().submit("many", [Greet(str(number)) for number in range(3000)])
    served.client.jobs().cancel(job.tasks[7])
    served.client.runner(tasks=[Greet]).run_all()
    job.wait(60, raise_on_failure=False)
    said = cli.ok("replay", job.id)
    assert "  3,000 tasks (0-2999): new → QUEUED" in said.lines
    assert "more TaskComputed" in said.out
    assert len(said.lines) < 1500


# -- at a terminal ----------------------------------------------------------------------------------------------------

LEFT, RIGHT, UP, DOWN, HOME, END, ESCAPE = "\x1b[D", "\x1b[C", "\x1b[A", "\x1b[B", "\x1b[H", "\x1b[F", "\x1b"


@contextmanager
def replayed(served: Served, job: Job, *, width: int = 100, height: int = 30) -> Iterator[AtTerminal]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JOBLEDGER_")}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "-m", "jobledger.adapters.cli", "replay", str(job.id), *served.options]
    with AtTerminal(command, environment, width=width, height=height) as terminal:
        yield terminal


def test_keys_step_through_a_job_and_show_it_as_it_was(served: Served, failed: Job) -> None:
    last = failed.history[-1].version
    with replayed(served, failed) as at:
        screen = at.shows("commit 1 of", "job 'survey' submitted by")
        assert f"survey  {failed.id}" in screen
        assert "task 0 (Survey): new → QUEUED" in screen
        at.type(RIGHT)
        at.shows("commit 2 of", "SUBMITTED → RUNNING", "after the one before")
        at.type("n ")
        at.shows("commit 4 of")
        at.type(LEFT + "p")
        at.shows("commit 2 of")
        at.type(END)
        at.shows(f"commit {last:,} of {last:,}", "FAILED  ·")
        at.type(" ")
        at.shows("this is the last commit")
        at.type("\x1bOH")  # as other terminals send it
        at.shows("commit 1 of")
        at.type("p")
        at.shows("this is the first commit")
        at.type("q")
        assert at.ends() == 0
        assert termios.tcgetattr(at.keyboard) == at.modes
        assert at.heard.endswith("\x1b[?25h\x1b[?1049l")


def test_tasks_and_tree_are_those_of_the_commit_it_stands_at(served: Served, failed: Job) -> None:
    with replayed(served, failed) as at:
        at.shows("commit 1 of")
        at.type("t")
        screen = at.shows("1 task", "0  QUEUED")
        assert "Greet" not in screen
        at.type(END)
        at.shows("4 tasks", "0  COMPUTED", "Hello, me", "ValueError: greet whom?")
        at.type("d")
        at.shows("survey · FAILED · 4 tasks", "└─")
        at.type(HOME)
        at.shows("survey · SUBMITTED · 1 task")
        at.type("?")
        at.shows("the next commit that touches a task")
        at.type(ESCAPE)
        at.shows("What happened")
        at.type("q")
        assert at.ends() == 0


def test_it_goes_to_moments_and_searches_for_tasks_and_states(served: Served, failed: Job) -> None:
    history = failed.history
    broken = next(entry for entry in history if type(entry.event).__name__ == "TaskFailed")
    retried = next(entry for entry in history if type(entry.event).__name__ == "JobRetried")
    with replayed(served, failed) as at:
        at.shows("commit 1 of")
        at.type("/failed\r")
        at.shows(f"commit {broken.version} of", "RUNNING → FAILED")
        at.type("/\r")
        at.shows(f"commit {history[-1].version} of")
        at.type(f"g{retried.position}\r")
        at.shows(f"commit {retried.version} of", "job retried by")
        at.type("gv2\r")
        at.shows("commit 2 of")
        at.type(f"g{retried.at.isoformat()}\r")
        at.shows(f"commit {retried.version} of")
        at.type("g2020-01-01\r")
        at.shows("did not exist at 2020-01-01")
        at.type("gsoon\x7f\x7f\x7f\x7fv99999\r")
        at.shows("v99999 is not there")
        at.type("/happiness\r")
        at.shows("'happiness' is neither the number of a task nor a state")
        at.type("/77\r")
        at.shows("no later commit touches task 77", f"commit {retried.version} of")
        at.type("g" + ESCAPE)
        at.shows("→ next")
        at.type("x")
        at.shows("'x' does nothing here")
        at.type("q")
        assert at.ends() == 0


def test_what_does_not_fit_is_scrolled_and_a_terminal_may_change_its_size(served: Served, run: Run) -> None:
    job = run("wide " * 30, *(f"person {number} " * 20 for number in range(30)))
    with replayed(served, job, width=60, height=20) as at:
        screen = at.shows("commit 1 of")
        assert max(map(len, screen.splitlines())) <= 60
        at.type(END + "t")
        at.shows("lines 1 to 13 of 31", "     0  COMPUTED")
        at.type(DOWN + DOWN)
        at.shows("lines 3 to 15 of 31")
        at.type("\x1b[6~\x1b[6~\x1b[6~")
        at.shows("lines 19 to 31 of 31", "    29  COMPUTED")
        at.type(UP)
        at.shows("lines 18 to 30 of 31")
        at.resize(80, 50)
        screen = at.shows("     0  COMPUTED", "    29  COMPUTED")
        assert len(screen.splitlines()) <= 50
        at.type("q")
        assert at.ends() == 0


def test_ctrl_c_leaves_the_terminal_as_it_was(served: Served, failed: Job) -> None:
    with replayed(served, failed) as at:
        at.shows("commit 1 of")
        at.type("\x03")
        assert at.ends() == 130
        assert at.heard.endswith("\x1b[?25h\x1b[?1049l")
        assert termios.tcgetattr(at.keyboard) == at.modes


def test_ctrl_z_gives_the_terminal_back_until_it_goes_on(served: Served, failed: Job) -> None:
    with replayed(served, failed) as at:
        at.shows("commit 1 of")
        at.type("\x1a")  # nobody is there who could let it go on: the system has it go on at once
        at.sends("\x1b[?25h\x1b[?1049l\x1b[?1049h\x1b[?25l")
        at.shows("commit 1 of")
        at.type("n")
        at.shows("commit 2 of")
        at.type("q")
        assert at.ends() == 0
        assert termios.tcgetattr(at.keyboard) == at.modes
