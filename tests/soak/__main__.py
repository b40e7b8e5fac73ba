"""`python tests/soak --minutes 15 --rate 1000`: a steady load, and whether anything grows that should not.

A server, an engine, a projector, two runners and a client run as processes of their own, and further ones come and are killed.
After a warm-up, what each of them holds is sampled. Exit code 1 if one of these figures has a trend (see `trend.py`).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # `soak` and `support` are packages there

from soak.run import Options, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python tests/soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0, help="with the warm-up (default: 15)")
    parser.add_argument("--warm-up", type=float, help="minutes before anything counts (default: a fifth)")
    parser.add_argument("--rate", type=float, default=1000.0, help="tasks a second (default: 1000)")
    given = parser.parse_args()
    seconds = given.minutes * 60
    warm_up = seconds / 5 if given.warm_up is None else given.warm_up * 60
    options = Options(
        seconds=seconds - warm_up,
        warm_up=warm_up,
        rate=given.rate,
        every=max(1.0, seconds / 300),
        kill_every=15.0,
    )
    with tempfile.TemporaryDirectory() as folder:
        result = run(options, Path(folder), tell=True)
    load = ", ".join(f"{minute:.1f}" for minute in os.getloadavg())
    print(
        f"\n{result.tasks:,} tasks in {result.seconds:,.0f} s: {result.tasks / result.seconds:,.0f} a second; {result.jobs:,} "
        f"jobs; {result.killed} processes killed; load of the machine {load} with {os.cpu_count()} processors\n"
    )
    print(result.table())
    for leak in result.leaks:
        print(f"\nleak: {leak}")
    return 1 if result.leaks else 0


if __name__ == "__main__":
    sys.exit(main())
