"""Several engines on a cluster of three NATS nodes: what they do together, and what it takes when one is killed.

    .venv/bin/python benchmarks/cluster.py
    .venv/bin/python benchmarks/cluster.py --engines 1 2 4 --runners 4 --partitions 8 --repeat 3 --json figures.json

The log has three replicas: a commit is acknowledged when a majority of the nodes has it, on disk with `--sync always`.
All of it is on this machine: its processors are shared by the nodes, the engines, the runners and the client. So what
is to be seen here is that partitions spread and that nothing is lost by it; what more machines bring is worked out
from the processor time of each kind of process (docs/scaling.md).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.about import about
from benchmarks.cluster_site import Cluster, Site, cluster, until
from benchmarks.report import Figure, Report, number
from benchmarks.tasks import Chain, FanOut, Leaf
from jobledger import Job, NewJob
from jobledger.adapters.nats.partitions import partition_of
from jobledger.adapters.nats.wire import Message
from jobledger.adapters.portal import shared_portal

_LONGEST = 300.0  # seconds a run may take
_TASKS = 1000  # of each wide job
_HOPS = 100  # of each chain
_SMALL = 32  # jobs of one task for each of the others


def measure(on: Cluster, engines: int, arguments: argparse.Namespace) -> Iterator[Figure]:
    """Yield what so many engines do together."""
    partitions = arguments.partitions
    with on.site(f"e{engines}") as site:
        first = site.engine("--partitions", str(partitions), "--replicas", str(arguments.nodes))
        site.until_spread(1, partitions)
        for _ in range(engines - 1):
            site.engine()
        took = site.until_spread(engines, partitions)
        shares = ", ".join(map(str, site.shares()))
        what = f"{engines} engines, {partitions} partitions"
        if engines > 1:
            note = f"partitions of each engine: {shares}"
            yield Figure(workload="join", what=f"{what}, until spread", unit="s", values=[took], note=note)
        for _ in range(arguments.runners):
            site.runner()
        site.warm()
        jobs = max(1, round(arguments.jobs * arguments.scale))
        for workload, root, count, tasks in (
            ("wide", FanOut(_TASKS), jobs, _TASKS + 1),
            ("deep", Chain(_HOPS), jobs, _HOPS + 1),
            ("small", Leaf(0), jobs * _SMALL, 1),
        ):
            values = []
            before = site.commits()
            with (usage := site.usage()):
                for _ in range(arguments.repeat):
                    began = time.perf_counter()
                    submitted = site.jobs.submit_many(NewJob(workload, root) for _ in range(count))
                    site.jobs.wait_all(submitted, timeout=_LONGEST)
                    values.append(count * tasks / (time.perf_counter() - began))
            commits = (site.commits() - before) / (count * tasks * arguments.repeat)
            yield Figure(
                workload=workload,
                what=f"{what}, {count} jobs of {max(1, tasks - 1)} tasks at once",
                unit="tasks/s",
                values=values,
                per="task",
                cpu=usage.each(count * tasks * arguments.repeat),
                curve=workload,
                x=engines,
                note=f"{number(commits)} commits a task",
            )
        if engines > 1:
            yield killed(site, first, engines, partitions)


def killed(site: Site, engine: subprocess.Popen[bytes], engines: int, partitions: int) -> Figure:
    """Kill an engine, and return how long its jobs stood still: until the first commit of the last of them."""
    gaps = _Gaps(site, partitions)
    jobs: dict[int, Job] = {}
    while len(jobs) < partitions:  # one that never ends in each partition
        job = site.jobs.submit("endless", Chain(100_000 // partitions))
        if jobs.setdefault(partition_of(str(job.id), partitions), job) is not job:
            site.jobs.cancel(job)
    until(lambda: len(gaps.last) == partitions, "a commit in every partition")
    owners = site.owners()
    gaps.begin()
    site.kill(engine)
    lost = {number for number, owner in owners.items() if f":{engine.pid}:" in owner}
    until(lambda: lost <= gaps.first.keys(), "the jobs of the engine that was killed to go on")
    site.until_spread(engines - 1, partitions)
    for job in jobs.values():
        site.jobs.cancel(job)
    return Figure(
        workload="kill",
        what=f"one of {engines} engines killed, until each of its {len(lost)} partitions goes on",
        unit="s",
        values=[gaps.first[number] for number in sorted(lost)],
        note=f"it owned {len(lost)} of {partitions} partitions; the others stood still for "
        f"{max((gaps.first[number] for number in gaps.first if number not in lost), default=0):.2f} s at most",
    )


class _Gaps:
    """Hears every commit as it is stored, and notes when each partition was first written to since `begin`."""

    def __init__(self, site: Site, partitions: int) -> None:
        self._partitions = partitions
        self._began = 0.0
        self._lock = threading.Lock()
        self.last: Counter[int] = Counter()
        self.first: dict[int, float] = {}
        link = site.link
        shared_portal().run(link.nc.listen(link.names.log_subjects, self._heard))

    def begin(self) -> None:
        """The next commit of each partition counts."""
        with self._lock:
            self.first.clear()
            self._began = time.perf_counter()

    def _heard(self, message: Message) -> None:
        number = partition_of(message.subject.rpartition(".")[2], self._partitions)
        with self._lock:
            self.last[number] += 1
            if self._began:
                self.first.setdefault(number, time.perf_counter() - self._began)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engines", type=int, nargs="+", default=[1, 2, 4], help="how many (%(default)s)")
    parser.add_argument("--runners", type=int, default=2, help="runner processes (%(default)s)")
    parser.add_argument("--partitions", type=int, default=8, help="of the log (%(default)s)")
    parser.add_argument("--jobs", type=int, default=64, help="that run at once (%(default)s)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each figure (%(default)s)")
    parser.add_argument("--scale", type=float, default=1.0, help="times the number of jobs (%(default)s)")
    parser.add_argument("--nodes", type=int, choices=(1, 3, 5), default=3, help="of NATS (%(default)s)")
    parser.add_argument("--sync", default="always", help="sync_interval of the nodes (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    arguments = parser.parse_args()
    if min(arguments.engines) < 1 or arguments.runners < 1 or arguments.repeat < 1:
        parser.error("--engines, --runners and --repeat are 1 or more")
    if max(arguments.engines) > arguments.partitions:
        parser.error(
            f"--engines {max(arguments.engines)}: no more than --partitions ({arguments.partitions})"
        )
    return arguments


def main() -> None:
    arguments = parsed()
    durability = f"sync_interval: {arguments.sync}, {arguments.nodes} replicas on {arguments.nodes} nodes of this machine"
    report = Report({**about(), "durability": durability, "runners": arguments.runners})
    with cluster(arguments.nodes, arguments.sync) as on:
        for engines in arguments.engines:
            report.add(measure(on, engines, arguments))
    if arguments.json:
        report.write(arguments.json)


if __name__ == "__main__":
    main()
