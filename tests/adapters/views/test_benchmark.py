"""The benchmark of views still runs. What it measures is not asserted: that is for a quiet machine and a person."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_every_figure_is_measured(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    command = [
        sys.executable,
        "benchmarks/views.py",
        "--jobs",
        "200",
        "--repeat",
        "1",
        "--json",
        str(figures),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads(figures.read_text())["figures"]
    measured = [row["what"].partition(":")[0] for row in rows]
    assert (measured.count("rebuild"), measured.count("first page"), measured.count("count")) == (3, 15, 2)
    assert len(measured) == 22
    assert all(row["value"] >= 0 for row in rows)
