"""`jobledger job wait|watch|logs`: how a job ended is an exit code, what happens meanwhile is data."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest

from jobledger import ExecutionContext, Job, Task
from support.command_line import CommandLine, Said
from support.waiting import eventually

from .conftest import Greet, Served

Run = Callable[..., Job]


class Held(Task):
    """Logs, and goes on once it may. What it logs is printed, too: its runner is in this process."""

    def execute(self, context: ExecutionContext) -> None:
        context.logger.warning("holding")
        context.runner_context.wait(30)
        context.logger.info("going on")


class Quiet(Task):
    """Says nothing: what a task logs is printed here, too, before or after what the command prints."""

    def execute(self, context: ExecutionContext) -> None:
        """Nothing."""


def told(said: Said) -> list[Any]:
    """Return the JSON of what was said, without the lines that a task in this process printed."""
    return [json.loads(line) for line in said.lines if line.startswith("{")]


@contextmanager
def running(served: Served, name: str) -> Iterator[tuple[Job, threading.Event]]:
    """Give a job whose task runs in the background until an event is set."""
    may_end = threading.Event()
    job = served.client.jobs().submit(name, Held())
    runner = threading.Thread(target=served.client.runner(tasks=[Held], context=may_end).run_all)
    runner.start()
    try:
        yield job, may_end
    finally:
        may_end.set()
        runner.join(30)


# -- exit codes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["wait", "watch"])
class TestHowAJobEndedIsTheExitCode:
    def test_completed(self, cli: CommandLine, run: Run, command: str) -> None:
        job = run("completed", "you")
        said = cli("job", command, job.id)
        assert said.code == 0
        assert "completed" in said.err

    def test_failed(self, cli: CommandLine, run: Run, command: str) -> None:
        job = run("failed", "you", "")
        said = cli("job", command, job.id)
        assert said.code == 5
        assert "task 1 (Greet): ValueError: greet whom?" in said.err.replace("Hello, ", "Greet")
        assert f"jobledger job retry {job.id}" in said.err

    def test_canceled(self, cli: CommandLine, served: Served, command: str) -> None:
        job = served.client.jobs().submit("canceled", Greet("you"))
        served.client.jobs().cancel(job)
        said = cli("job", command, job.id)
        assert said.code == 6
        assert f"jobledger job retry {job.id}" in said.err

    def test_not_over_in_time(self, cli: CommandLine, served: Served, command: str) -> None:
        job = served.client.jobs().submit("too slow", Greet("you"))
        said = cli("job", command, job.id, "--timeout", "50ms")
        assert said.code == 7
        assert "QUEUED" in said.err
        served.client.jobs().cancel(job)

    def test_a_wrong_time_to_wait(self, cli: CommandLine, command: str) -> None:
        said = cli("job", command, "latest", "--timeout", "soon")
        assert said.code == 2
        assert "--timeout" in said.err
        assert "'soon'" in said.err

    def test_no_such_job(self, cli: CommandLine, command: str) -> None:
        assert cli("job", command, "0190f6a4-8c1e-7f5e-9a57-3f1d1c2b4a66").code == 4


def test_submit_may_wait_with_the_same_codes(cli: CommandLine, served: Served) -> None:
    runner = served.client.runner(tasks=[Greet, Quiet])
    thread = threading.Thread(target=runner.run_forever)
    thread.start()
    try:
        said = cli("job", "submit", "Quiet", "--wait", "--timeout", "30s")
        assert (said.code, str(UUID(said.lines[0]))) == (0, said.lines[0])
        assert cli("job", "submit", "Greet", "--input", '""', "--wait").code == 5
    finally:
        runner.stop()
        thread.join(30)
    assert cli("job", "submit", "Nobody runs this", "--wait", "--timeout", "20ms").code == 7


def test_waiting_prints_no_data_unless_asked_for(cli: CommandLine, run: Run) -> None:
    job = run("waited for", "you")
    assert cli.ok("job", "wait", job.id).out == ""
    facts = cli.ok("job", "wait", job.id, "-o", "json").json
    assert (facts["id"], facts["state"]) == (str(job.id), "COMPLETED")


def test_ctrl_c_is_130(cli: CommandLine, served: Served) -> None:
    job = served.client.jobs().submit("interrupted", Greet("you"))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    main = threading.main_thread().ident
    assert main is not None
    try:
        threading.Timer(0.2, signal.pthread_kill, [main, signal.SIGINT]).start()
        assert cli("job", "wait", job.id).code == 130
    finally:
        signal.signal(signal.SIGINT, before)
    served.client.jobs().cancel(job)


# -- watch ------------------------------------------------------------------------------------------------------------


def test_watch_prints_each_change_as_a_line(cli: CommandLine, served: Served) -> None:
    with running(served, "watched") as (job, may_end):
        eventually(lambda: job.state.name == "RUNNING")
        threading.Timer(0.1, may_end.set).start()
        changes = told(cli.ok("job", "watch", job.id, "-o", "jsonl"))
    assert changes[0]["tasks"] == {"RUNNING": 1}
    assert (changes[-1]["state"], changes[-1]["percent"]) == ("COMPLETED", 100.0)
    assert {change["id"] for change in changes} == {str(job.id)}


def test_watch_shows_people_state_and_counts(cli: CommandLine, run: Run) -> None:
    job = run("looked at", "you", "")
    said = cli("job", "watch", job.id)
    assert said.lines[-1].split()[1:2] == ["FAILED"]
    assert said.lines[-1].endswith("1 COMPUTED, 1 FAILED")
    assert cli("job", "watch", job.id, "-o", "json").json[-1]["state"] == "FAILED"


# -- logs -------------------------------------------------------------------------------------------------------------


def test_logs_are_those_of_the_tasks(cli: CommandLine, run: Run) -> None:
    job = run("logged", "you", "me")
    said = cli.ok("job", "logs", job.id)
    assert [line.partition("task ")[2] for line in said.lines] == [
        "0: greeting name='you'",
        "1: greeting name='me'",
    ]
    first, _ = cli.ok("job", "logs", job.id, "-o", "jsonl").jsonl
    assert (first["body"], first["severity"], first["task"], first["attributes"]) == (
        "greeting",
        "INFO",
        0,
        {"name": "you"},
    )
    assert cli.ok("job", "logs", job.id, "-o", "json").json[0] == first


def test_logs_are_chosen_by_task_level_text_time_and_number(cli: CommandLine, run: Run) -> None:
    job = run("choosy", "you", "me")

    def tasks(*options: object) -> list[int]:
        return [line["task"] for line in cli.ok("job", "logs", job.id, "-o", "jsonl", *options).jsonl]

    assert tasks() == [0, 1]
    assert tasks("--task", 1) == [1]
    assert tasks("--level", "warning") == []
    assert tasks("--level", "info", "--text", "GREET") == [0, 1]
    assert tasks("--since", "1h") == [0, 1]
    assert tasks("--until", "1h") == []
    assert tasks("-n", 1) == [1]


def test_logs_can_be_followed_to_the_end_of_the_job(cli: CommandLine, served: Served) -> None:
    with running(served, "followed") as (job, may_end):
        threading.Timer(0.3, may_end.set).start()
        lines = told(cli.ok("job", "logs", "--follow", job.id, "-o", "jsonl"))
    assert [line["body"] for line in lines] == ["holding", "going on"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--follow", "--limit", "3"], ["--follow", "--limit"]),
        (["--follow", "--until", "1h"], ["--follow", "--until"]),
        (["--task", "-1"], ["--task", ">= 0"]),
        (["--level", "loud"], ["--level", "loud", "warning"]),
        (["--since", "yesterday"], ["--since", "'yesterday'"]),
        (["--limit", "0"], ["--limit", ">= 1"]),
    ],
)
def test_a_wrong_option_of_logs_names_itself(cli: CommandLine, options: list[str], told: list[str]) -> None:
    said = cli("job", "logs", "latest", *options)
    assert (said.code, said.out) == (2, "")
    for text in told:
        assert text in said.err
