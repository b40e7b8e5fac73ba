"""Figures: as a line, as JSON, and of several runs together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from benchmarks.report import Figure, Report, at_least, at_most, merged, number

CHAIN = Figure(
    workload="W2",
    what="chain of 500 dependent tasks",
    unit="tasks/s",
    values=[1000.0, 3000.0, 1900.0],
    per="task",
    cpu={"engine": 400.0, "runner": 100.0},
    messages=(3.0, 4.0),
    target=at_least(2_000),
)
CURVE = Figure(workload="flat", what="a task: 10", unit="µs", values=[7.0], curve="a task", x=10, note="so")


def test_a_figure_is_the_median_of_its_runs() -> None:
    assert CHAIN.median == 1900
    assert CHAIN.spread == "1,000 to 3,000"
    assert CHAIN.met is False
    line, processors, messages = str(CHAIN).splitlines()
    assert re.sub(" +", " ", line) == (
        "W2 chain of 500 dependent tasks 1,900 tasks/s 1,000 to 3,000 3 ≥ 2,000 NOT MET"
    )
    assert processors.strip() == "µs of processor time a task: engine 400, runner 100; together 500"
    assert messages.strip() == "messages a task: the server took in 3.00, gave out 4.00"


def test_a_target_may_be_a_least_or_a_most() -> None:
    assert [at_least(2).met(value) for value in (1, 2, 3)] == [False, True, True]
    assert [at_most(2).met(value) for value in (1, 2, 3)] == [True, True, False]
    assert Figure(workload="W8", what="cost", unit="%", values=[1]).met is None


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    report = Report({"python": "3.11"}, [CHAIN, CURVE])
    report.write(file)
    assert Report.read(file) == report


def test_the_json_has_what_other_programs_look_for() -> None:
    told = CHAIN.as_json()
    assert (told["system"], told["workload"], told["unit"]) == ("jobledger", "W2", "tasks/s")
    assert (told["median"], told["min"], told["max"], told["runs"]) == (1900, 1000, 3000, 3)


@pytest.mark.parametrize("text", ["", "[]", '{"about": {}}', '{"about": {}, "figures": [{"unit": "s"}]}'])
def test_a_file_without_figures_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "other.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"other\.json has no figures"):
        Report.read(file)


def test_runs_of_several_reports_become_one_figure() -> None:
    huey = Figure(system="huey", workload="W2", what="W2", unit="tasks/s", values=[800.0])
    theirs = Report({"machine": "theirs", "systems": {"huey": {"durability": "none"}}}, [huey])
    ours = Report({"machine": "ours", "systems": {"other": {}}}, [CHAIN])
    both = merged([theirs, ours, ours])
    assert both.about == {"machine": "ours", "systems": {"other": {}, "huey": {"durability": "none"}}}
    assert [(one.system, len(one.values)) for one in both.figures] == [("jobledger", 6), ("huey", 1)]


def test_a_number_has_as_many_digits_as_a_measurement_is_worth() -> None:
    values = [0, 0.0312, 0.5, 4.902, 41.23, 412.6, 1234.5, 48712.3]
    assert list(map(number, values)) == ["0", "0.031", "0.5", "4.90", "41.2", "413", "1,234", "48,700"]
