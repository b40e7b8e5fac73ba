"""The command line as a whole: help, mistakes, pipes, completion, and what its page in docs/ says."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App

from jobledger import JobState, TaskState
from jobledger.adapters.cli import app, exits, selection
from support.command_line import CommandLine

from .conftest import Greet, Served

_DOCS = Path(__file__).parents[3] / "docs" / "cli.md"


def _commands(of: App = app, chain: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield every command, as the words that name it."""
    for name in of:
        if not name.startswith("-"):
            below = of[name]
            inner = list(_commands(below, (*chain, name)))
            yield from inner or [(*chain, name)]


COMMANDS = sorted(_commands())


# -- help -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_and_option_says_what_it_is_for(cli: CommandLine, command: tuple[str, ...]) -> None:
    said = cli.ok(*command, "--help")
    assert said.lines[0].startswith(f"Usage: jobledger {' '.join(command)}")
    assert len(said.lines[2]) > 10
    assert said == cli.ok("-h", *command)
    found: App = app
    for name in command:
        found = found[name]
    for argument in found.assemble_argument_collection():
        assert argument.parameter.help or not argument.show, f"{argument.name} has no help"


@pytest.mark.parametrize(
    "noun", [(), ("job",), ("cluster",), ("runner",), ("server",), ("view",)], ids=" ".join
)
def test_a_noun_alone_lists_its_commands_as_they_are_told_by_themselves(
    cli: CommandLine, noun: tuple[str, ...]
) -> None:
    said = cli.ok(*noun)
    assert said == cli.ok(*noun, "--help")
    listed = " ".join(said.out.split())
    for command in [command for command in COMMANDS if command[:-1] == noun]:
        (purpose,) = [cli.ok(*command, "--help").out.split("\n\n")[1].replace("\n", " ")]
        assert f"{command[-1]} {purpose}" in listed


def test_help_loads_nothing_that_takes_time() -> None:
    heavy = [
        "nats",
        "statemachine",
        "eventsourcing",
        "rich",
        "asyncio",
        "msgspec",
        "structlog",
        "opentelemetry",
    ]
    script = f"""
import contextlib, io, sys
from jobledger.adapters.cli import main
for command in {[list(command) for command in [(), *COMMANDS]]}:
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as said:
        main([*command, "--help"])
    assert said.getvalue().startswith("Usage: jobledger"), command
    loaded = [name for name in {heavy} if name in sys.modules]
    assert not loaded, (command, loaded)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_version_is_printed(cli: CommandLine) -> None:
    assert re.match(r"\d+\.\d+|unknown", cli.ok("--version").out)


def test_states_are_those_there_are() -> None:
    jobs = {name.upper() for name in selection.JOB_STATES}
    tasks = {name.upper().replace("-", "_") for name in selection.TASK_STATES}
    assert jobs == set(JobState.__members__) - {"DELETED"}
    assert tasks == set(TaskState.__members__)


# -- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["jobs"], ["'jobs'", "perhaps 'job'", "cluster", "jobledger --help"]),
        (["job", "lst"], ["'lst'", "perhaps 'list'", "jobledger job --help"]),
        (["job", "list", "--stat", "failed"], ["--stat", "--state", "jobledger job list --help"]),
        (["job", "list", "--limit"], ["--limit", "requires an argument"]),
        (["job", "list", "--limit", "many"], ["--limit", '"many"']),
        (["job", "list", "-o", "xml"], ["-o", '"xml"', "jsonl"]),
        (["job", "list", "--since", "last week"], ["--since", "'last week'", "15m"]),
        (
            ["job", "list", "--since", "1h", "--until", "2h"],
            ["--since", "is after --until", "the longer one"],
        ),
        (["job", "show"], ["JOB", "requires an argument"]),
        (["job", "show", "a", "b"], ["'b'", "leave it out"]),
        (["runner", "start", "x", "-n", "0"], ["-n", '"0"', ">= 1"]),
        (["runner", "start", "x", "--concurrency", "0"], ["--concurrency", '"0"']),
        (["server", "start", "--idle", "soon"], ["--idle", "'soon'"]),
        (["view", "rebuild", "--timeout", "-1"], ["--timeout", "-1"]),
        (["completion", "--shell", "tcsh"], ["--shell", '"tcsh"', "zsh"]),
    ],
)
def test_a_wrong_command_line_names_the_option_the_value_and_the_remedy(
    cli: CommandLine, arguments: list[str], told: list[str]
) -> None:
    said = cli(*arguments)
    assert (said.code, said.out) == (2, "")
    for text in told:
        assert text in said.err


# -- pipes and streams ------------------------------------------------------------------------------------------------

_MAIN = "from jobledger.adapters.cli import main; main()"


def _program(served: Served, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _MAIN, *arguments, *served.options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )


def test_a_reader_who_has_seen_enough_ends_it_silently(served: Served) -> None:
    job = served.client.jobs().submit("watched for a moment", Greet("you"))
    with _program(served, "job", "watch", str(job.id), "-o", "jsonl") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["state"] == "SUBMITTED"  # while the program still runs
        process.stdout.close()
        served.client.jobs().cancel(job)
        assert (process.stderr.read(), process.wait(20)) == ("", 141)


def test_what_the_output_has_no_letters_for_is_shown_by_number(served: Served) -> None:
    job = served.client.jobs().submit("Zürich", Greet("you"))
    with _program(served, "job", "show", str(job.id), PYTHONIOENCODING="ascii") as process:
        told, complained = process.communicate(timeout=20)
    assert (process.returncode, complained) == (0, "")
    assert r"Z\xfcrich" in told
    with _program(served, "job", "show", str(job.id), "-o", "json", PYTHONIOENCODING="ascii") as process:
        told, _ = process.communicate(timeout=20)
    assert json.loads(told)["name"] == "Zürich"
    served.client.jobs().cancel(job)


# -- completion -------------------------------------------------------------------------------------------------------


def test_bash_completes_commands_and_options(cli: CommandLine, tmp_path: Path) -> None:
    script = tmp_path / "completion.bash"
    script.write_text(cli.ok("completion", "--shell", "bash", "--print").out)

    def completed(*words: str) -> list[str]:
        typed = " ".join(map(shlex.quote, words))
        asked = f"source {script}; COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _jobledger; printf '%s\\n' ${{COMPREPLY[@]}}"
        done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=False, timeout=20)
        return done.stdout.split()

    assert completed("jobledger", "job", "re") == ["result", "retry"]
    assert "--label" in completed("jobledger", "job", "list", "--l")
    assert completed("jobledger", "job", "list", "--output", "json") == ["json", "jsonl"]


def test_the_ids_of_the_newest_jobs_are_offered_and_no_server_is_started_for_it(
    cli: CommandLine, served: Served, tmp_path: Path
) -> None:
    job = served.client.jobs().submit("offered", Greet("you"))
    served.client.jobs().cancel(job)
    offered = cli.ok("__complete", "job", "show", "").lines
    assert f"{job.id}\toffered, CANCELED" in offered
    assert [line for line in offered if line.startswith("latest\t")]
    nothing = cli.ok("__complete", "job", "show", "--folder", tmp_path / "data", "").lines
    assert not [line for line in nothing if "\t" in line]
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed_in_the_home_of_the_user(
    cli: CommandLine, shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    said = cli.ok("completion", "--shell", shell)
    installed = re.search(r"installed in (\S+);", said.err)
    assert installed is not None
    assert said.out == ""
    assert tmp_path in Path(installed[1]).parents
    assert "jobledger" in Path(installed[1]).read_text()


# -- docs/cli.md ------------------------------------------------------------------------------------------------------


def _examples() -> list[str]:
    """Return the commands that the page shows."""
    blocks = re.findall(r"^```sh\n(.*?)^```", _DOCS.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith("jobledger ")]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_page_shows_every_command_in_an_example(command: tuple[str, ...]) -> None:
    typed = " ".join(("jobledger", *command))
    assert [line for line in _examples() if f"{line} ".startswith(f"{typed} ")], f"no example of {typed}"


@pytest.mark.parametrize("example", _examples())
def test_every_example_is_a_command_line_that_makes_sense(example: str) -> None:
    words = shlex.split(example.partition(" | ")[0].partition(" > ")[0], comments=True)
    app.parse_args(words[1:], exit_on_error=False, print_error=False)


def test_the_page_lists_every_exit_code_with_its_meaning() -> None:
    codes = {value for name, value in vars(exits).items() if name.isupper()}
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", _DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert {int(code) for code, _ in rows} == codes | {0}
    assert len(rows) == len(codes) + 1
