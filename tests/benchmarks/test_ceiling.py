"""The bare engine that is the ceiling for the product: it still runs, and runs every task once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "benchmarks/ceiling.py", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_every_workload_runs_and_the_log_has_every_task_once(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    done = run("--brief", "--repeat", "2", "--json", str(figures))
    assert done.returncode == 0, done.stderr
    told = json.loads(figures.read_text())
    assert [(row["workload"], row["what"], row["unit"]) for row in told["figures"]] == [
        ("W1", "fan-out of 200 tasks", "tasks/s"),
        ("W1", "fan-out of 2,000 tasks", "tasks/s"),
        ("W2", "chain of 10 dependent tasks", "tasks/s"),
        ("W3", "one small job, submit to done, p50", "ms"),
        ("W3", "one small job, submit to done, p99", "ms"),
    ]
    assert all(row["system"] == "bare exchange engine" and len(row["values"]) == 2 for row in told["figures"])
    assert "sync_interval: always" in told["about"]["systems"]["bare exchange engine"]["durability"]
    assert set(told["figures"][0]["cpu"]) == {"nats-server", "engine", "runner"}


def test_an_unknown_workload_is_refused_with_those_there_are() -> None:
    done = run("W7")
    assert done.returncode == 2
    assert "there is no workload W7 here: there are W1, W2, W3" in done.stderr
