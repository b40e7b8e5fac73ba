"""Commits appended to a log as an engine does it, each noted at the moment its acknowledgement arrives."""

from __future__ import annotations

import asyncio
import itertools
import time
from random import Random
from typing import NamedTuple

from jobledger.adapters.nats.connection import connect
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.log import AppendConflict, AppendFailed, LogWriter
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.stored import StreamMissing, stored_messages
from jobledger.adapters.nats.streams import ensure_log

NAMES = Names("power")
_JOBS = 12
_ELECTED = 20.0  # seconds that a cluster which has just begun may take to settle
#: bytes; every tenth commit is up to a large one, so that a few hundred of them fill a block of the store (8 MB)
_SMALL, _LARGE = 200, 600_000


class Acknowledged(NamedTuple):
    """A commit that the log has answered for."""

    at: float  #: when the answer was there, by CLOCK_MONOTONIC
    position: int
    job_id: str
    payload: bytes
    batch: str  #: commits of one transaction have the same name; "" for one of its own


async def append(
    endpoint: Endpoint, random: Random, commits: int, *, largest: int = _LARGE, prefix: str = ""
) -> list[Acknowledged]:
    """Append about so many commits: of several jobs at a time, half of them in transactions. Return them all.

    Shape:  the ids of the jobs, and of the transactions, begin with `prefix`. Units: `largest` is bytes.
    """
    client = await connect(endpoint, name="power", timeout=_ELECTED)
    writer = LogWriter(client, NAMES)
    found: list[Acknowledged] = []
    batches = (f"{prefix}{number}" for number in itertools.count())
    try:
        await ensure_log(client.jetstream(), NAMES)
        await writer.open()

        async def one(job_id: str) -> None:
            last = 0
            for _ in range(commits // (2 * _JOBS)):
                payload = _payload(random, largest)
                last = await writer.append(job_id, payload, after=last)
                found.append(Acknowledged(time.monotonic(), last, job_id, payload, ""))

        async def together(job_ids: list[str]) -> None:
            last = dict.fromkeys(job_ids, 0)
            for _ in range(commits // (2 * _JOBS)):
                payloads = {job_id: _payload(random, largest) for job_id in job_ids}
                first = await _together(
                    writer, [(job_id, payloads[job_id], last[job_id]) for job_id in job_ids]
                )
                now, batch = time.monotonic(), next(batches)
                for position, job_id in enumerate(job_ids, first):
                    found.append(Acknowledged(now, position, job_id, payloads[job_id], batch))
                    last[job_id] = position

        trios = [[f"{prefix}t{number}-{member}" for member in range(3)] for number in range(_JOBS // 3)]
        await asyncio.gather(*(one(f"{prefix}j{number}") for number in range(_JOBS)), *map(together, trios))
        return found
    finally:
        await writer.close()
        await client.close()


async def _together(writer: LogWriter, commits: list[tuple[str, bytes, int]]) -> int:
    done: asyncio.Future[int | AppendConflict | AppendFailed] = asyncio.get_running_loop().create_future()
    writer.put_together(commits, done.set_result)
    outcome = await done
    if isinstance(outcome, int):
        return outcome
    raise outcome


def _payload(random: Random, largest: int) -> bytes:
    return random.randbytes(random.randint(1, largest if random.random() < 0.1 else _SMALL))


class Loss(NamedTuple):
    """What a log lacks."""

    lost: list[Acknowledged]  #: acknowledged before the power failed, and not there as they were
    torn: list[str]  #: transactions of which a part is there

    def __bool__(self) -> bool:
        return bool(self.lost or self.torn)


async def loss(endpoint: Endpoint, appended: list[Acknowledged], until: float) -> Loss:
    """Return what a log lacks of what was acknowledged until then, by CLOCK_MONOTONIC."""
    found = await _stored(endpoint)
    there = {one: found.get(one.position) == (one.job_id, one.payload) for one in appended}
    batches: dict[str, set[bool]] = {}
    for one, kept in there.items():
        if one.batch:
            batches.setdefault(one.batch, set()).add(kept)
    return Loss(
        [one for one, kept in there.items() if one.at <= until and not kept],
        [batch for batch, kept in batches.items() if len(kept) > 1],
    )


async def _stored(endpoint: Endpoint) -> dict[int, tuple[str, bytes]]:
    """Return what the log of a server holds: by position, the job and the payload."""
    client = await connect(endpoint, name="power", timeout=_ELECTED)
    try:
        found = stored_messages(client, NAMES.log_stream, NAMES.log_subjects)
        return {
            position: (subject.removeprefix(f"{NAMES.log_prefix}."), payload)
            async for position, subject, payload in found
        }
    except StreamMissing:
        return {}
    finally:
        await client.close()
