"""W6: how fast a history is read and folded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench import Bench, in_new_process
from benchmarks.histories import fan_out, nats_server, write_log
from benchmarks.report import Figure, at_least
from jobledger.adapters.embedded.folder import DataFolder
from jobledger.adapters.nats.connection import connect
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.log import read_job
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.records import decode_record
from jobledger.adapters.nats.stored import stored_messages
from jobledger.core.codec import Commit, decode_commit
from jobledger.core.job import Job, fold

_NAMES = Names("replay")


def replay(bench: Bench) -> Iterator[Figure]:
    """One job of 1,000,000 events, as an engine reads it: from the server, and from memory.

    Each run is one of a new process, whose memory nothing else has used.
    """
    tasks = bench.size(1_000_000)
    folder = DataFolder(Path(bench.folder()))
    folder.create()
    with nats_server(folder) as endpoint:
        (job_id,) = asyncio.run(write_log(endpoint, _NAMES, [fan_out(tasks)]))
        runs = [in_new_process(one_run, endpoint.urls[0], job_id) for _ in bench.runs()]
    (events,) = {run.events for run in runs}
    assert events > tasks
    yield Figure(
        workload="W6",
        what=f"{events:,} events, folded from memory",
        unit="events/s",
        values=[events / run.folding for run in runs],
        target=at_least(1_000_000),
    )
    yield Figure(
        workload="W6",
        what=f"{events:,} events, decoded and folded from memory",
        unit="events/s",
        values=[events / run.decoding for run in runs],
    )
    yield Figure(
        workload="W6",
        what=f"{events:,} events, read from the server, checked and folded",
        unit="events/s",
        values=[events / run.reading for run in runs],
        target=at_least(500_000),
    )


@dataclass(frozen=True)
class Replayed:
    """Seconds that it took, in one process, to go through so many events."""

    events: int
    folding: float  #: from commits in memory
    decoding: float  #: from their bytes in memory
    reading: float  #: from the server, with the hash chain checked


def one_run(url: str, job_id: str) -> Replayed:
    return asyncio.run(_one_run(Endpoint(url), job_id))


async def _one_run(endpoint: Endpoint, job_id: str) -> Replayed:
    client = await connect(endpoint, name="benchmark")
    try:
        began = time.perf_counter()
        folded(job_id, (stored.commit for stored in await read_job(client, _NAMES, job_id)))
        reading = time.perf_counter() - began
        messages = stored_messages(client, _NAMES.log_stream, _NAMES.log_subject(job_id))
        payloads = [message.payload async for message in messages]
    finally:
        await client.close()
    began = time.perf_counter()
    folded(job_id, map(decoded, payloads))
    decoding = time.perf_counter() - began
    commits = list(map(decoded, payloads))
    began = time.perf_counter()
    folded(job_id, commits)
    folding = time.perf_counter() - began
    return Replayed(sum(len(commit.events) for commit in commits), folding, decoding, reading)


def decoded(payload: bytes) -> Commit:
    return decode_commit(decode_record(payload).state)


def folded(job_id: str, commits: Iterable[Commit]) -> None:
    """Fold the history, and see that it comes to its end."""
    assert fold(Job(job_id), ((commit.at, commit.events) for commit in commits)).settled
