"""Other systems on the product's workloads W1 to W4, on this machine. Prints a table, and JSON with --json.

    .venv/bin/python benchmarks/peers/run.py                          # all of them: some minutes
    .venv/bin/python benchmarks/peers/run.py huey taskiq --workloads W1,W3 --repeat 5 --json figures.json

Each is installed on demand, with pinned versions, into an environment of its own; servers are real, and started for
each system anew. README.md beside this says how each is set up, and why so.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

sys.path[0] = str(
    Path(__file__).resolve().parents[2]
)  # not this folder: those in it are named as packages are

from benchmarks.about import about
from benchmarks.peers.environments import Unavailable, default_folder, pins
from benchmarks.peers.measuring import measure
from benchmarks.peers.systems import SIZES, SYSTEMS, chosen
from benchmarks.report import Figure, Report

BRIEF = 0.05


def main() -> None:
    arguments = parsed()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is to end, too
    made_with = {
        key: told for key, told in about().items() if key in ("python", "machine", "sync", "load before")
    }
    systems: dict[str, dict[str, str]] = {}
    not_measured: dict[str, str] = {}
    report = Report({**made_with, "scale": arguments.scale, "systems": systems, "not measured": not_measured})
    print("\n".join(f"{key}: {told}" for key, told in made_with.items()))
    for system in arguments.systems:
        sizes = {
            workload: max(2, round(size * arguments.scale))
            for workload, size in {**SIZES, **system.sizes}.items()
            if workload in arguments.workloads
        }
        packages = [f"{package} {version}" for package, version in pins(system.folder).items()]
        try:
            for told in measure(system, sizes, arguments.repeat, arguments.envs):
                if "server" in told:
                    systems[system.name] = {
                        "versions": ", ".join([*packages, *filter(None, [told["server"]])]),
                        "durability": system.durability,
                        "settings": system.settings,
                    }
                    print(f"\n{system.name} ({systems[system.name]['versions']})")
                    print(f"    durable: {system.durability}\n    {system.settings}", flush=True)
                else:
                    report.add([Figure(system=system.name, **told)])
        except Unavailable as error:
            not_measured[system.name] = str(error)
            print(f"\n{system.name}: NOT MEASURED: {error}", flush=True)
        if arguments.json:
            report.write(arguments.json)
    if len(not_measured) == len(arguments.systems):
        sys.exit(1)


def parsed() -> argparse.Namespace:
    listing = "\n".join(f"  {system.name}" for system in SYSTEMS)
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\nsystems:\n{listing}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "systems", nargs="*", metavar="SYSTEM", help="the beginning of names; all if none is given"
    )
    parser.add_argument("--workloads", default=",".join(SIZES), help="some of them, with commas between")
    parser.add_argument("--repeat", type=int, help="runs of each figure (3)")
    parser.add_argument("--scale", type=float, help="times the size of the workloads (1)")
    parser.add_argument(
        "--brief", action="store_true", help=f"one run at a scale of {BRIEF}: do they still run?"
    )
    parser.add_argument("--envs", type=Path, metavar="DIR", default=default_folder(), help="(%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    arguments = parser.parse_args()
    arguments.repeat = arguments.repeat or (1 if arguments.brief else 3)
    arguments.scale = arguments.scale or (BRIEF if arguments.brief else 1.0)
    arguments.workloads = arguments.workloads.split(",")
    if arguments.repeat < 1 or arguments.scale <= 0:
        parser.error("--repeat is 1 or more, and --scale above 0")
    if unknown := set(arguments.workloads) - set(SIZES):
        parser.error(f"--workloads {','.join(sorted(unknown))}: there are {', '.join(SIZES)}")
    try:
        arguments.systems = chosen(arguments.systems)
    except ValueError as error:
        parser.error(str(error))
    return arguments


if __name__ == "__main__":
    main()
