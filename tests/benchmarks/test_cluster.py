"""The program that measures several engines still runs: on one node, which needs no election, and with one engine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_kind_of_work_is_measured(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    options = ["--nodes", "1", "--engines", "1", "--partitions", "2", "--runners", "1", "--jobs", "1"]
    command = [sys.executable, "benchmarks/cluster.py", *options, "--repeat", "1", "--json", str(figures)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(figures.read_text())
    assert "1 replicas on 1 nodes" in told["about"]["durability"]
    assert [figure["workload"] for figure in told["figures"]] == ["wide", "deep", "small"]
    for figure in told["figures"]:
        assert figure["median"] > 0
        assert figure["cpu"].keys() == {"nats-server", "engine", "runner", "client"}


def test_more_engines_than_partitions_are_no_measurement() -> None:
    command = [sys.executable, "benchmarks/cluster.py", "--engines", "3", "--partitions", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "--engines 3: no more than --partitions (2)" in done.stderr
