"""Writes the measured tables of docs/performance.md: run `python benchmarks/document.py` after measuring.

The figures are those of benchmarks/results/*.json, which run.py, ceiling.py and peers/run.py wrote; a test fails while
the page says something else. What stands between the marks of the page is made here, everything else by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.compare import CEILING, FASTER, fastest_peer, ratios, told
from benchmarks.report import PRODUCT, Figure, Report, merged, number

PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "benchmarks" / "results"
_BLOCK = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def results(folder: Path = RESULTS) -> Report:
    """Return everything that was measured and kept. Errors: ValueError for a file without figures."""
    return merged(Report.read(file) for file in sorted(folder.glob("*.json")))


def with_figures(page: str, report: Report) -> str:
    """Return the page with what is between its marks made anew. Errors: KeyError for an unknown mark."""
    return _BLOCK.sub(lambda found: found[1] + _BLOCKS[found[2]](report) + found[3], page)


def machine(report: Report) -> str:
    """What was measured with."""
    about = {key: value for key, value in report.about.items() if isinstance(value, str)}
    return _table(("", ""), about.items())


def targets(report: Report) -> str:
    """Every figure that has a target."""
    rows = [
        (one.workload, one.what, _measured(one), one.spread, str(len(one.values)),
         f"{one.target} {one.unit}".strip(), "met" if one.met else "not met")
        for one in report.figures
        if one.target is not None
    ]  # fmt: skip
    fastest = fastest_peer(ratios(report.figures))
    if fastest is not None:
        what = f"times as fast as {fastest.other.system}, the fastest of the other systems"
        met = "met" if FASTER.met(fastest.times) else "not met"
        rows.append(("W1", what, number(fastest.times), "", "", str(FASTER), met))
    return _table(("", "workload", "median", "spread", "runs", "target", ""), rows)


def others(report: Report) -> str:
    """The other figures of the product that are no point of a curve."""
    return _table(
        ("", "", "median", "spread", "runs"),
        (
            (one.workload, one.what, _measured(one), one.spread, str(len(one.values)))
            for one in report.figures
            if one.system == PRODUCT and one.target is None and one.x is None
        ),
    )


def processors(report: Report) -> str:
    """Where the processor time goes."""
    figures = [one for one in report.figures if one.system == PRODUCT and one.cpu and one.x is None]
    purposes = list(dict.fromkeys(purpose for one in figures for purpose in one.cpu))
    return _table(
        ("µs of processor time", "for each", *purposes, "together", "messages in", "out"),
        (
            (
                f"{one.workload} {one.what}",
                one.per,
                *(number(one.cpu.get(purpose, 0.0)) for purpose in purposes),
                number(sum(one.cpu.values())),
                *(("", "") if one.messages is None else map(number, one.messages)),
            )
            for one in figures
        ),
    )


def curves(report: Report) -> str:
    """What a task costs as there is more work."""
    points = [one for one in report.figures if one.system == PRODUCT and one.x is not None]
    curves = dict.fromkeys(one.curve for one in points)
    return _table(
        ("", "", "a task, median", "spread", "runs", "processor time of all"),
        (
            (
                one.curve,
                f"{one.x:,.0f}",
                _measured(one),
                one.spread,
                str(len(one.values)),
                f"{number(sum(one.cpu.values()))} µs",
            )
            for curve in curves
            for one in points
            if one.curve == curve
        ),
    )


def peers(report: Report) -> str:
    """The product beside other systems and the bare engine."""
    found = ratios(report.figures)
    if not found:
        return "Not measured yet.\n"
    table = _table(
        ("", "system", "", "median", "spread", PRODUCT, "times as fast"),
        (
            (
                one.product.workload,
                one.other.system if one.other.system != CEILING else f"*{CEILING}*",
                one.other.what,
                _measured(one.other),
                one.other.spread,
                number(one.product.median),
                number(one.times),
            )
            for one in found
        ),
    )
    fastest = fastest_peer(found)
    return table + ("" if fastest is None else f"\nW1: {told(fastest.times, FASTER)}.\n")


def durability(report: Report) -> str:
    """What each of the other systems has on disk when."""
    systems: dict[str, dict[str, str]] = report.about.get("systems", {})
    if not systems:
        return "Not measured yet.\n"
    rows = (
        (name, one.get("versions", ""), one["durability"], one["settings"]) for name, one in systems.items()
    )
    return _table(("system", "versions", "what is durable", "settings"), rows)


_BLOCKS: dict[str, Callable[[Report], str]] = {
    block.__name__: block for block in (machine, targets, others, processors, curves, peers, durability)
}


def _measured(one: Figure) -> str:
    return f"{number(one.median)} {one.unit}".strip()


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = ["| " + " | ".join(line) + " |\n" for line in (head, *rows)]
    return lines[0] + "|---" * len(list(head)) + "|\n" + "".join(lines[1:])


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_figures(page, results()), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: written")
