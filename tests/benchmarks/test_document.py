"""docs/performance.md says what was measured, and nothing else."""

from __future__ import annotations

import re

import pytest
from benchmarks.document import PAGE, RESULTS, results, with_figures
from benchmarks.report import Figure, Report, at_least

FIGURES = [
    Figure(
        workload="W2",
        what="chain",
        unit="tasks/s",
        values=[1500.0, 2500.0, 2100.0],
        per="task",
        cpu={"engine": 300.0, "runner": 200.0},
        messages=(3.0, 4.0),
        target=at_least(2_000),
    ),
    Figure(workload="W5", what="left for tasks", unit="%", values=[80.0]),
    Figure(
        workload="flat", what="a task: 10", unit="µs", values=[9.0], cpu={"engine": 5.0}, curve="a task", x=10
    ),
]


def test_the_page_says_what_was_measured() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_figures(page, results()) == page, "run `python benchmarks/document.py`"


def test_the_page_shows_every_kind_of_table() -> None:
    blocks = re.findall(r"<!-- measured: (\w+) -->", PAGE.read_text(encoding="utf-8"))
    assert sorted(blocks) == ["curves", "durability", "machine", "others", "peers", "processors", "targets"]


def test_the_results_are_of_full_workloads() -> None:
    assert all(Report.read(file).about["scale"] == 1 for file in RESULTS.glob("*.json"))


@pytest.mark.parametrize(
    ("block", "line"),
    [
        ("machine", "| python | 3.11 |"),
        ("targets", "| W2 | chain | 2,100 tasks/s | 1,500 to 2,500 | 3 | ≥ 2,000 tasks/s | met |"),
        ("others", "| W5 | left for tasks | 80.0 % | 80.0 to 80.0 | 1 |"),
        ("processors", "| W2 chain | task | 300 | 200 | 500 | 3.00 | 4.00 |"),
        ("curves", "| a task | 10 | 9.00 µs | 9.00 to 9.00 | 1 | 5.00 µs |"),
        ("peers", "Not measured yet."),
        ("durability", "Not measured yet."),
    ],
)
def test_a_block_is_made_of_figures(block: str, line: str) -> None:
    page = f"by hand\n<!-- measured: {block} -->\nold\n<!-- end -->\nby hand\n"
    lines = with_figures(page, Report({"python": "3.11"}, FIGURES)).splitlines()
    assert lines[:2] == ["by hand", f"<!-- measured: {block} -->"]
    assert lines[-3:] == [line, "<!-- end -->", "by hand"]


def test_other_systems_stand_beside_the_product() -> None:
    fan_out = Figure(workload="W1", what="fan-out of 9 tasks", unit="tasks/s", values=[90_000])
    huey = Figure(system="huey", workload="W1", what="fan-out of 2 tasks", unit="tasks/s", values=[3_000])
    about = {"systems": {"huey": {"versions": "huey 3", "durability": "fsync", "settings": "4 workers"}}}
    page = with_figures(
        "<!-- measured: peers -->\n<!-- end -->\n<!-- measured: durability -->\n<!-- end -->\n",
        Report(about, [fan_out, huey]),
    )
    assert "| W1 | huey | fan-out of 2 tasks | 3,000 tasks/s | 3,000 to 3,000 | 90,000 | 30.0 |" in page
    assert "W1: 30.0 times, target ≥ 40: NOT MET." in page
    assert "| huey | huey 3 | fsync | 4 workers |" in page
