"""Other systems on the product's workloads, as far as can be said without installing them.

For real: `python benchmarks/peers/run.py --brief`, about a minute once they are installed.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from benchmarks.peers.environments import PEERS, Unavailable, environment, pins
from benchmarks.peers.measuring import submitted, worker
from benchmarks.peers.servers import nats_server
from benchmarks.peers.submitter import measure as run_workloads
from benchmarks.peers.systems import SIZES, SYSTEMS, System, chosen
from benchmarks.peers.workloads import WORKLOADS, NotAllRan, Peer

from support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
every_system = pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)


class Here(Peer):
    """A system whose tasks run when they are submitted."""

    def submit(self, number: int) -> Callable[[], int]:
        return lambda: number


class Forgetful(Here):
    """One that loses the last task of all that has several, and gets wrong what has one."""

    def submit(self, number: int) -> Callable[[], int]:
        return lambda: number + 1

    def chain(self, length: int) -> int:
        return super().chain(length - 1)

    def independent(self, count: int) -> Sequence[int]:
        return range(count - 1)


# -- the systems ------------------------------------------------------------------------------------------------------


def test_no_two_systems_have_one_name() -> None:
    assert len({system.name for system in SYSTEMS}) == len(SYSTEMS) >= 6


@every_system
def test_a_system_states_what_is_durable_when_and_how_it_is_set_up(system: System) -> None:
    assert "sync" in system.durability
    assert len(system.settings) > 20
    assert set(system.sizes) <= set(SIZES) == set(WORKLOADS)


@every_system
def test_everything_a_system_is_installed_with_is_pinned(system: System) -> None:
    named, all_of_them = pins(system.folder), pins(system.folder, all_of_them=True)
    assert named
    assert named.items() <= all_of_them.items()
    assert all(version[0].isdigit() for version in all_of_them.values())


def imported(app: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(app.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


@every_system
def test_the_tasks_of_a_system_import_nothing_but_what_is_pinned(system: System) -> None:
    packages = {package.lower().replace("-", "_") for package in pins(system.folder)}
    known = packages | set(sys.stdlib_module_names) | {"benchmarks"}
    assert set(imported(PEERS / system.folder / "app.py")) <= known


def test_systems_are_chosen_by_the_beginning_of_their_names() -> None:
    assert [system.name for system in chosen(["HUEY", "dbos + sq"])] == ["huey + SQLite", "DBOS + SQLite"]
    assert chosen([]) == list(SYSTEMS)
    with pytest.raises(ValueError, match=r"no system 'rq': there are huey \+ SQLite; dramatiq"):
        chosen(["huey", "rq"])


# -- the workloads ----------------------------------------------------------------------------------------------------


def test_a_workload_measures_a_system_that_runs_every_task() -> None:
    measured = [one for workload in WORKLOADS.values() for one in workload(Here(), 50)]
    assert [(one.what, one.unit) for one in measured] == [
        ("fan-out of 50 tasks", "tasks/s"),
        ("chain of 50 dependent tasks", "tasks/s"),
        ("one small job, submit to result, p50", "ms"),
        ("one small job, submit to result, p99", "ms"),
        ("50 small jobs", "jobs/s"),
    ]
    assert all(one.value > 0 for one in measured)


@pytest.mark.parametrize("workload", WORKLOADS)
def test_no_workload_measures_a_system_that_loses_a_task(workload: str) -> None:
    with pytest.raises(NotAllRan):
        WORKLOADS[workload](Forgetful(), 5)


def test_the_submitter_tells_of_each_figure_the_values_of_all_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_workloads(Here(), {"W1": 10, "W3": 5}, repeat=3)
    ready, *lines = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert ready == {"ready": True}
    assert [(line["workload"], line["what"], len(line["values"])) for line in lines] == [
        ("W1", "fan-out of 10 tasks", 3),
        ("W3", "one small job, submit to result, p50", 3),
        ("W3", "one small job, submit to result, p99", 3),
    ]


# -- processes --------------------------------------------------------------------------------------------------------


def program(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_what_a_submitter_prints_is_passed_on(tmp_path: Path) -> None:
    code = """print('{"ready": true}'); print('{"workload": "W1"}')"""
    assert list(submitted(program(code), tmp_path / "log", {}, patience=30)) == [{"workload": "W1"}]


def test_a_submitter_that_fails_is_told_with_its_last_error(tmp_path: Path) -> None:
    lines = submitted(program("raise ValueError('no broker')"), tmp_path / "log", {}, patience=30)
    with pytest.raises(Unavailable, match="its submitter failed: ValueError: no broker"):
        list(lines)


def test_a_submitter_that_is_silent_is_ended(tmp_path: Path) -> None:
    lines = submitted(program("import time; time.sleep(60)"), tmp_path / "log", {}, patience=0.1)
    with pytest.raises(Unavailable, match=r"it took longer than 0\.1 s"):
        list(lines)


def test_a_worker_ends_with_all_that_it_started(tmp_path: Path) -> None:
    child = "import os, time; open('child', 'w').write(str(os.getpid())); os.rename('child', 'pid'); time.sleep(60)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with worker(program(code), tmp_path / "log", {}):
        eventually((tmp_path / "pid").exists)
        pid = int((tmp_path / "pid").read_text())
    eventually(lambda: ended(pid))


def ended(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_server_takes_connections_and_ends_with_its_block(tmp_path: Path) -> None:
    with nats_server(tmp_path) as server:
        assert server.url.startswith("nats://127.0.0.1:")
        assert server.version.startswith("nats-server 2.")
    eventually(lambda: ended(server.pid))


# -- installing -------------------------------------------------------------------------------------------------------


def test_a_system_that_cannot_be_installed_is_told_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("no folder")
    with pytest.raises(Unavailable, match=r"huey cannot be installed: .*taken"):
        environment("huey", tmp_path / "taken")


def test_the_others_are_measured_where_one_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("no folder")
    figures = tmp_path / "figures.json"
    options = ["huey", "DBOS + SQLite", "--brief", "--envs", str(tmp_path / "taken"), "--json", str(figures)]
    command = [sys.executable, "benchmarks/peers/run.py", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr  # none could be
    told = json.loads(figures.read_text())
    assert told["figures"] == []
    assert set(told["about"]["not measured"]) == {"huey + SQLite", "DBOS + SQLite"}
    assert "huey + SQLite: NOT MEASURED: huey cannot be installed" in done.stdout


def test_an_unknown_workload_is_refused_with_those_there_are() -> None:
    command = [sys.executable, "benchmarks/peers/run.py", "--workloads", "W1,W9"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "--workloads W9: there are W1, W2, W3, W4" in done.stderr
