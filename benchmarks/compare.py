"""The product beside other systems and beside a bare exchange engine, on the same workloads. Prints ratios.

    .venv/bin/python benchmarks/compare.py product.json peers.json ceiling.json
    .venv/bin/python benchmarks/compare.py --run --rounds 5 --json together.json      # measures first, by turns

With --run each round measures the product, the bare engine and every other system once, so that what else the machine
does befalls all of them. A ratio says how many times as fast the product is.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.report import PRODUCT, Figure, Report, Target, at_least, merged, number

#: By workload, the figure of the product that others have, too: how it begins and ends.
COMPARED = {
    "W1": ("fan-out of", "tasks"),
    "W2": ("chain of", "tasks"),
    "W3": ("one small job", "p50"),
    "W4": ("a loop of submit()", "waited for"),
}
#: times the fastest of the other systems that W1 is to be
FASTER = at_least(40)
CEILING = "bare exchange engine"


@dataclass(frozen=True)
class Ratio:
    """The product beside one other system on one workload."""

    product: Figure
    other: Figure

    @property
    def times(self) -> float:
        """How many times as fast the product is."""
        ours, theirs = self.product.median, self.other.median
        return ours / theirs if self.product.unit.endswith("/s") else theirs / ours

    def __str__(self) -> str:
        return (
            f"{self.product.workload:<6}{self.other.system:<42}{number(self.other.median):>11} {self.other.unit:<9}"
            f"{PRODUCT} {number(self.product.median)}, {number(self.times)} times as fast"
        )


def ratios(figures: Iterable[Figure]) -> list[Ratio]:
    """Return what can be compared, by workload, the fastest of the others first."""
    known = list(figures)
    found = []
    for workload, (begin, end) in COMPARED.items():
        of_it = [figure for figure in known if figure.workload == workload]
        own = [one for one in of_it if one.system == PRODUCT]
        ours = next((one for one in own if one.what.startswith(begin) and one.what.endswith(end)), None)
        if ours is None:
            continue
        others: dict[str, Figure] = {}  # the first figure of a system is that of the workload
        for one in of_it:
            if one.system != PRODUCT and one.unit == ours.unit:
                others.setdefault(one.system, one)
        found += sorted((Ratio(ours, other) for other in others.values()), key=lambda ratio: ratio.times)
    return found


def fastest_peer(found: Iterable[Ratio]) -> Ratio | None:
    """Return the comparison of W1 with the fastest of the other systems; None without any."""
    peers = [one for one in found if one.product.workload == "W1" and one.other.system != CEILING]
    return min(peers, key=lambda ratio: ratio.times, default=None)


def measured(rounds: int, workloads: list[str], scale: float, *, peers: bool) -> Report:
    """Measure all by turns, the other systems if `peers` are wanted. Errors: CalledProcessError."""
    programs = {"run.py": workloads}
    if without_clients := [workload for workload in workloads if workload != "W4"]:
        programs["ceiling.py"] = without_clients  # W4 is about clients, which it has not
    if peers:
        programs["peers/run.py"] = ["--workloads", ",".join(workloads)]
    size = ["--repeat", "1", "--scale", f"{scale:g}"]
    reports = []
    with tempfile.TemporaryDirectory(prefix="jobledger-bench-") as folder:
        for turn in range(rounds):
            for name, options in programs.items():
                file = Path(folder) / f"{turn}-{name.replace('/', '-')}.json"
                print(f"\n# {name}, round {turn + 1} of {rounds}", flush=True)
                command = [sys.executable, f"benchmarks/{name}", *options, *size, "--json", str(file)]
                subprocess.run(command, cwd=ROOT, check=True)
                reports.append(Report.read(file))
    return merged(reports)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="what the programs wrote")
    parser.add_argument("--run", action="store_true", help="measure now")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (%(default)s)")
    parser.add_argument("--workloads", default=",".join(COMPARED), help="with commas between (%(default)s)")
    parser.add_argument("--scale", type=float, default=1.0, help="times the size of the workloads (1)")
    parser.add_argument(
        "--without-peers", action="store_true", help="only beside the bare engine: nothing is installed"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    arguments = parser.parse_args()
    if arguments.run == bool(arguments.files):
        parser.error("give the files that run.py, ceiling.py and peers/run.py wrote, or --run")
    try:
        if arguments.run:
            workloads = arguments.workloads.split(",")
            report = measured(arguments.rounds, workloads, arguments.scale, peers=not arguments.without_peers)
        else:
            report = merged([Report.read(file) for file in arguments.files])
    except (OSError, ValueError) as error:
        parser.error(str(error))
    except subprocess.CalledProcessError as error:
        sys.exit(f"not compared: {error.cmd[1]} ended with exit code {error.returncode}, and has said why")
    if arguments.json:
        report.write(arguments.json)
    found = ratios(report.figures)
    print("\n" + "\n".join(map(str, found)))
    if (fastest := fastest_peer(found)) is not None:
        print(f"W1 beside the fastest of the others: {told(fastest.times, FASTER)}")


def told(times: float, target: Target) -> str:
    return f"{number(times)} times, target {target}: {'met' if target.met(times) else 'NOT MET'}"


if __name__ == "__main__":
    main()
