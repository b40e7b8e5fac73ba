"""The drawing of the results: the same figures give the same file."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from benchmarks.plot import draw
from benchmarks.report import Figure, Report

pytest.importorskip("matplotlib")

REPORT = Report(
    {},
    [
        Figure(workload="W1", what="fan-out of 10,000 tasks", unit="tasks/s", values=[90_000]),
        Figure(system="huey", workload="W1", what="W1", unit="tasks/s", values=[2_600]),
        *(
            Figure(
                workload="flat", what=f"a task: {x}", unit="µs", values=[9.0], curve="a task of a job", x=x
            )
            for x in (1_000, 10_000)
        ),
    ],
)


def test_a_drawing_shows_systems_and_curves(tmp_path: Path) -> None:
    first, second = tmp_path / "first.svg", tmp_path / "second.svg"
    draw(REPORT, first)
    draw(REPORT, second)
    assert first.read_bytes() == second.read_bytes()
    texts = {
        "".join(one.itertext()).strip() for one in ElementTree.parse(first).iter() if one.tag.endswith("text")
    }
    assert {"jobledger", "90,000", "huey", "2,600", "a task of a job"} <= texts
