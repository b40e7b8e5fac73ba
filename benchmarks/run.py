"""What the whole product does on this machine, with everything switched on. Prints a table, and JSON with --json.

    .venv/bin/python benchmarks/run.py                          # all workloads
    .venv/bin/python benchmarks/run.py W1 W2 --repeat 9 --json figures.json
    .venv/bin/python benchmarks/run.py --all --brief            # do they still run? In seconds, and without any meaning

Everything is real and durable: the embedded server (fsync before every acknowledgement) with its engine and projector,
runners in processes of their own. Each figure is the median of its runs, with the least and the greatest; each workload
checks that all of its tasks were computed. Beside the figures stands the processor time that each kind of process took:
it tells more than the clock where the machine does other things as well.
"""

from __future__ import annotations

import argparse
import signal
import sys
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.about import about
from benchmarks.bench import Bench
from benchmarks.report import Report
from benchmarks.workloads import WORKLOADS, chosen

BRIEF = 0.002


def main() -> None:
    arguments = parsed()
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit("terminated")
    )  # nothing that was started is left behind
    bench = Bench(repeat=arguments.repeat, scale=arguments.scale, shared=arguments.brief)
    report = Report({**about(), "scale": arguments.scale})
    print("\n".join(f"{key}: {value}" for key, value in report.about.items()))
    failed = []
    try:
        for workload in arguments.workloads:
            purpose = (WORKLOADS[workload].__doc__ or "").splitlines()[0]
            print(f"\n{workload}: {purpose}", flush=True)
            try:
                report.add(bench.measure(WORKLOADS[workload]))
            except Exception:  # noqa: BLE001  an hour of measuring is not to be lost by the last of them
                traceback.print_exc()
                failed.append(workload)
    finally:
        bench.close()
        if arguments.json:
            report.write(arguments.json)
    if failed:
        sys.exit(f"not measured: {', '.join(failed)}")


def parsed() -> argparse.Namespace:
    listing = "\n".join(
        f"  {name:<6}{(one.__doc__ or '').splitlines()[0]}" for name, one in WORKLOADS.items()
    )
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\nworkloads:\n{listing}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help="W1, or a name such as fan_out")
    parser.add_argument("--all", action="store_true", help="every workload; so it is without any named, too")
    parser.add_argument("--repeat", type=int, help="runs of each figure (5)")
    parser.add_argument("--scale", type=float, help="times the size of the workloads (1)")
    parser.add_argument(
        "--brief", action="store_true", help=f"one run at a scale of {BRIEF}, all on one server"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    arguments = parser.parse_args()
    if arguments.repeat is None:
        arguments.repeat = 1 if arguments.brief else 5
    if arguments.scale is None:
        arguments.scale = BRIEF if arguments.brief else 1.0
    if arguments.repeat < 1 or arguments.scale <= 0:
        parser.error("--repeat is to be 1 or more, and --scale above 0")
    try:
        arguments.workloads = chosen([] if arguments.all else arguments.workloads)
    except ValueError as error:
        parser.error(str(error))
    return arguments


if __name__ == "__main__":
    main()
