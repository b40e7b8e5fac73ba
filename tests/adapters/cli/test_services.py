"""`jobledger projector` and `jobledger view`, and commands where a service is away."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from support.command_line import CommandLine
from support.processes import PythonProcess
from support.waiting import eventually

from .conftest import Served

_MAIN = "from jobledger.adapters.cli import main; main()"


def test_a_projector_is_a_program_whose_view_can_be_seen_and_made_anew(
    cli: CommandLine, served: Served, tmp_path: Path
) -> None:
    job = cli.ok("job", "submit", "Greet", "--name", "seen by both").out.strip()
    store = tmp_path / "second.sqlite3"
    process = PythonProcess(
        *("-c", _MAIN, "projector", *served.options, "--store", f"sqlite:///{store}"),
        ready="serving namespace command-line",
    ).start()
    try:
        views = cli.ok("view", "status", "-o", "json").json
        assert len(views) == 2
        assert str(store) in [view["store"].removeprefix("sqlite:///") for view in views]
        rebuilt = cli.ok("view", "rebuild", "--timeout", "30s", "-o", "jsonl").jsonl
        assert [view["ready"] for view in rebuilt] == [True, True]
        assert all(view["position"] > 0 for view in rebuilt)
    finally:
        process.stop()
    eventually(lambda: len(cli.ok("view", "status").lines) == 2)  # a header, and the other one
    assert cli.ok("job", "list", "--name", "seen by both", "-o", "json").json[0]["id"] == job
    cli.ok("job", "cancel", job)


@pytest.mark.parametrize("command", ["engine", "projector"])
def test_a_service_of_its_own_needs_the_address_of_a_server(
    cli: CommandLine, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JOBLEDGER_URL")
    options = ["--store", "sqlite:///x.sqlite3"] if command == "projector" else []
    said = cli(command, *options)
    assert said.code == 2
    assert "--url" in said.err
    assert "JOBLEDGER_URL" in said.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["projector"], ["--store"]),
        (["projector", "--store", "mysql://x"], ["mysql://", "sqlite:///"]),
        (["engine", "--lease", "long"], ["--lease", "'long'"]),
        (["engine", "--namespace", "a b"], ["--namespace", "'a b'"]),
        (["engine", "--partitions", "0"], ["--partitions", "1"]),
        (["engine", "--replicas", "7"], ["--replicas", "5"]),
        (["engine", "--max-bytes", "plenty"], ["--max-bytes", "'plenty'", "10GB"]),
        (["engine", "--url", "http://x"], ["http://x", "nats://"]),
        (["engine", "--folder", "x"], ["--url"]),
    ],
)
def test_what_makes_no_sense_for_a_service_is_a_usage_error(
    cli: CommandLine, arguments: list[str], told: list[str]
) -> None:
    said = cli(*arguments)
    assert (said.code, said.out) == (2, "")
    for text in told:
        assert text in said.err


def test_an_engine_that_wants_another_number_of_partitions_ends_and_says_why(
    cli: CommandLine, served: Served
) -> None:
    said = cli("engine", "--partitions", "3", *served.options)
    assert said.code == 1
    assert "divides its jobs into 1 partitions, not into 3" in said.err
    assert "Start the engine without the option" in said.err


@pytest.fixture
def nobody() -> str:
    """An address at which nobody answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"nats://127.0.0.1:{free.getsockname()[1]}"


@pytest.mark.parametrize(
    "arguments",
    [
        ["job", "submit", "Greet"],
        ["runner", "start", "tasks", "--cluster", "x"],
    ],
)
def test_a_server_that_is_away_is_69_and_says_what_to_do(
    cli: CommandLine, arguments: list[str], nobody: str
) -> None:
    Path("tasks.py").write_text(
        "from jobledger import Task\nclass A(Task):\n    def execute(self, context): ...\n"
    )
    said = cli(*arguments, "--url", nobody, "--patience", "100ms")
    assert (said.code, said.out) == (69, "")
    assert nobody in said.err
    assert "no NATS server answers" in said.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["job", "submit", "Greet"], "no engine serves"),
        (["job", "list"], "jobledger projector"),
        (["view", "status"], "jobledger projector"),
        (["view", "rebuild"], "jobledger projector"),
    ],
)
def test_a_namespace_nobody_serves_is_69_and_says_what_is_missing(
    cli: CommandLine, arguments: list[str], told: str
) -> None:
    said = cli(*arguments, "--namespace", "nobody-serves-this", "--patience", "100ms")
    assert (said.code, said.out) == (69, "")
    assert told in said.err


# -- which server -----------------------------------------------------------------------------------------------------


def test_options_win_over_the_environment(
    cli: CommandLine, served: Served, monkeypatch: pytest.MonkeyPatch, nobody: str
) -> None:
    monkeypatch.setenv("JOBLEDGER_URL", nobody)
    monkeypatch.setenv("JOBLEDGER_NAMESPACE", "elsewhere")
    monkeypatch.setenv("JOBLEDGER_HOME", "/nowhere")
    cli.ok("cluster", "list", *served.options)
    cli.ok("cluster", "list", "--nats", served.url)


def test_the_older_variable_names_a_server_too(
    cli: CommandLine, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JOBLEDGER_URL")
    monkeypatch.setenv("JOBLEDGER_NATS", served.url)
    cli.ok("cluster", "list")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--url", "nats://x", "--folder", "y"], ["--url 'nats://x'", "--folder 'y'"]),
        (["--folder", "y", "--user", "me"], ["--user", "--url"]),
        (["--url", "nats://x", "--user", "me"], ["user and password"]),
        (["--url", "nats://x:y"], ["nats://x:y"]),
        (["--url", "nats://x", "--creds", "missing.creds"], ["missing.creds"]),
        (["--url", "nats://x", "--tls-ca", "missing.pem"], ["missing.pem"]),
        (["--namespace", "a.b"], ["--namespace 'a.b'"]),
        (["--patience", "forever"], ["--patience", "'forever'"]),
    ],
)
def test_options_for_a_server_that_make_no_sense_are_usage_errors(
    cli: CommandLine, options: list[str], told: list[str]
) -> None:
    said = cli("job", "list", *options)
    assert (said.code, said.out) == (2, "")
    for text in told:
        assert text in said.err
