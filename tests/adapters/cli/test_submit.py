"""`jobledger job submit`: tasks made of JSON, checked before anything is sent, or of code that is elsewhere."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobledger import Job, Runner
from jobledger.adapters.cli.loading import runner_from
from support.command_line import CommandLine, Said

from .conftest import Greet, Served
from .workflow import SOURCE

_numbers = itertools.count(1)
_AREA = '{"area": {"name": "Zürich", "corners": [[8.5, 47.3], [8.6, 47.4]]}}'


@pytest.fixture
def module(cli: CommandLine, tmp_path: Path) -> str:
    """A module of tasks in the working folder; each test has one by another name, as a program of its own would."""
    name = f"workflow{next(_numbers)}"
    (tmp_path / f"{name}.py").write_text(SOURCE, encoding="utf-8")
    return name


@pytest.fixture
def submitted(cli: CommandLine, served: Served) -> Callable[..., Job]:
    """Submit, and return the job whose id was printed."""

    def submit(*arguments: object, typed: str | None = None) -> Job:
        said = cli.ok("job", "submit", *arguments, typed=typed)
        assert said.err == ""
        return served.client.jobs().find(said.out.strip())

    return submit


def refused(said: Said, *told: str) -> None:
    """Assert that nothing was submitted, as a usage error that says so much."""
    assert (said.code, said.out) == (2, "")
    for text in told:
        assert text in said.err


# -- a class from here ------------------------------------------------------------------------------------------------


def test_a_task_is_made_of_the_fields_of_its_class(module: str, submitted: Callable[..., Job]) -> None:
    job = submitted(f"{module}:Tile", "--input", _AREA)
    (task,) = job.tasks
    assert (job.name, task.name, task.version) == ("Tile", "Tile", "v0.0")
    assert task.input_json["area"] == {"name": "Zürich", "corners": [[8.5, 47.3], [8.6, 47.4]]}
    assert task.input_json["zoom"] == 3


def test_a_single_field_travels_bare_and_no_field_not_at_all(
    module: str, submitted: Callable[..., Job]
) -> None:
    one = submitted(f"{module}:Count", "-i", '{"number": 7}').tasks[0]
    assert (one.input, one.name, one.version) == (b"7", "example.org/Count", "v1.4")
    assert submitted(f"{module}:Nothing").tasks[0].input == b""
    assert submitted(f"{module}:Nothing", "--input", "{}").tasks[0].input == b""


def test_a_class_without_execute_can_be_submitted(module: str, submitted: Callable[..., Job]) -> None:
    assert submitted(f"{module}:Elsewhere", "--input", '{"number": 7}').tasks[0].input == b"7"


def test_the_input_may_come_from_stdin_or_a_file(
    module: str, submitted: Callable[..., Job], tmp_path: Path
) -> None:
    (tmp_path / "area.json").write_text(_AREA, encoding="utf-8")
    typed = submitted(f"{module}:Tile", "--input", "-", typed=_AREA)
    read = submitted(f"{module}:Tile", "--input", "@area.json")
    assert typed.tasks[0].input == read.tasks[0].input


def test_a_file_that_is_not_there_is_a_usage_error(cli: CommandLine, module: str) -> None:
    refused(cli("job", "submit", f"{module}:Tile", "--input", "@missing.json"), "--input @missing.json")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("Count", '{"number": "seven"}', ["Count.number", '"seven"', "int"]),
        ("Tile", '{"area": {"name": "a", "corners": [[1, "x"]]}}', ["Tile.area.corners[0][1]", "float"]),
        ("Tile", '{"area": {"name": "a", "corners": []}, "at": "noon"}', ["Tile.at", '"noon"']),
        ("Count", '{"nummer": 7}', ["no field 'nummer'", "only number"]),
        ("Count", "{}", ["Count.number", "no default"]),
        ("Count", None, ["Count.number", "no default"]),
        ("Count", "7", ["7", "no JSON object"]),
        ("Count", "{number: 7}", ["{number: 7}", "not JSON"]),
        ("Count", "", ["not JSON"]),
        ("Nothing", '{"number": 7}', ["no field 'number'", "only none"]),
        ("Picky", '{"number": 10}', ["Picky", "one digit, please"]),
    ],
)
def test_an_input_that_does_not_fit_is_refused_before_anything_is_sent(
    cli: CommandLine, module: str, name: str, text: str | None, told: list[str]
) -> None:
    given = () if text is None else ("--input", text)
    # No server is there to be asked.
    said = cli("job", "submit", f"{module}:{name}", *given, "--url", "nats://127.0.0.1:1")
    refused(said, "--input", *told)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("{module}:Missing", ["no 'Missing'", "Tile"]),
        ("{module}:text", ["'no tasks'", "subclass of Task"]),
        ("{module}:Task", ["subclass of Task"]),
        ("{module}_:Tile", ["no module", "PYTHONPATH"]),
        ("{module}.below:Tile", ["no module"]),
        ("work-flow:Tile", ["'work-flow:Tile'", "module:object"]),
        ("{module}:", ["module:object"]),
        (":Tile", ["module:object"]),
    ],
)
def test_a_class_that_cannot_be_found_is_a_usage_error(
    cli: CommandLine, module: str, path: str, told: list[str]
) -> None:
    refused(cli("job", "submit", path.format(module=module)), *told)


def test_a_module_that_fails_shows_its_own_error(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import json\nraise KeyError('no such region')\n")
    said = cli("job", "submit", "broken:Tile")
    assert (said.code, said.out) == (1, "")
    assert "'broken:Tile'" in said.err
    assert "KeyError: 'no such region'" in said.err
    assert "broken.py" in said.err
    assert "importlib" not in said.err


def test_a_module_that_needs_a_missing_one_names_that_one(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "needy.py").write_text("import not_installed_here\n")
    said = cli("job", "submit", "needy:Tile")
    assert said.code == 1
    assert "No module named 'not_installed_here'" in said.err


# -- a task whose code is elsewhere -----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["7", '"text"', "[1, 2]", '{"b": 1}', '{"b": 1, "a": null}', "{}", "null"])
def test_the_input_of_a_task_elsewhere_travels_as_it_is(submitted: Callable[..., Job], text: str) -> None:
    task = submitted("example.org/Resize", "--version", "v2.1", "--input", text).tasks[0]
    assert (task.name, task.version) == ("example.org/Resize", "v2.1")
    assert json.loads(task.input) == json.loads(text)


def test_a_task_elsewhere_may_have_no_input(submitted: Callable[..., Job]) -> None:
    task = submitted("Sweep").tasks[0]
    assert (task.name, task.version, task.input) == ("Sweep", "v0.0", b"")


def test_a_runner_that_has_the_code_runs_it(
    submitted: Callable[..., Job], served: Served, cli: CommandLine
) -> None:
    job = submitted("Greet", "--input", '"world"')
    served.client.runner(tasks=[Greet]).run_all()
    assert cli.ok("job", "result", job.id).json == "Hello, world!"


def test_a_malformed_version_is_a_usage_error(cli: CommandLine) -> None:
    refused(cli("job", "submit", "Greet", "--version", "1.2"), "'1.2'", "v1.2")


def test_a_class_from_here_has_its_own_version(cli: CommandLine, module: str) -> None:
    refused(cli("job", "submit", f"{module}:Count", "--version", "v9.0"), "--version v9.0", "v1.4")


# -- options ----------------------------------------------------------------------------------------------------------


def test_options_say_how_the_job_runs(submitted: Callable[..., Job], served: Served) -> None:
    served.client.clusters().create("GPU", slug="gpu")
    before = datetime.now(UTC)
    options: list[object] = [
        "--name",
        "with options",
        "--cluster",
        "gpu",
        "--label",
        "team=blue",
        "--label",
        "a=b=c",
    ]
    options += [
        "--max-retries",
        2,
        "--retry-delay",
        "90s",
        "--priority",
        5,
        "--task-timeout",
        "2m",
        "--start",
        "1h",
    ]
    options += ["--deadline", "2099-05-01T12:00+02:00"]
    job = submitted("Greet", "--input", '"you"', *options, "--on-failure", "continue", "--force")
    (task,) = job.tasks
    assert (job.name, job.labels, job.on_failure) == (
        "with options",
        {"team": "blue", "a": "b=c"},
        "continue",
    )
    assert task.cluster == "gpu"
    assert job.deadline == datetime(2099, 5, 1, 10, 0, tzinfo=UTC)
    assert (task.max_retries, task.priority, task.timeout) == (2, 5, 120.0)
    assert task.retry is not None
    assert task.retry.delay == 90.0
    assert task.held_until is not None
    assert timedelta(minutes=59) < task.held_until - before < timedelta(minutes=61)


def test_with_the_same_key_it_is_the_same_job(submitted: Callable[..., Job]) -> None:
    first, second = (submitted("Greet", "--input", '"you"', "--key", "order 4711") for _ in range(2))
    assert first == second


def test_programs_get_the_id_as_json(cli: CommandLine) -> None:
    said = cli.ok("job", "submit", "Greet", "--input", '"you"', "--name", "a name", "-o", "json")
    assert said.json.keys() == {"id", "name"}
    assert said.json["name"] == "a name"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--label", "team"], ["--label 'team'", "KEY=VALUE"]),
        (["--label", "a=1", "--label", "a=2"], ["--label a=", "twice"]),
        (["--max-retries", "-1"], ["--max-retries", "-1", ">= 0"]),
        (["--retry-delay", "5"], ["--retry-delay", "--max-retries"]),
        (["--task-timeout", "soon"], ["--task-timeout", "'soon'", "90s"]),
        (["--deadline", "tomorrow"], ["--deadline", "'tomorrow'", "from now"]),
        (["--start", "2026-13-01"], ["--start", "'2026-13-01'"]),
        (["--on-failure", "explode"], ["--on-failure", "explode", "continue"]),
        (["--timeout", "5"], ["--timeout", "--wait"]),
        (["--name", ""], ["name", "empty"]),
        (["--priority", "high"], ["--priority", "high"]),
    ],
)
def test_a_wrong_option_names_itself_its_value_and_the_remedy(
    cli: CommandLine, options: list[str], told: list[str]
) -> None:
    refused(cli("job", "submit", "Greet", *options), *told)


def test_a_cluster_there_is_not_is_not_found(cli: CommandLine) -> None:
    said = cli("job", "submit", "Greet", "--cluster", "moon")
    assert (said.code, said.out) == (4, "")
    assert "'moon'" in said.err


# -- what `runner start` is given -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("{module}:runner", ["Tile"]),
        ("{module}:Count", ["example.org/Count"]),
        ("{module}:several", ["Tile", "example.org/Count"]),
        ("{module}", ["Tile", "example.org/Count", "Nothing"]),
    ],
)
def test_runners_are_made_of_a_runner_a_class_a_list_or_a_module(
    module: str, path: str, names: list[str]
) -> None:
    found = runner_from(path.format(module=module))
    assert isinstance(found, Runner)
    assert [identifier.name for identifier in found.task_identifiers] == names


@pytest.mark.parametrize("path", ["{module}:none", "{module}:text", "{module}:Task", "json", "{module}:Area"])
def test_what_runs_nothing_is_a_usage_error(cli: CommandLine, module: str, path: str) -> None:
    said = cli("runner", "start", path.format(module=module))
    assert (said.code, said.out) == (2, "")
    assert path.format(module=module) in said.err
    assert "a list" in said.err
