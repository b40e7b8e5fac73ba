"""How fast the exchange protocol can be here: a bare engine and one runner, with next to nothing in between.

    .venv/bin/python benchmarks/ceiling.py
    .venv/bin/python benchmarks/ceiling.py W1 W3 --repeat 5 --loop asyncio --json figures.json

Two processes and a real nats-server that syncs every message before it acknowledges it; `bare_engine.py` says what
they do, and what they leave out. The figures are the ceiling for a product that leaves nothing out.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from msgspec import msgpack

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.about import about
from benchmarks.accounting import Usage
from benchmarks.bare_engine import LOOPS, Commit, Submit, connected
from benchmarks.peers.servers import nats_server
from benchmarks.report import Figure, Report
from jobledger.adapters.nats.wire import Wire

SYSTEM = "bare exchange engine"
DURABILITY = (
    "synced to disk (sync_interval: always), one replica, before a claim is given to the runner, before its report is "
    "confirmed, and before the submitter hears that the job is done"
)
SIZES = (("W1", 10_000), ("W1", 100_000), ("W2", 500), ("W3", 200))
BRIEF = 0.02


class Submitter:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._job = ""  # the last one

    async def run(self, tasks: int, *, chain: bool = False) -> float:
        """Submit a job and return the seconds until it is done."""
        self._job = uuid.uuid4().hex
        submit = msgpack.encode(Submit(self._job, tasks, chain))
        began = time.perf_counter()
        await self._wire.request("ceiling.submit", submit, timeout=60)
        return time.perf_counter() - began

    async def verify(self, tasks: int) -> None:
        """Read the last job's commits: each task was claimed once, in order, and finished once."""
        subject = f"ceiling.log.{self._job}"
        log = await self._wire.jetstream().subscribe(subject, ordered_consumer=True)
        claimed: list[int] = []
        finished: list[int] = []
        while len(finished) < tasks:
            commit = msgpack.decode((await log.next_msg(timeout=5)).data, type=Commit)
            finished += commit.finished
            claimed += commit.claimed
        assert claimed == sorted(finished) == list(range(tasks)), "not every task was run exactly once"
        await log.unsubscribe()


@contextmanager
def processes(loop: str) -> Iterator[tuple[str, dict[str, list[int]]]]:
    """Have server, engine and runner running; yield the server's address and the ids of the processes."""
    with (
        tempfile.TemporaryDirectory(prefix="jobledger-ceiling-") as folder,
        nats_server(Path(folder)) as server,
    ):
        started: dict[str, subprocess.Popen[str]] = {}
        try:
            for role in ("engine", "runner"):
                command = [sys.executable, "-m", "benchmarks.bare_engine", role, server.url, loop]
                started[role] = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
                serving = started[role].stdout
                assert serving is not None
                assert serving.readline() == "ready\n", f"the {role} did not start"
            yield (
                server.url,
                {"nats-server": [server.pid]} | {role: [one.pid] for role, one in started.items()},
            )
        finally:
            for process in started.values():
                process.kill()
                process.communicate()


async def measure(
    url: str, pids: dict[str, list[int]], workload: str, size: int, repeat: int
) -> list[Figure]:
    """Run a workload `repeat` times and verify the last run by the log."""
    wire = await connected(url)
    submitter = Submitter(wire)
    jobs, tasks = (size, 1) if workload == "W3" else (1, size)
    runs = []
    with (usage := Usage(lambda: pids)):
        for _ in range(repeat):
            seconds = [await submitter.run(tasks, chain=workload == "W2") for _ in range(jobs)]
            runs.append(sorted(seconds))
    await submitter.verify(tasks)
    await wire.close()
    figure = partial(Figure, system=SYSTEM, workload=workload, per="task", cpu=usage.each(size * repeat))
    if workload == "W3":
        p50, p99 = ([run[round(share * (jobs - 1))] * 1000 for run in runs] for share in (0.5, 0.99))
        return [
            figure(what="one small job, submit to done, p50", unit="ms", values=p50),
            figure(what="one small job, submit to done, p99", unit="ms", values=p99, cpu={}),
        ]
    what = f"chain of {size:,} dependent tasks" if workload == "W2" else f"fan-out of {size:,} tasks"
    return [figure(what=what, unit="tasks/s", values=[size / run[0] for run in runs])]


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help="of W1, W2, W3; else all of them")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each figure (%(default)s)")
    parser.add_argument("--scale", type=float, help="times the size of the workloads (1)")
    parser.add_argument("--brief", action="store_true", help=f"a scale of {BRIEF}: does it still run?")
    parser.add_argument("--loop", choices=LOOPS, default="uvloop", help="event loop (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    arguments = parser.parse_args()
    if unknown := set(arguments.workloads) - {workload for workload, _ in SIZES}:
        parser.error(f"there is no workload {', '.join(sorted(unknown))} here: there are W1, W2, W3")
    arguments.scale = arguments.scale or (BRIEF if arguments.brief else 1.0)
    if arguments.repeat < 1 or arguments.scale <= 0:
        parser.error("--repeat is 1 or more, and --scale above 0")
    return arguments


def main() -> None:
    arguments = parsed()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is to end, too
    told = {"durability": DURABILITY, "settings": f"engine, one runner and submitter on {arguments.loop}"}
    report = Report({**about(), "systems": {SYSTEM: told}})
    print(f"{SYSTEM}\n    durable: {DURABILITY}\n    {told['settings']}", flush=True)
    with (
        processes(arguments.loop) as (url, pids),
        asyncio.Runner(loop_factory=LOOPS[arguments.loop]) as loop,
    ):
        loop.run(measure(url, pids, "W1", 1_000, 1))  # everything has been used once
        for workload, size in SIZES:
            if not arguments.workloads or workload in arguments.workloads:
                some = max(2, round(size * arguments.scale))
                report.add(loop.run(measure(url, pids, workload, some, arguments.repeat)))
    if arguments.json:
        report.write(arguments.json)


if __name__ == "__main__":
    main()
