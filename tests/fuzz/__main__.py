"""Try more bytes than the tests do, and new ones: `python tests/fuzz --minutes 10`.

It runs the tests of this folder again and again, each round with examples nobody has tried before, until the time is over
or something is found. What is found is shown as every failing test is, with the bytes or the seed that did it: put those
into a test before mending anything.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
VARIABLE = "JOBLEDGER_FUZZ"  # as `budget` has it
#: how many times the examples of a run of the tests one round takes: about two minutes
ROUND = 10


def main() -> int:
    parser = argparse.ArgumentParser(prog="python tests/fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="after which no round begins (10)")
    parser.add_argument("tests", nargs="*", help="only these, as pytest is told (-k and the like after --)")
    options = parser.parse_args()
    until = time.monotonic() + 60 * options.minutes
    rounds = 0
    more = os.environ | {VARIABLE: str(ROUND)}
    while time.monotonic() < until:
        rounds += 1
        command = [sys.executable, "-m", "pytest", str(HERE), "-q", "-x", "--timeout=0", *options.tests]
        ended = subprocess.run(command, check=False, cwd=HERE.parent.parent, env=more)
        if ended.returncode:
            return ended.returncode
    print(f"{rounds} rounds of {ROUND} times the usual examples: nothing was found")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
