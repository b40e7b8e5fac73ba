"""Run the simulation: `python tests/simulation --seeds 100000 --jobs 2`; one seed, with all that happens: `--seed 4711 -v`."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

_TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(_TESTS), str(_TESTS.parent / "src")]

from simulation.bugs import BUGS
from simulation.faults import PROFILES
from simulation.outcome import Outcome, command
from simulation.running import run_seed

_CHUNK = 25  # seeds that a process takes at a time
_MOST = 10  # failing seeds that are told of


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python tests/simulation",
        description="Engines, runners, clients and projectors in one thread, on a clock and a network that are made up: "
        "what happens follows from the seed alone.",
    )
    parser.add_argument(
        "--seeds", type=int, default=2000, metavar="N", help="how many seeds to run (%(default)s)"
    )
    parser.add_argument("--first", type=int, default=0, metavar="N", help="the first of them (%(default)s)")
    parser.add_argument("--seed", type=int, metavar="N", help="only this one")
    parser.add_argument(
        "--profile", choices=sorted(PROFILES), default="", help="what goes wrong; by default they take turns"
    )
    parser.add_argument(
        "--bug", choices=sorted(BUGS), default="", metavar="NAME", help="plant this bug (see --bugs)"
    )
    parser.add_argument("--bugs", action="store_true", help="list the bugs that can be planted, and end")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (%(default)s)"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="print all that happens")
    arguments = parser.parse_args(given)
    if arguments.seeds < 1 or arguments.jobs < 1:
        parser.error(f"--seeds={arguments.seeds} and --jobs={arguments.jobs} are 1 or more")
    return arguments


def main(given: Sequence[str] | None = None) -> int:
    """Return 0 if all was well, 1 if something was not."""
    arguments = _arguments(given)
    if arguments.bugs:
        for name, bug in BUGS.items():
            print(f"{bug.profile:12} {name}")
        return 0
    began = time.monotonic()
    ran = failed = commits = acknowledged = 0
    virtual = 0.0
    for outcome in _outcomes(arguments):
        ran += 1
        commits += outcome.commits
        acknowledged += outcome.acknowledged
        virtual += outcome.seconds
        if outcome.problem:
            failed += 1
            _tell(outcome, arguments)
            if failed >= _MOST:
                print(f"{_MOST} seeds have failed: no more are run")
                break
    print(
        f"{ran} seeds, {failed} failed: {commits:,} commits, {acknowledged:,} answers held against the log, "
        f"{virtual:,.0f} virtual seconds in {time.monotonic() - began:,.1f} real ones"
    )
    return 1 if failed else 0


def _outcomes(arguments: argparse.Namespace) -> Iterator[Outcome]:
    if arguments.seed is not None:
        yield run_seed(arguments.seed, arguments.profile, arguments.bug, verbose=arguments.verbose)
        return
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    if arguments.jobs == 1 or arguments.verbose:
        for seed in seeds:
            yield run_seed(seed, arguments.profile, arguments.bug, verbose=arguments.verbose)
        return
    work = [(seed, arguments.profile, arguments.bug) for seed in seeds]
    with multiprocessing.get_context("fork").Pool(arguments.jobs) as pool:
        yield from pool.imap_unordered(_one, work, chunksize=_CHUNK)


def _one(work: tuple[int, str, str]) -> Outcome:
    return run_seed(*work)


def _tell(outcome: Outcome, arguments: argparse.Namespace) -> None:
    print(f"seed {outcome.seed} ({outcome.profile}): {outcome.problem}")
    if not arguments.verbose:
        for line in outcome.last:
            print(f"    {line}")
    print(f"  repeat it: {command(outcome.seed, arguments.profile, arguments.bug)}\n", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
