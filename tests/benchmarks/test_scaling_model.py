"""What the tables of docs/scaling.md are worked out with."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.report import Figure, Report
from benchmarks.scaling_model import MEASURED, Site, Work, limits, measured, plan, tables

ROOT = Path(__file__).resolve().parents[2]
WORK = Work(name="w", unit="task", rate=1000, commits=1, server=100, engine=100, runner=50, projector=10)
SITE = Site(log=10_000, read=0, load=0.5)


def test_a_log_takes_as_many_units_as_it_takes_commits_for_them() -> None:
    assert limits(WORK, SITE)["the log"] == 10_000
    assert limits(replace(WORK, commits=2), SITE)["the log"] == 5_000


def test_what_fits_one_engine_needs_one() -> None:
    one = plan(WORK, 1, SITE)
    assert (one.rate, one.namespaces, one.engines) == (1000, 1, 1)
    assert (one.runners, one.servers) == (0.1, 0.2)
    assert one.bound == "one engine: 5,000/s, not reached"


def test_more_than_an_engine_can_do_is_done_by_several_and_more_than_a_log_takes_by_several_namespaces() -> (
    None
):
    ten = plan(WORK, 10, SITE)
    assert (ten.namespaces, ten.engines) == (1, 2)
    assert ten.bound == "one engine: 5,000/s"
    hundred = plan(WORK, 100, SITE)
    assert (hundred.namespaces, hundred.engines) == (10, 20)


def test_a_slow_disk_bounds_the_log_before_anything_else() -> None:
    slow = plan(WORK, 1, replace(SITE, log=100))
    assert slow.bound == "the log: 100/s"
    assert slow.namespaces == 10


def test_an_engine_is_missed_for_longer_where_more_is_to_be_read() -> None:
    reading = replace(SITE, read=30)
    assert plan(WORK, 1, reading).missed == pytest.approx(2.25 + 0.15)
    assert plan(WORK, 10, reading).missed == pytest.approx(2.25 + 1.5)
    assert plan(WORK, 100, reading).missed == pytest.approx(2.25 + 1.5)  # that is what one log takes


def test_costs_are_taken_from_figures(tmp_path: Path) -> None:
    cpu = {"nats-server": 1.0, "engine": 2.0, "runner": 3.0, "client": 4.0}
    figures = [
        Figure(workload="wide", what=what, unit="tasks/s", values=[rate], per="task", cpu=cpu)
        for what, rate in (("1 engine", 5.0), ("2 engines", 7.0))
    ]
    path = tmp_path / "figures.json"
    Report({}, figures).write(path)
    wide, *others = measured(path, MEASURED)
    assert (wide.rate, wide.server, wide.engine, wide.runner) == (5.0, 1.0, 2.0, 3.0)
    assert others == MEASURED[1:]
    Report({}, []).write(path)
    with pytest.raises(ValueError, match="has no figures of wide, deep, small"):
        measured(path, MEASURED)


def test_the_tables_of_the_page_are_those_of_the_program() -> None:
    page = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    assert all(line in page for line in tables(MEASURED, Site()))


def test_the_program_prints_a_table_for_each_kind_of_work() -> None:
    lines = list(tables(MEASURED, Site()))
    assert sum(line.startswith("| 1000 |") for line in lines) == len(MEASURED)
    command = [sys.executable, "benchmarks/scaling_model.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == lines
    done = subprocess.run(
        [*command, "--load", "2"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "--load more than 0 and at most 1" in done.stderr
