"""Which jobs are alive: found by scanning the log from the last checkpoint on.

A checkpoint is a position and the jobs that were live there. It only saves time: without one, or with a damaged one,
the whole log is scanned, at about 50,000 commits a second.
"""

from __future__ import annotations

import logging

import msgspec
import nats.errors
import nats.js.errors
from nats.aio.client import Client

from ..nats.log import scan
from ..nats.names import Names

log = logging.getLogger(__name__)

_KEY = "checkpoint"
#: more live jobs than this are not written down: the next start scans from the checkpoint before
_MAX_JOBS = 10_000


class Checkpoint(msgspec.Struct, array_like=True):
    """Every job of `live`, and none that was written to at or before `position` beside them, is unsettled there."""

    position: int = 0
    live: list[str] = []


_decode = msgspec.msgpack.Decoder(Checkpoint).decode


async def find_live_jobs(client: Client, names: Names) -> Checkpoint:
    """Return the unsettled jobs as of now, and the position up to which the log was read.

    Errors: ServerUnavailable when the log cannot be read.
    """
    checkpoint = await _load(client, names)
    live = dict.fromkeys(checkpoint.live)
    position = checkpoint.position
    async for commit in scan(client, names, after=position):
        position = commit.position
        if commit.settled is None:
            log.error("position %d, of job %s, cannot be decoded", commit.position, commit.job_id)
        elif commit.settled:
            live.pop(commit.job_id, None)
        else:
            live[commit.job_id] = None
    return Checkpoint(position, list(live))


async def save(client: Client, names: Names, checkpoint: Checkpoint) -> None:
    """Write the checkpoint down. That it fails is no matter."""
    if len(checkpoint.live) > _MAX_JOBS:
        return
    try:
        bucket = await client.jetstream().key_value(names.checkpoints_bucket)
        await bucket.put(_KEY, msgspec.msgpack.encode(checkpoint))
    except (nats.errors.Error, nats.js.errors.Error, OSError) as error:
        log.info("no checkpoint was written: %s", error)


async def _load(client: Client, names: Names) -> Checkpoint:
    stream = client.jetstream()
    try:
        try:
            bucket = await stream.key_value(names.checkpoints_bucket)
        except nats.js.errors.BucketNotFoundError:
            bucket = await stream.create_key_value(bucket=names.checkpoints_bucket, history=1)
        entry = await bucket.get(_KEY)
        return _decode(entry.value or b"")
    except nats.js.errors.KeyNotFoundError:
        return Checkpoint()
    except msgspec.MsgspecError as error:
        log.warning("the checkpoint is damaged and not used: %s", error)
        return Checkpoint()
