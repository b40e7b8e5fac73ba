"""Logs as an engine writes them, written by a program: quicker to make than by running the jobs."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from jobledger.adapters.client.ids import new_id
from jobledger.adapters.embedded.folder import DataFolder
from jobledger.adapters.embedded.nats_config import choose_port
from jobledger.adapters.embedded.nats_process import find_program
from jobledger.adapters.nats.connection import connect
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.log import LogWriter, encode_message
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.streams import ensure_log
from jobledger.core import events as e
from jobledger.core.codec import NO_PREVIOUS, Commit, digest
from jobledger.core.submission import Submission, TaskSpec

STARTED = 1_700_000_000_000_000  # µs
TOGETHER = 256  # tasks claimed with one commit
CHUNK = 20_000  # subtasks submitted with one message
_AT_ONCE = 500  # jobs that are written at a time
_ROOT, _LEAF = TaskSpec("Root", 1, 0, "default"), TaskSpec("Leaf", 1, 0, "default")

#: the events of each commit of one job
History = Iterator[list[Any]]


def fan_out(tasks: int, *, alone: bool = False) -> History:
    """Yield the history of a job of very many tasks, claimed with others or `alone`, and then with their progress."""
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
    """Yield the history of a job of ten tasks: 25 events in 5 commits."""
    yield [e.JobSubmitted("small", Submission([b"{}"], [_ROOT], [0, 1]), "ada@lab")]
    yield [e.TasksClaimed("runner-1", 1, [0, 1])]
    yield [e.TaskComputed(0, 1, STARTED, STARTED + 9, Submission([b"{}"] * 9, [_LEAF], [0, 9]))]
    yield [e.TasksClaimed("runner-1", 1, [task, task + 1]) for task in range(1, 10)]
    yield [*(e.TaskComputed(task, 1, STARTED, STARTED + 9) for task in range(1, 10)), e.JobCompleted()]


def single_task() -> History:
    """Yield the history of a job of one task: 4 events in 2 commits, as where a runner waits for it."""
    yield [
        e.JobSubmitted("single", Submission([b"{}"], [_ROOT], [0, 1]), "ada@lab"),
        e.TasksClaimed("runner-1", 1, [0, 1]),
    ]
    yield [e.TaskComputed(0, 1, STARTED, STARTED + 9), e.JobCompleted()]


def encoded(history: History) -> Iterator[bytes]:
    """Yield the payloads of a job's commits, chained."""
    previous = NO_PREVIOUS
    for version, events in enumerate(history, 1):
        settled = isinstance(events[-1], e.JobCompleted)
        commit = Commit(os.urandom(16), previous, STARTED + version, "benchmark", settled, events)
        payload = encode_message(version, commit)
        yield payload
        previous = digest(payload)


async def write_log(endpoint: Endpoint, names: Names, jobs: Iterable[History]) -> list[str]:
    """Write the jobs, some at a time, and return their ids."""
    client = await connect(endpoint, name="benchmark")
    await ensure_log(client.jetstream(), names)
    log = LogWriter(client, names)
    await log.open()
    turns = asyncio.Semaphore(_AT_ONCE)

    async def write(history: History) -> str:
        job_id, position = str(new_id()), 0
        async with turns:
            for payload in encoded(history):
                position = await log.append(job_id, payload, after=position)
        return job_id

    try:
        return await asyncio.gather(*map(write, jobs))
    finally:
        await log.close()
        await client.close()


@contextmanager
def nats_server(folder: DataFolder) -> Iterator[Endpoint]:
    """Run a server on the folder that syncs when it likes: for logs that are written only to be read."""
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
