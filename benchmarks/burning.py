"""Work for the processor: what a task does that is not empty, and plain processes that do the same without the product.

`python -m benchmarks.burning ROUNDS FIRST LAST STEP` waits for a line, does the work of the tasks of that range, and prints
the seconds of processor time it took. It loads nothing but this.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def burn(seed: int, rounds: int) -> int:
    """Return a number that takes so many rounds to work out; equal arguments give equal numbers."""
    number = seed
    for _ in range(rounds):
        number = (number * 1_103_515_245 + 12_345) & 0x7FFFFFFF
    return number


def rounds_of(seconds: float) -> int:
    """Return how many rounds take the processor so long here."""
    trial, best = 20_000, float("inf")
    for _ in range(20):
        began = time.thread_time()
        burn(1, trial)
        best = min(best, time.thread_time() - began)
    return max(1, round(trial * seconds / best))


@dataclass(frozen=True)
class Burned:
    """What plain processes did."""

    rate: float  #: tasks a second
    processor: float  #: seconds of processor time of all of them together


def burned(tasks: int, rounds: int, processes: int) -> Burned:
    """Have plain processes do the work of so many tasks, each its part of it, all at once."""
    program = [sys.executable, "-m", "benchmarks.burning", str(rounds)]
    running = [
        subprocess.Popen(
            [*program, str(first), str(tasks), str(processes)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for first in range(processes)
    ]
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()  # it has loaded everything
    began = time.perf_counter()
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    used = [process.communicate()[0] for process in running]
    seconds = time.perf_counter() - began
    return Burned(tasks / seconds, sum(map(float, used)))


def main() -> None:
    rounds, *seeds = map(int, sys.argv[1:])
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.process_time()
    for seed in range(*seeds):
        burn(seed, rounds)
    print(time.process_time() - began)


if __name__ == "__main__":
    main()
