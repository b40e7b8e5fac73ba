"""Which earlier success may be reused for what: written by the engine, looked up by runners.

A success is an entry `key.<reuse key>` of a key-value bucket: the newest one of a key counts. Beside each entry stands
`job.<job_id>.<reuse key>`, without a value: by it a job's entries are found when the job is deleted, and nothing of it
is reused any more.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging

import msgspec

from jobledger.core.clusters import DEFAULT_CLUSTER
from jobledger.core.events import Value
from jobledger.core.undecodable import UNDECODABLE

from .nats import leader
from .nats.asking import append, in_stream
from .nats.buckets import key_value, make_key_value
from .nats.names import Names
from .nats.stored import last_message
from .nats.wire import Wire

log = logging.getLogger(__name__)

_AT_ONCE = 32  # entries that are forgotten side by side


class Success(msgspec.Struct, array_like=True, frozen=True):
    """A task that was computed, with everything below it, and what it returned."""

    job_id: str
    task: int
    value: Value | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Success).decode


def within(cluster: str, key: bytes) -> bytes:
    """Return the key under which a success of this cluster is noted.

    A runner says by which key its success is to be found. What is found in one cluster is what ran there: nobody has another
    one's tasks replaced by results of his own.
    >>> within("default", b"key"), within("gpu", b"key") == within("cpu", b"key")
    (b'key', False)
    """
    return key if cluster == DEFAULT_CLUSTER else hashlib.sha256(f"{cluster}/".encode() + key).digest()


async def remember(client: Wire, names: Names, key: bytes, success: Success) -> None:
    """Note that whoever has this reuse key may take this success. Only what the log holds is to be noted.

    Errors: ServerAway, ServerUnavailable; JetStreamError, such as for a full server; StreamSettingsError.
    """
    await in_stream(
        lambda: _write(client, names, key, success),
        lambda: make_key_value(client, names, names.reuse_bucket),
    )


async def _write(client: Wire, names: Names, key: bytes, success: Success) -> None:
    # In this order: an entry that could not be found by its job would outlive it.
    await append(client, _of_job(names, success.job_id, key.hex()), b"")
    await append(client, _entry(names, key.hex()), _encode(success))


async def recall(client: Wire, names: Names, key: bytes) -> Success | None:
    """Return the newest success of a reuse key, if there is one. Errors: ServerAway, ServerUnavailable."""
    payload = await last_message(client, key_value(names.reuse_bucket), _entry(names, key.hex()))
    return None if payload is None else _read(payload)


async def forget(client: Wire, names: Names, job_id: str) -> int:
    """Have no success of a job reused any more; return how many there were. May be done again at any time.

    Errors: ServerAway, ServerUnavailable; JetStreamError.
    """
    forgotten = 0
    stream = key_value(names.reuse_bucket)
    marks = await leader.subjects_in(client, stream, _of_job(names, job_id, "*"))
    for start in range(0, len(marks), _AT_ONCE):
        keys = [mark.rpartition(".")[2] for mark in marks[start : start + _AT_ONCE]]
        forgotten += sum(await asyncio.gather(*(_forget(client, names, job_id, key) for key in keys)))
    await leader.purge(client, stream, marks)
    return forgotten


async def _forget(client: Wire, names: Names, job_id: str, key: str) -> bool:
    stream, entry = key_value(names.reuse_bucket), _entry(names, key)
    newest = await leader.newest(client, stream, entry)
    if newest is None:
        return False
    success = _read(newest.payload)
    if success is not None and success.job_id != job_id:
        return False
    # Not beyond it: another job's success may be noted in this very moment.
    await leader.purge(client, stream, [entry], before=newest.position + 1)
    return True


def _read(payload: bytes) -> Success | None:
    try:
        return _decode(payload)
    except UNDECODABLE as error:
        log.warning("an entry for reuse cannot be read and is passed over: %s", error)
        return None


def _entry(names: Names, key: str) -> str:
    return f"$KV.{names.reuse_bucket}.key.{key}"


def _of_job(names: Names, job_id: str, key: str) -> str:
    return f"$KV.{names.reuse_bucket}.job.{job_id}.{key}"
