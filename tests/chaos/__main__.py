"""`python tests/chaos --minutes 10`: jobs run while everything that runs them is killed, suspended and cut off.

`python tests/chaos claims --count 1000000`: runners compete for very many tasks, while some of them are killed, or suspended for
so long that others get what they hold.
Exit code 0 if nothing was lost, nothing was computed twice, no attempt had two owners, and all settled in time.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # `chaos` and `support` are packages there

from chaos.faults import WEIGHTS
from chaos.run import Options, competing, run
from chaos.summary import table
from jobledger.adapters.engine.options import DEFAULT_LEASE


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python tests/chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=["everything", "claims"], default="everything")
    parser.add_argument("--minutes", type=float, default=10.0, help="of faults (default: 10)")
    parser.add_argument("--count", type=int, default=1_000_000, help="of claims (default: 1000000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=float, help="seconds between two faults (default: 0.2; claims: 2)")
    parser.add_argument("--tasks", type=int, default=20_000, help="to be submitted (default: 20000)")
    parser.add_argument(
        "--outstanding", type=int, default=5_000, help="tasks submitted beyond those begun, at most"
    )
    parser.add_argument("--lease", type=float, help="seconds (default: 15; claims: 2)")
    parser.add_argument("--engines", type=int, default=2)
    parser.add_argument("--runners", type=int, help="default: 4; claims: 8")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--concurrency", type=int, default=8, help="of each runner")
    parser.add_argument("--embedded", action="store_true", help="the server of a data folder instead")
    parser.add_argument("--no-relays", action="store_true", help="nothing goes wrong with the network")
    parser.add_argument(
        "--only", help="kinds of faults, separated by commas, of: " + ", ".join(WEIGHTS), metavar="FAULTS"
    )
    parser.add_argument("--keep", type=Path, help="an empty folder in which everything is left")
    given = parser.parse_args()
    options = claims(given) if given.what == "claims" else everything(given)
    outcome = run(options)
    print(table(outcome))
    return 1 if outcome.findings else 0


def everything(given: argparse.Namespace) -> Options:
    weights = {fault: WEIGHTS[fault] for fault in given.only.split(",")} if given.only else dict(WEIGHTS)
    return Options(
        seconds=given.minutes * 60,
        seed=given.seed,
        every=given.every or 0.2,
        tasks=given.tasks,
        outstanding=given.outstanding,
        lease=DEFAULT_LEASE if given.embedded else given.lease or DEFAULT_LEASE,
        engines=given.engines,
        runners=given.runners or 4,
        partitions=given.partitions,
        concurrency=given.concurrency,
        relays=not given.no_relays,
        embedded=given.embedded,
        weights=weights,
        keep=given.keep,
    )


def claims(given: argparse.Namespace) -> Options:
    return competing(
        given.count,
        seed=given.seed,
        every=given.every or 2.0,
        lease=given.lease or 2.0,
        runners=given.runners or 8,
        partitions=given.partitions,
        engines=given.engines,
        keep=given.keep,
    )


if __name__ == "__main__":
    sys.exit(main())
