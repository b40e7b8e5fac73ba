"""Power failures by the dozen: in each round a server works, and is looked at as failures at many moments would leave it.

The rounds of a series follow each other on what the last of these failures left, so that what was acknowledged has to
survive all of them. `python tests/power --rounds 50` runs it; with `--cluster`, three servers that hold a log together lose power at once.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from . import appends, jobs, journal
from .cluster import lost_by_cluster
from .cuts import Cut, cuts, found_after, unexplained
from .disk import FileSystem, Survivors, Tree, put
from .server import Server, why_not

_SERIES = 5  # rounds on one disk
_COMMITS, _LARGEST, _JOBS = 300, 60_000, 3  # of one round
WAYS = [
    (file_system, survivors)
    for file_system in (FileSystem.JOURNALED, FileSystem.OWN_PATH)
    for survivors in (Survivors.NOTHING, Survivors.SOME, Survivors.SOME)
]


@dataclass
class Known:
    """What the world outside knows of a server."""

    appended: list[appends.Acknowledged] = field(default_factory=list)
    told: list[jobs.Told] = field(default_factory=list)

    def until(self, at: float) -> Known:
        return Known(
            [one for one in self.appended if one.at <= at], [one for one in self.told if one.at <= at]
        )

    def __len__(self) -> int:
        return len(self.appended) + len(self.told)


@dataclass
class Round:
    """What became of one round."""

    known: Known
    failures: int = 0
    damage: list[str] = field(default_factory=list)
    last: Cut | None = None


def run_round(
    random: Random, *, failures: int, sync_interval: float = 0.0, before: Round | None = None
) -> Round:
    """Let a server work, on a new disk or on what the last failure of another round left; look at it after failures."""
    begin: Tree = before.last.store if before and before.last else {}
    known = Known() if before is None or before.last is None else before.known.until(before.last.at)
    with tempfile.TemporaryDirectory(prefix="jobledger-power-") as name:
        place = Path(name)
        kept = place / "journal"
        if begin:
            put(begin, place / "data" / "jetstream")
        with Server(place / "data", sync_interval=sync_interval, journal=kept) as server:
            prefix = f"{random.getrandbits(32):08x}"
            known.appended += asyncio.run(
                appends.append(server.endpoint, random, _COMMITS, largest=_LARGEST, prefix=prefix)
            )
            known.told += jobs.run(server.endpoint, random, _JOBS)
        outcome = Round(known, damage=list(filter(None, [unexplained(kept, server.store, begin)])))
        for cut in cuts(kept, moments(kept, known, failures, random), WAYS, random, begin):
            outcome.failures += 1
            outcome.damage += damage(cut, known)
            outcome.last = cut
    return outcome


def moments(kept: Path, known: Known, number: int, random: Random) -> list[float]:
    """Return moments of a run: right after somebody was told something, and right after something was done to a file."""
    done = [operation.at for operation in journal.read(kept)]
    told = [one.at for one in known.appended] + [one.at for one in known.told]
    told = [at for at in told if at >= done[0]]
    return random.choices(told, k=(number + 1) // 2) + random.choices(done, k=number // 2)


def damage(cut: Cut, known: Known) -> list[str]:
    """Return what a failure has destroyed that it must not."""

    def look(server: Server) -> list[str]:
        loss = asyncio.run(appends.loss(server.endpoint, known.appended, cut.at))
        forgotten = jobs.forgotten(server.endpoint, known.until(cut.at).told)
        found: dict[str, Sequence[object]] = {
            f"{len(loss.lost)} acknowledged commits are lost": loss.lost,
            f"{len(loss.torn)} transactions are torn": loss.torn,
            f"{len(forgotten)} facts about jobs are forgotten": forgotten,
        }
        said = "\n".join(line for line in server.said.splitlines() if "[WRN]" in line or "[ERR]" in line)
        return [f"{what} ({cut}): {which[:3]}\n{said}" for what, which in found.items() if which]

    return found_after(cut, look)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python tests/power", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--failures", type=int, default=24, help="power failures looked at in each round")
    parser.add_argument("--seed", type=int, default=1, help="of the first round; the next one has the next")
    parser.add_argument(
        "--sync-interval",
        type=float,
        default=0.0,
        help="seconds, as of `jobledger server start`; 0: the default",
    )
    parser.add_argument(
        "--cluster", action="store_true", help="of three servers, which lose power at once; commits only"
    )
    options = parser.parse_args(arguments)
    if why_not():
        sys.stderr.write(f"power: {why_not()}\n")
        return 2
    if options.cluster:
        return _cluster(options)
    began, failures, harmed, facts = time.monotonic(), 0, 0, 0
    before: Round | None = None
    for number in range(options.rounds):
        seed = options.seed + number
        if number % _SERIES == 0:
            before = None
        before = run_round(
            Random(seed), failures=options.failures, sync_interval=options.sync_interval, before=before
        )
        failures, harmed, facts = (
            failures + before.failures,
            harmed + len(before.damage),
            facts + len(before.known),
        )
        verdict = "\n".join(before.damage) or "nothing lost"
        print(
            f"round {number + 1}, seed {seed}: {before.failures} failures, {len(before.known)} facts, {verdict}",
            flush=True,
        )
    print(
        f"{options.rounds} rounds, {failures} power failures, {facts} acknowledged facts, "
        f"{harmed} losses, in {time.monotonic() - began:.0f} s"
    )
    return 1 if harmed else 0


def _cluster(options: argparse.Namespace) -> int:
    interval = f"{options.sync_interval:g}s" if options.sync_interval else "always"
    harmed = 0
    for number in range(options.rounds):
        found = lost_by_cluster(
            Random(options.seed + number), failures=options.failures, sync_interval=interval
        )
        harmed += len(found)
        verdict = "\n".join(found) or "nothing lost"
        print(
            f"round {number + 1}, seed {options.seed + number}: {options.failures} failures, {verdict}",
            flush=True,
        )
    print(f"{options.rounds * options.failures} power failures of a cluster, {harmed} losses")
    return 1 if harmed else 0
