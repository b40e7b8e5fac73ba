"""Every workload still runs, on the real product, and tells all that it measures. What it measures is not asserted: that
is for a quiet machine and a person."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest
from benchmarks.report import Figure, Report
from benchmarks.workloads import WORKLOADS

ROOT = Path(__file__).resolve().parents[2]


def growth(curve: str) -> list[str]:
    return [f"{curve}: {what}, last over first" for what in ("time", "processor time")]


#: by workload, with N for every number
FIGURES = {
    "W1": [
        "fan-out of N tasks",
        "fan-out of N tasks",
        "rate at N tasks over that at N",
        "engine memory growth over N tasks, at its peak",
        "fan-out of N tasks of a sealed job",
        "find() of a job of N in a new process",
    ],
    "W2": ["chain of N dependent tasks", "a hop, pN", "a hop, pN"],
    "W3": ["one small job, submit to wait(), pN", "one small job, submit to wait(), pN"],
    "W4": [
        f"{way}: N jobs{what}"
        for way in ("a loop of submit()", "submit_many()")
        for what in (" submitted", " completed, by the log", ", all waited for")
    ],
    "W5": [
        f"{way}: {what}"
        for way in ("N runner processes", "one runner with a pool of N processes")
        for what in (
            "map-reduce of N tasks of N ms",
            "plain processes, without the product",
            "of what the cores allow",
            "of all processor time, left for tasks",
        )
    ],
    "W6": [
        "N events, folded from memory",
        "N events, decoded and folded from memory",
        "N events, read from the server, checked and folded",
    ],
    "W7": [
        "the engine, until it serves",
        "the engine, until a live job goes on",
        "the engine, without a checkpoint, until it serves",
        "the engine, without a checkpoint, until a live job goes on",
        "the whole server, without a checkpoint, until it serves",
        "the whole server, without a checkpoint, until a live job goes on",
    ],
    "W8": [
        "N idle runners: processor of the engine",
        "N idle runners: processor of the nats-server",
        "N idle runners: processor of the runners",
        "requests of a runner",
        "requests of the runner that asks most",
    ],
    "flat": [
        *["a task of a job, by its tasks: N", "a task of a job of N, by tasks in the log: N"] * 4,
        *growth("a task of a job, by its tasks"),
        *growth("a task of a job of N, by tasks in the log"),
    ],
    "live": [
        *["a task of a fan-out of N, by live jobs: N", "a task of a chain of N, by live jobs: N"] * 3,
        *growth("a task of a fan-out of N, by live jobs"),
        *growth("a task of a chain of N, by live jobs"),
    ],
}


@dataclass
class Ran:
    """One brief run of all workloads."""

    report: Report
    printed: str

    @property
    def by_workload(self) -> dict[str, list[Figure]]:
        found = defaultdict(list)
        for figure in self.report.figures:
            found[figure.workload].append(figure)
        return found


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """All of them share one server, so that they are over soon."""
    file = tmp_path_factory.mktemp("figures") / "figures.json"
    done = run("--all", "--brief", "--json", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    return Ran(Report.read(file), done.stdout)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "benchmarks/run.py", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_workload_tells_all_that_it_measures(ran: Ran, workload: str) -> None:
    assert [without_numbers(one.what) for one in ran.by_workload[workload]] == FIGURES[workload]
    assert all(len(one.values) == 1 and min(one.values) >= 0 for one in ran.by_workload[workload])


def test_the_table_has_every_figure(ran: Ran) -> None:
    lines = set(ran.printed.splitlines())
    assert all(str(one).splitlines()[0] in lines for one in ran.report.figures)


@pytest.mark.parametrize("workload", ["W1", "W2", "W3", "W4", "W5", "flat", "live"])
def test_processor_time_is_told_of_every_kind_of_process(ran: Ran, workload: str) -> None:
    cpu = ran.by_workload[workload][0].cpu
    assert list(cpu) == ["nats-server", "engine", "projector", "runner", "client"]
    assert all(used > 0 for used in cpu.values())


@pytest.mark.parametrize("workload", ["W1", "W2", "W3", "W4", "W5"])
def test_messages_are_told(ran: Ran, workload: str) -> None:
    messages = ran.by_workload[workload][0].messages
    assert messages is not None
    assert min(messages) > 0


def test_what_it_was_measured_with_is_told(ran: Ran) -> None:
    about = ran.report.about
    assert {"python", "jobledger", "nats-server", "nats-py", "msgspec", "uvloop", "machine"} <= about.keys()
    assert "fsync" in about["durability"]
    assert all(f"{key}: {told}" in ran.printed for key, told in about.items())


def test_small_workloads_say_nothing_of_targets(ran: Ran) -> None:
    assert all(one.target is None for one in ran.report.figures)


def test_a_workload_that_does_not_exist_is_named_with_those_that_do() -> None:
    done = run("W1", "fan-in")
    assert done.returncode == 2
    assert "there is no workload 'fan-in'" in done.stderr
    assert all(workload.lower() in done.stderr for workload in WORKLOADS)


@pytest.mark.parametrize("option", [("--repeat", "0"), ("--scale", "-1"), ("--scale", "0")])
def test_sizes_that_mean_nothing_are_refused(option: tuple[str, str]) -> None:
    done = run("W1", *option)
    assert done.returncode == 2
    assert "--repeat is to be 1 or more, and --scale above 0" in done.stderr


def without_numbers(text: str) -> str:
    return re.sub(r"\d+(,\d{3})*", "N", text)
