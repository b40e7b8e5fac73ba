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
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.accounting import memory
from benchmarks.histories import History, fan_out, nats_server, small_job, write_log
from jobledger import Client
from jobledger.adapters.audit.bundle import read_bundle
from jobledger.adapters.audit.payloads import read_payload
from jobledger.adapters.embedded.folder import DataFolder
from jobledger.adapters.nats.connection import connect
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.stored import stored_messages
from jobledger.audit import verify, verify_store
from jobledger.core.job import Job, evolve
from jobledger.projections.audit import Read

SHAPES = ("wide", "slow", "mixed")


def histories(shape: str, events: int) -> list[History]:
    if shape == "mixed":
        return [small_job() for _ in range(max(1, events // 22))]
    return [fan_out(events if shape == "wide" else events // 3, alone=shape == "slow")]


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


def measure_here(what: str, folder: Path, endpoint: Endpoint, shape: str) -> dict[str, float]:
    work = (RUNNING | STOPPED)[what]
    before, began, busy = memory(os.getpid()), time.perf_counter(), time.process_time()
    events = work(folder, endpoint, shape)
    took, busy = time.perf_counter() - began, time.process_time() - busy
    return {"seconds": took, "busy": busy, "growth": memory(os.getpid(), "VmHWM") - before, "events": events}


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
                asyncio.run(write_log(endpoint, Names(shape), jobs))
                took = time.perf_counter() - began
                print(f"# {shape}: {len(jobs):,} jobs, written in {took:.0f} s", flush=True)
                figures += [measure(what, folder.path, endpoint, shape) for what in RUNNING]
        for shape in arguments.shapes:
            figures += [measure(what, folder.path, endpoint, shape) for what in STOPPED]
    if arguments.json:
        Path(arguments.json).write_text(json.dumps({"figures": figures}, indent=2))


if __name__ == "__main__":
    main()
