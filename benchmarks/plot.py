"""Draws docs/performance.svg from measured figures: `python benchmarks/plot.py`, after `pip install -e .[bench]`.

    .venv/bin/python benchmarks/plot.py benchmarks/results/*.json --output docs/performance.svg

Left, how fast a fan-out is here and in other systems, on a logarithmic scale; right, what a task costs as there is more
work. The same figures give the same file.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.compare import CEILING, ratios
from benchmarks.report import PRODUCT, Figure, Report, merged, number

OURS, OTHERS, BARE = "#2563eb", "#94a3b8", "#cbd5e1"
_CURVES = ("#2563eb", "#0891b2", "#7c3aed", "#db2777")
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "jobledger",  # else ids are made up anew each time
    "svg.fonttype": "none",  # text stays text
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",  # of its own: it is to be read on a dark page, too
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
}


def draw(report: Report, output: Path) -> None:
    """Write the drawing. Errors: ImportError without matplotlib."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    with pyplot.rc_context(_STYLE):
        figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
        throughput(left, report)
        cost(right, report)
        figure.savefig(output, metadata={"Date": None, "Creator": None})
        pyplot.close(figure)


def throughput(axes: Any, report: Report) -> None:
    """Bars: W1 of the product, of the bare engine, and of each of the others."""
    found = [ratio for ratio in ratios(report.figures) if ratio.product.workload == "W1"]
    rates = {ratio.other.system: ratio.other.median for ratio in found}
    rates[PRODUCT] = found[0].product.median if found else report.find("W1", "fan-out").median
    names = sorted(rates, key=rates.__getitem__)
    colors = [{PRODUCT: OURS, CEILING: BARE}.get(name, OTHERS) for name in names]
    bars = axes.barh(names, [rates[name] for name in names], color=colors)
    axes.bar_label(bars, [number(rates[name]) for name in names], padding=3)
    axes.set_xscale("log")
    axes.set_xlim(min(rates.values()) / 3, max(rates.values()) * 4)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_title("Fan-out of tasks that do nothing, tasks a second")


def cost(axes: Any, report: Report) -> None:
    """Curves: time of a task by how much work there is."""
    from matplotlib.ticker import EngFormatter

    curves: dict[str, list[Figure]] = defaultdict(list)
    for one in report.figures:
        if one.x is not None:
            curves[one.curve].append(one)
    for color, (name, points) in zip(_CURVES, curves.items(), strict=False):
        points.sort(key=lambda one: one.x or 0)
        axes.plot([one.x for one in points], [one.median for one in points], "o-", color=color, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(EngFormatter())
    axes.set_xlabel("tasks, or live jobs")
    axes.set_title("Time of a task as there is more work, µs")
    if curves:
        axes.legend(frameon=False)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kept = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
    parser.add_argument("files", nargs="*", type=Path, default=kept, metavar="FILE")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "performance.svg")
    arguments = parser.parse_args()
    try:
        draw(merged(Report.read(file) for file in arguments.files), arguments.output)
    except ImportError as error:
        parser.error(f"{error}: pip install -e .[bench]")
    except (OSError, ValueError, KeyError) as error:
        parser.error(f"nothing to draw: {error}")
    print(f"{arguments.output}: written")


if __name__ == "__main__":
    main()
