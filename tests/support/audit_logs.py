"""Logs to audit: the commits of several jobs, written as an engine writes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from random import Random
from uuid import UUID

import msgspec

from jobledger.adapters.nats.connection import connect
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.log import LogWriter, encode_message
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.streams import ensure_log
from jobledger.core.codec import NO_PREVIOUS, Commit, digest

from .random_history import committed, random_history

#: a job's id, the version and the commit
Row = tuple[str, int, Commit]


def job_of(number: int) -> str:
    """Return the id of one of the jobs."""
    return str(UUID(int=number))


def random_log(random: Random, *, jobs: int = 6, steps: int = 20) -> list[Row]:
    """Return the commits of some jobs with random histories, as they come to lie in a log."""
    histories = {
        job_of(number): list(committed(random_history(random, steps=steps), random)) for number in range(jobs)
    }
    heads = dict.fromkeys(histories, NO_PREVIOUS)
    rows: list[Row] = []
    while histories:
        job_id = random.choice(list(histories))
        placed = histories[job_id].pop(0)
        commit = msgspec.structs.replace(placed.commit, previous=heads[job_id], id=random.randbytes(16))
        heads[job_id] = digest(encode_message(placed.version, commit))
        rows.append((job_id, placed.version, commit))
        if not histories[job_id]:
            del histories[job_id]
    return rows


def store_rows(url: str, names: Names, rows: Iterable[Row], *, after: Iterable[Row] = ()) -> None:
    """Append these commits to the log of a server, in which there are those of `after`."""

    async def store() -> None:
        client = await connect(Endpoint(url), name="writer")
        await ensure_log(client.jetstream(), names)
        writer = LogWriter(client, names)
        await writer.open()
        positions = {job_id: position for position, (job_id, _, _) in enumerate(after, 1)}
        for job_id, version, commit in rows:
            payload = encode_message(version, commit)
            positions[job_id] = await writer.append(job_id, payload, after=positions.get(job_id, 0))
        await writer.close()
        await client.close()

    asyncio.run(store())


def write_log(url: str, names: Names, random: Random, *, jobs: int = 6, steps: int = 20) -> list[Row]:
    """Write a random log to a server, and return what was written."""
    rows = random_log(random, jobs=jobs, steps=steps)
    store_rows(url, names, rows)
    return rows
