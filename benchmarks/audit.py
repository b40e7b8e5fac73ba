"""What auditing does on this machine: folding, exporting and verifying logs of a million events. Prints a table.

    .venv/bin/python benchmarks/audit.py                        # about three minutes, and 500 MB of disk
    .venv/bin/python benchmarks/audit.py --events 100000        # half a minute

Everything is real: a nats-server, with logs written by this program as an engine writes them. Each figure is taken in a
process of its own, so that its memory is its own, too: what it grew by at most over what it was before the work. "Busy"
is how long the processor worked on it: on a machine that does other things, what it would take on a quiet one.

- wide: one job, of which every task is claimed with 255 others, and computed: as a fan-out of quick tasks is;
- slow: one job, of which every task is claimed by itself, tells of its progress, and is computed: 3 events a task;
- mixed: jobs of 10 tasks, 25 events in 5 commits each, one after the other in a log.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jobledger import Client
from jobledger.adapters.audit.bundle import read_bundle
from jobledger.adapters.audit.payloads import read_payload
from jobledger.adapters.client.ids import new_id
from jobledger.adapters.embedded.folder import DataFolder
from jobledger.adapters.embedded.nats_config import choose_port
from jobledger.adapters.embedded.nats_process import find_program
from jobledger.adapters.nats.connection import connect
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.log import LogWriter, encode_message
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.stored import stored_messages
from jobledger.adapters.nats.streams import ensure_log
from jobledger.audit import verify, verify_store
from jobledger.core import events as e
from jobledger.core.codec import NO_PREVIOUS, Commit, digest
from jobledger.core.job import Job, evolve
from jobledger.core.submission import Submission, TaskSpec
from jobledger.projections.audit import Read

SHAPES = ("wide", "slow", "mixed")
STARTED = 1_700_000_000_000_000  # µs
TOGETHER = 256  # tasks claimed with one commit
CHUNK = 20_000  # subtasks submitted with one message
_ROOT, _LEAF = TaskSpec("Root", 1, 0, "default"), TaskSpec("Leaf", 1, 0, "default")

History = Iterator[list[Any]]


def fan_out(tasks: int, *, alone: bool) -> History:
    """Yield the events of each commit of one job."""
    yield [e.JobSubmitted("fan-out", Submission([b"{}"], [_ROOT], [0, 1]), "ada@lab")]
    yield [e.TasksClaimed("runner-1", 1, [0, 1])]
    for start in range(0, tasks, CHUNK):
        count = min(CHUNK, tasks - start)
        inputs = [b'{"index":%d}' % index for index in range(start, start + count)]
        yield [e.SubtasksStaged(0, 1, Submission(inputs, [_LEAF], [0, count], start=start))]
    yield [e.TaskComputed(0, 1, STARTED, STARTED + 9)]
    for first in range(1, tasks + 1, TOGETHER):
        stop = min(first + TOGETHER, tasks + 1)
        events: list[Any] = [] if alone else [e.TasksClaimed("runner-1", 1, [first, stop])]
        for task in range(first, stop):
            if alone:
                events.append(e.TasksClaimed("runner-1", 1, [task, task + 1]))
                events.append(e.TaskProgressed(task, 1, STARTED, [e.Progress("", 10, 5)]))
            events.append(e.TaskComputed(task, 1, STARTED, STARTED + 1000))
        yield [*events, *([e.JobCompleted()] if stop > tasks else [])]


def small_job() -> History:
    yield [e.JobSubmitted("small", Submission([b"{}"], [_ROOT], [0, 1]), "ada@lab")]
    yield [e.TasksClaimed("runner-1", 1, [0, 1])]
    yield [e.TaskComputed(0, 1, STARTED, STARTED + 9, Submission([b"{}"] * 9, [_LEAF], [0, 9]))]
    yield [e.TasksClaimed("runner-1", 1, [task, task + 1]) for task in range(1, 10)]
    yield [*(e.TaskComputed(task, 1, STARTED, STARTED + 9) for task in range(1, 10)), e.JobCompleted()]


def histories(shape: str, events: int) -> list[History]:
    if shape == "mixed":
        return [small_job() for _ in range(max(1, events // 22))]
    return [fan_out(events if shape == "wide" else events // 3, alone=shape == "slow")]


async def write_log(endpoint: Endpoint, names: Names, jobs: list[History]) -> int:
    """Write the jobs, some at a time, and return how many events there are."""
    client = await connect(endpoint, name="benchmark")
    await ensure_log(client.jetstream(), names)
    log = LogWriter(client, names)
    await log.open()
    turns, count = asyncio.Semaphore(500), 0

    async def write(history: History) -> None:
        nonlocal count
        job_id, previous, position = str(new_id()), NO_PREVIOUS, 0
        async with turns:
            for version, events in enumerate(history, 1):
                settled = isinstance(events[-1], e.JobCompleted)
                commit = Commit(os.urandom(16), previous, STARTED + version, "benchmark", settled, events)
                payload = encode_message(version, commit)
                position = await log.append(job_id, payload, after=position, timeout=60)
                previous, count = digest(payload), count + len(events)

    await asyncio.gather(*map(write, jobs))
    await log.close()
    await client.close()
    return count


# -- what is measured: each returns how many events it went through ---------------------------------------------------


class Folding:
    """Folds commits as they come; a settled job is let go."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.events = 0

    def add(self, read: Read) -> None:
        job, commit = self.jobs.get(read.job_id), read.commit
        assert commit is not None
        if job is None:
            job = self.jobs[read.job_id] = Job(read.job_id)
        at = commit.at
        for event in commit.events:
            evolve(job, event, at)
        self.events += len(commit.events)
        if job.settled:
            del self.jobs[read.job_id]


def fold_bundle(folder: Path, endpoint: Endpoint, shape: str) -> int:
    folding = Folding()
    for read in read_bundle(folder / f"{shape}.bundle"):
        folding.add(read)
    assert not folding.jobs
    return folding.events


def fold_server(folder: Path, endpoint: Endpoint, shape: str) -> int:
    names = Names(shape)
    skip = len(names.log_subject(""))

    async def fold() -> int:
        client = await connect(endpoint, name="benchmark")
        folding = Folding()
        async for position, subject, payload in stored_messages(client, names.log_stream, names.log_subjects):
            folding.add(read_payload(position, subject[skip:], payload))
        assert not folding.jobs
        await client.close()
        return folding.events

    return asyncio.run(fold())


def export(folder: Path, endpoint: Endpoint, shape: str) -> int:
    with Client(endpoint.url, namespace=shape) as client:
        return client.audit().export(folder / f"{shape}.bundle").events


def verify_offline(folder: Path, endpoint: Endpoint, shape: str) -> int:
    report = verify(folder / f"{shape}.bundle")
    assert report.ok, report
    return report.events


def verify_live(folder: Path, endpoint: Endpoint, shape: str) -> int:
    with Client(endpoint.url, namespace=shape) as client:
        report = client.audit().verify()
    assert report.ok, report
    return report.events


def checkpoint(folder: Path, endpoint: Endpoint, shape: str) -> int:
    with Client(endpoint.url, namespace=shape) as client:
        client.audit().checkpoint(folder / f"{shape}.checkpoint")
    report = verify(folder / f"{shape}.bundle", checkpoint=folder / f"{shape}.checkpoint")
    assert report.ok, report
    assert report.vouched == report.jobs, report
    return report.events


def verify_files(folder: Path, endpoint: Endpoint, shape: str) -> int:
    report = verify_store(folder, namespace=shape)
    assert report.ok, report
    return report.events


RUNNING: dict[str, Callable[[Path, Endpoint, str], int]] = {
    "export": export,
    "fold from the bundle": fold_bundle,
    "fold from the server": fold_server,
    "verify the bundle": verify_offline,
    "verify the log": verify_live,
    "take a checkpoint, verify the bundle by it": checkpoint,
}
STOPPED = {"verify the files of the stopped server": verify_files}


def memory(figure: str) -> float:
    """Return a figure of this process's memory in MB."""
    return int(Path("/proc/self/status").read_text().split(f"{figure}:")[1].split()[0]) / 1024


def measure_here(what: str, folder: Path, endpoint: Endpoint, shape: str) -> dict[str, float]:
    work = (RUNNING | STOPPED)[what]
    before, began, busy = memory("VmRSS"), time.perf_counter(), time.process_time()
    events = work(folder, endpoint, shape)
    took, busy = time.perf_counter() - began, time.process_time() - busy
    return {"seconds": took, "busy": busy, "growth": memory("VmHWM") - before, "events": events}


def measure(what: str, folder: Path, endpoint: Endpoint, shape: str) -> dict[str, object]:
    where = ["--folder", str(folder), "--url", endpoint.urls[0], "--shape", shape]
    command = [sys.executable, __file__, "--measure", what, *where]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    rate = found["events"] / found["seconds"]
    print(
        f"{shape + ': ' + what:<52}{found['seconds']:>8.2f} s ({found['busy']:.2f} busy){found['growth']:>6.0f} MB"
        f"{rate:>13,.0f} events/s",
        flush=True,
    )
    return {"what": what, "shape": shape, **found}


@contextmanager
def nats_server(folder: DataFolder) -> Iterator[Endpoint]:
    port = choose_port(folder)
    configuration = folder.path / "benchmark.conf"
    configuration.write_text(
        f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{folder.path}" }}\nmax_payload: 8MB\n'
    )
    log = folder.path / "nats-server.log"
    process = subprocess.Popen([find_program(), "-c", str(configuration), "-l", str(log)])
    try:
        while not log.exists() or "Server is ready" not in log.read_text():
            time.sleep(0.02)
        yield Endpoint(f"nats://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(20)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--shapes", nargs="*", choices=SHAPES, default=SHAPES)
    parser.add_argument("--json", metavar="FILE", help="also write the figures there")
    for hidden in ("--measure", "--folder", "--url", "--shape"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        where = Path(arguments.folder), Endpoint(arguments.url), arguments.shape
        print(json.dumps(measure_here(arguments.measure, *where)))
        return
    figures = []
    with tempfile.TemporaryDirectory(prefix="jobledger-bench-") as path:
        folder = DataFolder(Path(path))
        folder.create()
        with nats_server(folder) as endpoint:
            for shape in arguments.shapes:
                began = time.perf_counter()
                jobs = histories(shape, arguments.events)
                count = asyncio.run(write_log(endpoint, Names(shape), jobs))
                took = time.perf_counter() - began
                print(f"# {shape}: {len(jobs):,} jobs, {count:,} events, written in {took:.0f} s", flush=True)
                figures += [measure(what, folder.path, endpoint, shape) for what in RUNNING]
        for shape in arguments.shapes:
            figures += [measure(what, folder.path, endpoint, shape) for what in STOPPED]
    if arguments.json:
        Path(arguments.json).write_text(json.dumps({"figures": figures}, indent=2))


if __name__ == "__main__":
    main()
