"""`jobledger demo` as a program: what it prints is what the log says, and nothing of it stays behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

import jobledger
from jobledger import Client, Job, JobState
from jobledger.adapters.cli.demo import evidence, survey
from jobledger.core import events as e
from jobledger.data import AttemptOutcome, HistoryEntry
from support.waiting import eventually

_PATIENCE = 90.0  # seconds; a run takes 5 on two idle cores


# Read by the shell and by Python, each its way: as pip has it where the path of Python may have spaces.
_PROGRAM = """\
#!/bin/sh
'''exec' '{python}' "$0" "$@"
' '''
from jobledger.adapters.cli import main
main()
"""


@dataclass(frozen=True)
class Place:
    """Where demos are run: a data folder, a program as pip would install it, and a working directory."""

    home: Path
    program: Path
    directory: Path
    environment: dict[str, str]

    def start(self, *, more: dict[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.program, "demo"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.directory,
            env={**self.environment, **(more or {})},
        )

    def run(self, *, more: dict[str, str] | None = None) -> tuple[int, str, str]:
        """Return the exit code of a demo, its stdout and its stderr."""
        with self.start(more=more) as process:
            try:
                said, complained = process.communicate(timeout=_PATIENCE)
            finally:
                process.kill()
        return process.returncode, said, complained

    def shell(self, command: str) -> subprocess.CompletedProcess[str]:
        """Type this into a shell."""
        return subprocess.run(
            command,
            shell=True,
            capture_output=True,
            text=True,
            cwd=self.directory,
            env=self.environment,
            timeout=60,
            check=False,
        )

    def runners(self) -> list[int]:
        """Return the processes that are runners of demos in this data folder."""
        return [
            pid for pid, command in _commands() if "cli.demo.runner" in command and str(self.home) in command
        ]

    def job(self, client: Client, said: str) -> Job:
        found = re.search(r"^  job +(\S+), submitted", said, re.MULTILINE)
        assert found, said
        return client.jobs().find(found[1])


def _commands() -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        try:
            yield (
                int(entry.name),
                (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"),
            )
        except (ValueError, OSError):  # no process, or it has just ended
            continue


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("a path with spaces")
    directory = root / "elsewhere"
    directory.mkdir()
    # A working directory whose files have the names of modules must do no harm.
    (directory / "argparse.py").write_text("raise ImportError('not the one of the library')\n")
    program = root / "bin" / "jobledger"
    program.parent.mkdir()
    program.write_text(_PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    environment = {**os.environ, "JOBLEDGER_HOME": str(root / "home"), "NO_COLOR": "1"}
    environment["PYTHONPATH"] = str(Path(jobledger.__path__[0]).parent)
    for name in ("JOBLEDGER_URL", "FORCE_COLOR"):
        environment.pop(name, None)
    place = Place(root / "home", program, directory, environment)
    handler = signal.getsignal(signal.SIGINT)
    # Were it ignored here, as it is in the background of some shells, so it would be in what is started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield place
    signal.signal(signal.SIGINT, handler)
    stopped = place.shell(f"'{program}' server stop")
    left = place.runners()
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert stopped.returncode == 0, stopped.stderr
    assert left == []


@pytest.fixture(scope="module")
def client(place: Place) -> Iterator[Client]:
    with Client(data_folder=place.home) as client:
        yield client


@pytest.fixture(scope="module")
def said(place: Place) -> str:
    """What one whole run prints."""
    code, said, complained = place.run()
    assert (code, complained) == (0, ""), said + complained
    return said


def _number(said: str, of: str) -> int:
    found = re.search(rf"^ +([\d,]+)  {of}", said, re.MULTILINE)
    assert found, (of, said)
    return int(found[1].replace(",", ""))


def test_the_numbers_are_those_of_the_log(said: str, place: Place, client: Client) -> None:
    job = place.job(client, said)
    assert job.state is JobState.COMPLETED
    retried = next(entry.at for entry in job.history if isinstance(entry.event, e.JobRetried))
    attempts = {task.number: task.attempts for task in job.tasks}
    computed_at = {}
    failed = []
    for number, runs in attempts.items():
        outcomes = [run.outcome for run in runs if run.outcome is not AttemptOutcome.RELEASED]
        assert outcomes.count(AttemptOutcome.COMPUTED) == 1
        assert outcomes[-1] is AttemptOutcome.COMPUTED
        failed += [number] * outcomes.count(AttemptOutcome.FAILED)
        computed_at[number] = runs[-1].claimed_at
    before = sum(claimed < retried for claimed in computed_at.values())
    assert 0 < before < len(attempts)
    assert _number(said, "tasks were computed before the retry") == before
    assert _number(said, "tasks were computed after it") == len(attempts) - before
    assert _number(said, "tasks ran twice") == len(failed) == len(set(failed)) > 0
    assert _number(said, "computed tasks ran again") == 0
    assert _number(said, f"attempts in all, for {len(attempts):,} tasks") == len(attempts) + len(failed)
    for number in failed:
        task = job.tasks[number]
        assert f"task   {number}, SurveyModule with the input {task.input.decode()}" in said
        assert task.attempts[0].error is not None
        assert f"error  UnicodeDecodeError: {task.attempts[0].error.message}" in said


def test_the_totals_are_those_of_the_library(said: str) -> None:
    files = [survey.LIBRARY / file for package in survey.packages() for file in survey.files(package)]
    lines = sum(file.read_bytes().count(b"\n") for file in files)
    assert re.search(rf"^  all \d+ packages +{len(files):,} +{lines:,} ", said, re.MULTILINE), said


def test_the_commands_it_ends_with_work(said: str, place: Place, client: Client) -> None:
    status, history, _ = [line.strip() for line in said.splitlines()[-5::2]]
    found = place.shell(status)
    assert found.returncode == 0, found.stderr
    assert str(place.home) in found.stdout
    told = place.shell(history)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.splitlines() == str(place.job(client, said).history).splitlines()


def test_it_is_plain_where_there_is_no_terminal(said: str) -> None:
    assert "\x1b" not in said
    assert "\r" not in said
    assert re.search(r"^  tasks: .*\d+ computed, 1 failed$", said, re.MULTILINE)


def test_no_runner_is_left(said: str, place: Place) -> None:
    assert place.runners() == []


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_one_takes_its_runners_and_its_job_with_it(
    sign: signal.Signals, place: Place, client: Client
) -> None:
    with _running(place) as (process, begin):
        process.send_signal(sign)
        rest = _rest(process)
    assert (process.returncode, rest[1]) == (130, "")
    assert "Interrupted" in rest[0]
    assert place.runners() == []
    job = place.job(client, begin)
    assert job.settled
    assert job.state is not JobState.COMPLETED


def test_a_killed_one_takes_its_runners_with_it(place: Place) -> None:
    with _running(place) as (process, _):
        process.kill()
        _rest(process)
    eventually(lambda: not place.runners(), within=30.0)


def test_a_runner_that_is_killed_is_missed(place: Place, client: Client) -> None:
    with _running(place) as (process, begin):
        os.kill(place.runners()[0], signal.SIGKILL)
        _, complained = _rest(process)
    assert process.returncode == 1
    assert re.match(r"jobledger: runner \d+ ended by itself with exit code -9; ", complained), complained
    assert place.runners() == []
    assert place.job(client, begin).settled


@contextmanager
def _running(place: Place) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a demo; give it, and what it has said, once it has a runner."""
    with place.start() as process:
        try:
            assert process.stdout is not None
            said = ""
            for line in process.stdout:
                said += line
                if "before.py:" in line:
                    break
            assert place.runners() != [], said
            yield process, said
        finally:
            process.kill()


def _rest(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Wait for the end; return what was said on stdout and stderr."""
    assert process.stdout is not None
    assert process.stderr is not None
    rest = process.stdout.read(), process.stderr.read()
    process.wait(_PATIENCE)
    return rest


# -- libraries that are not as expected ---------------------------------------------------------------------------


@pytest.fixture
def library(tmp_path: Path) -> Callable[[dict[str, bytes]], dict[str, str]]:
    """Make a library of these files; return the environment in which Python says that it is its own."""

    def make(files: dict[str, bytes]) -> dict[str, str]:
        root = tmp_path / "library"
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        site = tmp_path / "site"
        site.mkdir()
        (site / "sitecustomize.py").write_text(
            "import sysconfig\n"
            "true = sysconfig.get_path\n"
            f"sysconfig.get_path = lambda name, *more, **options: {str(root)!r} if name == 'stdlib'"
            " else true(name, *more, **options)\n"
        )
        return {"PYTHONPATH": os.pathsep.join((str(site), str(Path(jobledger.__path__[0]).parent)))}

    return make


def test_files_that_are_no_python_are_counted_by_their_lines(
    place: Place, library: Callable[[dict[str, bytes]], dict[str, str]]
) -> None:
    environment = library(
        {
            "one.py": b"import ast\nclass A:\n    def f(self): pass\n",
            "package/latin.py": b"# -*- coding: latin-1 -*-\ndef f(): return '\xe9'\n",
            "package/template.py": b"class $NAME:\n",
            "package/damaged.py": b"x = '\xff'\n",
            "package/test/left_out.py": b"x = 1\n",
        }
    )
    code, said, complained = place.run(more=environment)
    assert (code, complained) == (0, ""), said + complained
    assert re.search(r"^  all 2 packages +4 +7 +1 +2 +1 *$", said, re.MULTILINE), said
    assert "2 modules are no valid Python" in said


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"one.py": b"x = 1\n"}, "the job should have failed, and is COMPLETED"),
        ({"one.py": b"class $NAME:\n"}, "should have failed of a file that is not ASCII, not of SyntaxError"),
        ({"test/one.py": b"x = 1\n"}, "no source code to survey"),
    ],
)
def test_it_says_so_if_it_does_not_go_as_described(
    files: dict[str, bytes],
    complaint: str,
    place: Place,
    library: Callable[[dict[str, bytes]], dict[str, str]],
) -> None:
    code, _, complained = place.run(more=library(files))
    assert code == 1
    assert complained.startswith("jobledger: the demo did not go as described: ")
    assert complaint in complained
    assert place.runners() == []


def test_a_folder_that_cannot_hold_a_log(place: Place, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, _, complained = place.run(more={"JOBLEDGER_HOME": str(tmp_path / "file")})
    assert code == 1
    assert complained.startswith("jobledger: cannot use data folder")


# -- the evidence -------------------------------------------------------------------------------------------------


def _fold(*happened: e.Event) -> evidence.Evidence:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return evidence.fold(
        HistoryEntry(number, number, 0, at, event, str) for number, event in enumerate(happened, 1)
    )


def _computed(task: int, attempt: int = 1) -> e.TaskComputed:
    return e.TaskComputed(task, attempt, 0, 0)


_RETRIED = e.JobRetried("", [1, 2], 1)


def test_the_evidence_counts_every_run() -> None:
    seen = _fold(
        e.TasksClaimed("a", 1, [0, 4]),
        _computed(0),
        e.TaskFailed(1, 1, 0, 0, e.Error("ValueError", "no")),
        e.TaskReleased(2, 1, "stopping"),
        e.LeaseExpired(3, 1, "a"),
        _RETRIED,
        e.TasksClaimed("b", 2, [1, 4]),
        *(_computed(task, 2) for task in (1, 2, 3)),
    )
    assert (seen.computed_before, seen.computed_after) == ({0}, {1, 2, 3})
    assert (seen.failed, seen.ran_twice, seen.ran_again) == ({1}, {1, 3}, set())
    assert (seen.runs.total(), seen.given_back, seen.events) == (6, 1, 10)


@pytest.mark.parametrize("again", [e.TasksClaimed("b", 2, [0, 1]), _computed(0, 2)])
@pytest.mark.parametrize("between", [[], [_RETRIED]])
def test_the_evidence_convicts_a_task_that_ran_again(again: e.Event, between: list[e.Event]) -> None:
    assert _fold(_computed(0), *between, again).ran_again == {0}
