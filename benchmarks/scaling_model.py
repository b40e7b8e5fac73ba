"""What it takes to do more: unit costs in, tables out.

    .venv/bin/python benchmarks/scaling_model.py
    .venv/bin/python benchmarks/scaling_model.py --log 1900 --figures benchmarks/results/cluster.json

Every kind of process works off what comes to it, so what is needed of each follows from the processor time that a unit of
work takes there. What cannot be had twice bounds a namespace: its log, which takes one commit after the other, and the
projector that moves its view. It is arithmetic, and no more than that: it knows no queues, no networks, and no machines
that are unlike each other.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.report import Report, number
from jobledger.adapters.engine.partitions.ownership import TTL
from jobledger.adapters.engine.partitions.share import CHECKPOINT_OFTEN, LOOK
from jobledger.adapters.nats.partitions import MOST_PARTITIONS

FACTORS = (1, 10, 100, 1000)


@dataclass(frozen=True, kw_only=True)
class Work:
    """A kind of work, and what one unit of it takes.

    Units:  µs of one processor in each kind of process; for `server`, in all nodes together. `rate` is the units per second
            of which there are to be 10, 100 and 1000 times as many.
    """

    name: str
    unit: str
    rate: float
    commits: float  #: messages that the log stores for a unit
    server: float
    engine: float
    runner: float
    projector: float


@dataclass(frozen=True, kw_only=True)
class Site:
    """What the work is done on.

    Units:  `log` is commits per second, `read` µs, `load` the share of a processor that a process of one thread may use
            before it queues.
    """

    #: what one log takes. With fsync always: of three replicas 21,800 with 64 commits under way, and 49,100 with 512; of
    #: one replica, which syncs each by itself, 17,500 with 34 µs a sync, and fewer by as much as a disk takes longer
    log: float = 20_000.0
    read: float = 27.0  #: to look at one commit, for an engine that takes a partition over
    load: float = 0.7


class Plan(NamedTuple):
    """What so much work needs."""

    rate: float
    namespaces: int  #: each with a log, and a projector, of its own
    engines: int  #: in all namespaces together
    runners: float  #: processors
    servers: float  #: processors of all nodes together
    missed: float  #: seconds for which the partitions of an engine that is killed stand still, at most
    bound: str  #: what is exceeded first in one namespace, and how much it can do


def missed(site: Site, commits: float) -> float:
    """Return for how many seconds the partitions of an engine that is killed stand still, at most.

    Its lease has to end, another one has to look, and to read what the log took since the last checkpoint: all of it,
    `commits` per second.

    >>> round(missed(Site(read=50), 1000), 1)
    2.5
    """
    return TTL + LOOK + commits * CHECKPOINT_OFTEN * site.read / 1e6


def limits(work: Work, site: Site) -> dict[str, float]:
    """Return how many units per second one namespace can do, by what stands in the way."""
    engine = site.load * 1e6 / work.engine
    return {
        "one engine": engine,
        "the log": site.log / work.commits,
        "the projector": site.load * 1e6 / work.projector,
        f"{MOST_PARTITIONS} engines": engine * MOST_PARTITIONS,
    }


def plan(work: Work, factor: float, site: Site) -> Plan:
    """Return what `factor` times the work needs."""
    rate = work.rate * factor
    ceilings = limits(work, site)
    hard = {what: limit for what, limit in ceilings.items() if what != "one engine"}
    namespaces = ceil(rate / min(hard.values()))
    engines = ceil(rate / namespaces / ceilings["one engine"])
    exceeded = [what for what in ceilings if ceilings[what] < rate]
    # More engines are the easier answer: where they do not help is what matters.
    bound = min([what for what in exceeded if what in hard] or exceeded or ceilings, key=ceilings.__getitem__)
    told = f"{bound}: {number(ceilings[bound])}/s" + ("" if exceeded else ", not reached")
    return Plan(
        rate,
        namespaces,
        engines * namespaces,
        rate * work.runner / 1e6 / site.load,
        rate * work.server / 1e6 / site.load,
        missed(site, rate / namespaces * work.commits),
        told,
    )


def tables(works: list[Work], site: Site) -> Iterator[str]:
    """Yield the lines of a table for each kind of work, as Markdown."""
    for work in works:
        costs = ", ".join(
            f"{kind} {number(cost)}"
            for kind, cost in (
                ("servers", work.server),
                ("engine", work.engine),
                ("runner", work.runner),
                ("projector", work.projector),
            )
        )
        yield f"**{work.name}**: µs a {work.unit}: {costs}; {number(work.commits)} commits"
        yield ""
        yield (
            f"| times | {work.unit}s/s | namespaces | engines | processors of runners | of NATS servers "
            "| an engine is missed for | one namespace is bound by |"
        )
        yield "|---|---|---|---|---|---|---|---|"
        for factor in FACTORS:
            one = plan(work, factor, site)
            yield (
                f"| {factor} | {number(one.rate)} | {one.namespaces} | {one.engines} | {one.runners:.1f} "
                f"| {one.servers:.1f} | {one.missed:.1f} s | {one.bound} |"
            )
        yield ""


#: as measured, see docs/scaling.md
MEASURED = [
    Work(
        name="wide",
        unit="task",
        rate=96_900,
        commits=0.0078,
        server=2.9,
        engine=4.8,
        runner=10.0,
        projector=2.0,
    ),
    Work(
        name="deep",
        unit="task",
        rate=5_500,
        commits=1.0,
        server=101.0,
        engine=87.0,
        runner=69.0,
        projector=6.0,
    ),
    Work(
        name="small",
        unit="job",
        rate=3_250,
        commits=2.65,
        server=148.0,
        engine=182.0,
        runner=37.0,
        projector=78.0,
    ),
]


def measured(path: Path, works: list[Work]) -> list[Work]:
    """Return these kinds of work with the costs and rates in a file of figures, of one engine where there are several.

    Errors: ValueError for a file that has none of them.
    """
    found = {
        figure.workload: figure
        for figure in reversed(Report.read(path).figures)
        if figure.cpu.keys() >= {"nats-server", "engine", "runner"}
    }
    if not found.keys() & {work.name for work in works}:
        raise ValueError(
            f"{path} has no figures of {', '.join(work.name for work in works)} with processor times"
        )
    return [
        replace(
            work,
            rate=found[work.name].median,
            server=found[work.name].cpu["nats-server"],
            engine=found[work.name].cpu["engine"],
            runner=found[work.name].cpu["runner"],
        )
        if work.name in found
        else work
        for work in works
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    standard = Site()
    parser.add_argument("--figures", type=Path, metavar="FILE", help="that benchmarks/cluster.py wrote")
    parser.add_argument(
        "--log", type=float, default=standard.log, help="commits per second that one log takes (%(default)g)"
    )
    parser.add_argument(
        "--load", type=float, default=standard.load, help="share of a processor (%(default)s)"
    )
    arguments = parser.parse_args()
    if arguments.log <= 0 or not 0 < arguments.load <= 1:
        parser.error("--log is more than 0, --load more than 0 and at most 1")
    works = MEASURED
    if arguments.figures:
        try:
            works = measured(arguments.figures, MEASURED)
        except (OSError, ValueError) as error:
            parser.error(str(error))
    for line in tables(works, replace(standard, log=arguments.log, load=arguments.load)):
        print(line)


if __name__ == "__main__":
    main()
