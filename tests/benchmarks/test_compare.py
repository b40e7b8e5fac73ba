"""The product beside others: what is compared, and by what ratio."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.compare import CEILING, fastest_peer, ratios
from benchmarks.report import Figure, Report

ROOT = Path(__file__).resolve().parents[2]

FIGURES = [
    Figure(workload="W1", what="fan-out of 10,000 tasks", unit="tasks/s", values=[100_000]),
    Figure(workload="W1", what="fan-out of 100,000 tasks", unit="tasks/s", values=[90_000]),
    Figure(workload="W3", what="one small job, submit to wait(), p50", unit="ms", values=[1.5]),
    Figure(workload="W3", what="one small job, submit to wait(), p99", unit="ms", values=[3]),
    Figure(workload="W6", what="10 events, folded from memory", unit="events/s", values=[1_000_000]),
    Figure(system=CEILING, workload="W1", what="fan-out of 10,000 tasks", unit="tasks/s", values=[400_000]),
    Figure(system="slow", workload="W1", what="W1", unit="tasks/s", values=[500]),
    Figure(system="fast", workload="W1", what="W1", unit="tasks/s", values=[2_000]),
    Figure(system="fast", workload="W3", what="W3", unit="ms", values=[3, 4.5, 9]),
]


def test_a_ratio_says_how_many_times_as_fast_the_product_is() -> None:
    found = [(one.product.workload, one.other.system, one.times) for one in ratios(FIGURES)]
    assert found == [
        ("W1", CEILING, 0.25),
        ("W1", "fast", 50),
        ("W1", "slow", 200),
        ("W3", "fast", 3),
    ]


def test_the_fastest_of_the_others_is_no_bare_engine() -> None:
    fastest = fastest_peer(ratios(FIGURES))
    assert fastest is not None
    assert (fastest.other.system, fastest.times) == ("fast", 50)


def test_what_others_have_not_run_is_not_compared() -> None:
    assert ratios(FIGURES[:5]) == []
    assert ratios(FIGURES[5:]) == []
    assert fastest_peer([]) is None


def test_files_are_compared_on_the_command_line(tmp_path: Path) -> None:
    ours, theirs, both = (tmp_path / name for name in ("ours.json", "theirs.json", "both.json"))
    Report({}, FIGURES[:5]).write(ours)
    Report({}, FIGURES[5:]).write(theirs)
    done = compare(str(ours), str(theirs), "--json", str(both))
    assert done.returncode == 0, done.stderr
    assert "fast" in done.stdout
    assert "50.0 times, target ≥ 40: met" in done.stdout
    assert Report.read(both).figures == FIGURES


def test_the_product_and_the_bare_engine_are_measured_by_turns(tmp_path: Path) -> None:
    figures = tmp_path / "together.json"
    options = ["--without-peers", "--rounds", "1", "--workloads", "W3", "--scale", "0.02"]
    done = compare("--run", *options, "--json", str(figures))
    assert done.returncode == 0, done.stdout + done.stderr
    (ratio,) = ratios(Report.read(figures).figures)
    assert (ratio.product.what, ratio.other.system) == ("one small job, submit to wait(), p50", CEILING)
    assert str(ratio) in done.stdout


def test_a_mistake_is_told_with_what_to_do() -> None:
    assert "give the files that run.py, ceiling.py and peers/run.py wrote" in compare().stderr
    assert "No such file" in compare("missing.json").stderr
    refused = compare("--run", "--workloads", "W9")
    assert "there is no workload 'W9'" in refused.stderr
    assert "not compared: benchmarks/run.py ended with exit code 2" in refused.stderr


def compare(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "benchmarks/compare.py", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
