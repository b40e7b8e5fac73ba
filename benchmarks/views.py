"""What the view across jobs does on this machine: rebuilding it, keeping up, and finding jobs. Prints a table.

    .venv/bin/python benchmarks/views.py                       # a million jobs: about ten minutes, and 3 GB of disk
    .venv/bin/python benchmarks/views.py --jobs 100000         # about a minute

Everything is real: a nats-server, the projector as the process that the embedded server runs, its view in SQLite, and a
client that asks it over NATS. The log is written by this program, with commits as an engine writes them (and without an
fsync for each, which would only make writing slower than reading):

- jobs of one task: submitted, claimed, computed and completed, 4 events in 3 commits: the dearest shape there is;
- jobs of 10 tasks: a root and the nine it submits, 25 events in 5 commits;
- jobs of 100 tasks, likewise, 205 events in 5 commits.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.histories import nats_server
from jobledger import Client, JobState, TaskState
from jobledger.adapters.client.ids import new_id
from jobledger.adapters.embedded.folder import DataFolder
from jobledger.adapters.embedded.projector_process import run_projector_process
from jobledger.adapters.nats.connection import connect
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.log import LogWriter, encode_message
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.streams import ensure_log
from jobledger.core import events as e
from jobledger.core.codec import NO_PREVIOUS, Commit, digest
from jobledger.core.submission import Submission, TaskSpec

WORDS = ("nightly", "import", "scene", "tile", "process", "train", "model", "export", "clean", "merge")
IN_FLIGHT = 500  # jobs that are written at a time
RATE = 5000  # changes of jobs a second that a view has to keep up with


def commits(number: int, tasks: int, at: int) -> Iterator[list[Any]]:
    """Yield the events of each commit of one job."""
    cluster = "gpu" if number % 100 == 0 else "default"
    root, leaf = TaskSpec("Root", 1, 0, cluster), TaskSpec(f"Leaf{number % 7}", 1, 0, cluster)
    words = (WORDS[number % 10], WORDS[number // 10 % 10], WORDS[number // 100 % 10])
    labels = {"team": f"team-{number % 20}", "stage": "prod", "run": f"{number}"}
    submission = Submission([b"{}"], [root], [0, 1])
    yield [
        e.JobSubmitted(f"{' '.join(words)} {number:07d}", submission, "ada@lab", e.JobOptions(labels=labels))
    ]
    yield [e.TasksClaimed("runner-1", 1, [0, 1])]
    if number % 100 == 1:
        error = e.Error("ValueError", f"bad scene {number}", "Traceback …")
        yield [e.TaskFailed(0, 1, at + 10, at + 900, error), e.JobFailed(0)]
        return
    if tasks == 1:
        yield [e.TaskComputed(0, 1, at + 10, at + 900), e.JobCompleted()]
        return
    leaves = range(1, tasks)
    yield [e.TaskComputed(0, 1, at + 10, at + 900, Submission([b"{}"] * (tasks - 1), [leaf], [0, tasks - 1]))]
    yield [e.TasksClaimed("runner-1", 1, [1, tasks])]
    done: list[Any] = [e.TaskComputed(task, 1, at + 1000, at + 1900) for task in leaves]
    yield [*done, e.JobCompleted()]


class Writer:
    """Writes jobs to the log of a namespace as fast as it takes them, or at a given rate."""

    def __init__(self, log: LogWriter, tasks: int) -> None:
        self._log = log
        self._tasks = tasks
        self._turns = asyncio.Semaphore(IN_FLIGHT)
        self.events = self.commits = self.position = 0

    async def write(self, numbers: range, *, rate: float = 0.0) -> None:
        """Units: `rate` is commits a second; 0 for no limit."""
        began = time.perf_counter()
        for first in range(numbers.start, numbers.stop, IN_FLIGHT):
            batch = range(first, min(first + IN_FLIGHT, numbers.stop))
            before = self.commits
            await asyncio.gather(*map(self._job, batch))
            if rate and (ahead := self.commits / rate - (time.perf_counter() - began)) > 0 and before:
                await asyncio.sleep(ahead)

    async def _job(self, number: int) -> None:
        job_id, at = str(new_id()), time.time_ns() // 1000
        previous, position = NO_PREVIOUS, 0
        async with self._turns:
            for version, events in enumerate(commits(number, self._tasks, at), 1):
                settled = isinstance(events[-1], e.JobCompleted | e.JobFailed)
                commit = Commit(os.urandom(16), previous, at + version, "benchmark", settled, events)
                payload = encode_message(version, commit)
                position = await self._log.append(job_id, payload, after=position)
                previous = digest(payload)
                self.commits += 1
                self.events += len(events)
                self.position = max(self.position, position)


class Table:
    """Measured figures, printed as they come."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []

    def add(self, what: str, value: float, unit: str, note: str = "") -> None:
        self.rows.append({"what": what, "value": value, "unit": unit, "note": note})
        print(f"{what:<66}{value:>12,.1f} {unit:<10}{note}", flush=True)


def timed(work: Callable[[], object], repeat: int) -> list[float]:
    """Return how many ms each repetition took."""
    found = []
    for _ in range(repeat):
        began = time.perf_counter()
        work()
        found.append((time.perf_counter() - began) * 1000)
    return found


def find(table: Table, client: Client, number: int, repeat: int) -> None:
    """Measure the first page of queries, as a client sees it."""
    jobs = client.jobs()
    (oldest,) = jobs.rows(name=f"{number // 2:07d}", limit=1)
    middle = oldest.submitted_at
    questions: dict[str, dict[str, Any]] = {
        "all jobs": {},
        "state FAILED": {"job_states": JobState.FAILED},
        "state COMPLETED": {"job_states": JobState.COMPLETED},
        "a task in FAILED": {"task_states": TaskState.FAILED},
        "submitted before the middle one": {"temporal_extent": (None, middle)},
        "name, common word": {"name": "scene"},
        "name, three words": {"name": "nightly import scene"},
        "name, one job": {"name": f"{number // 2:07d}"},
        "name, no job": {"name": "no such name"},
        "label team=team-7": {"labels": {"team": "team-7"}},
        "label run=…, one job": {"labels": {"run": str(number // 3)}},
        "cluster gpu": {"clusters": "gpu"},
        "task Root": {"tasks": "Root"},
        "FAILED, name scene, team-1, before the middle one": {
            "job_states": JobState.FAILED,
            "name": "scene",
            "labels": {"team": "team-1"},
            "temporal_extent": (None, middle),
        },
        "COMPLETED, name of three words, team-0": {
            "job_states": JobState.COMPLETED,
            "name": "nightly import scene",
            "labels": {"team": "team-0"},
        },
    }
    for what, question in questions.items():
        found = timed(lambda question=question: jobs.rows(**question, limit=50), repeat)  # type: ignore[misc]
        rows = len(jobs.rows(**question, limit=50))
        note = f"longest {max(found):.1f}, {rows} rows"
        table.add(f"first page: {what}", statistics.median(found), "ms", note)
    for what, question in {"all jobs": {}, "state COMPLETED": {"job_states": JobState.COMPLETED}}.items():
        found = timed(lambda question=question: jobs.count(**question), repeat)  # type: ignore[misc]
        table.add(f"count: {what}", statistics.median(found), "ms", f"longest {max(found):.1f}")


async def caught_up(client: Client, position: int) -> float:
    """Return how long it takes until the view tells of this position."""
    began = time.perf_counter()
    client._session.seen = position
    await asyncio.to_thread(client.jobs().rows, limit=1)
    return time.perf_counter() - began


async def measure(arguments: argparse.Namespace, table: Table, folder: DataFolder) -> None:
    folder.create()
    with nats_server(folder) as endpoint:
        for name, tasks, jobs in (
            ("hundred", 100, max(100, arguments.jobs // 100)),
            ("ten", 10, max(100, arguments.jobs // 10)),
            ("one", 1, arguments.jobs),
        ):
            await measure_shape(arguments, table, folder, endpoint, name, tasks, jobs)


async def measure_shape(
    arguments: argparse.Namespace,
    table: Table,
    folder: DataFolder,
    endpoint: Endpoint,
    namespace: str,
    tasks: int,
    jobs: int,
) -> None:
    names = Names(namespace)
    connection = await connect(endpoint, name="benchmark")
    await ensure_log(connection.jetstream(), names)
    log = LogWriter(connection, names)
    await log.open()
    writer = Writer(log, tasks)
    began = time.perf_counter()
    await writer.write(range(jobs))
    wrote = time.perf_counter() - began
    shape = f"jobs of {tasks} task{'' if tasks == 1 else 's'}"
    print(
        f"# {jobs:,} {shape}: {writer.commits:,} commits, {writer.events:,} events, written in {wrote:.0f} s"
    )

    for file in folder.views.glob("*"):
        file.unlink()
    stop = asyncio.Event()
    running = asyncio.create_task(run_projector_process(folder, endpoint, namespace, stop=stop))
    client = Client(endpoint.url, namespace=namespace, patience=3600)
    try:
        await asyncio.to_thread(client.jobs().rows, limit=1)
        began = time.perf_counter()
        await asyncio.to_thread(client.jobs().rebuild_views)
        took = time.perf_counter() - began
        table.add(
            f"rebuild: {shape}", writer.events / took, "events/s", f"{jobs / took:,.0f} jobs/s, {took:.1f} s"
        )
        if tasks == 1:
            await keep_up(arguments, table, client, writer, jobs)
            await asyncio.to_thread(find, table, client, jobs, arguments.repeat)
    finally:
        stop.set()
        await running
        await asyncio.to_thread(client.close)
        await connection.close()


async def keep_up(
    arguments: argparse.Namespace, table: Table, client: Client, writer: Writer, jobs: int
) -> None:
    """Write while the view follows: at the rate that is asked of it, and as fast as the log takes it."""
    more = max(100, min(jobs, arguments.jobs) // 20)
    lags: list[float] = []
    done = asyncio.Event()

    async def watch() -> None:
        while not done.is_set():
            lags.append(await caught_up(client, writer.position) * 1000)
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    before, began = writer.commits, time.perf_counter()
    writer.commits = 0
    await writer.write(range(jobs, jobs + more), rate=RATE)
    rate = writer.commits / (time.perf_counter() - began)
    writer.commits += before
    done.set()
    await watching
    lags.sort()
    note = f"median {statistics.median(lags):.1f}, longest {lags[-1]:.1f}"
    table.add(f"lag at {rate:,.0f} changes/s, p95", lags[int(len(lags) * 0.95)], "ms", note)
    before, began = writer.commits, time.perf_counter()
    await writer.write(range(jobs + more, jobs + 2 * more))
    wrote = time.perf_counter() - began
    await caught_up(client, writer.position)
    took = time.perf_counter() - began
    changes = writer.commits - before
    table.add("keeping up, flat out", changes / took, "changes/s", f"written at {changes / wrote:,.0f}/s")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=1_000_000, help="how many jobs of one task")
    parser.add_argument("--repeat", type=int, default=20, help="how often each question is asked")
    parser.add_argument("--json", metavar="FILE", help="also write the figures there")
    arguments = parser.parse_args()
    table = Table()
    with tempfile.TemporaryDirectory(prefix="jobledger-views-") as folder:
        asyncio.run(measure(arguments, table, DataFolder.locate(f"{folder}/data")))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps({"figures": table.rows}, indent=2))


if __name__ == "__main__":
    main()
