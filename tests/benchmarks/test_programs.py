"""The programs for single parts still run. What they measure is not asserted: that is for a quiet machine and a person."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_figure_of_audits_is_taken(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    options = ["--events", "2000", "--shapes", "mixed", "--json", str(figures)]
    command = [sys.executable, "benchmarks/audit.py", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads(figures.read_text())["figures"]
    assert len(rows) == 7
    assert {row["events"] for row in rows} == {1980}
    assert all(row["what"] in done.stdout for row in rows)


def test_every_figure_of_a_replay_is_taken(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    options = ["--tasks", "500", "--commits", "20", "--json", str(figures)]
    command = [sys.executable, "benchmarks/replay.py", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads(figures.read_text())["figures"]
    assert len(rows) == 4
    assert all(row["what"] in done.stdout and row["worst"] >= row["median"] > 0 for row in rows)
