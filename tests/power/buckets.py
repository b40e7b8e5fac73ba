"""Values put into a bucket, where newer ones take the place of older ones and the server compacts what is left."""

from __future__ import annotations

import time
from random import Random
from typing import NamedTuple

from nats.js.errors import NotFoundError

from jobledger.adapters.nats.buckets import make_key_value
from jobledger.adapters.nats.connection import connect
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.names import Names

_NAMES, _BUCKET = Names("power-values"), "power-values"
_LARGE = 400_000  # bytes: a dozen fill a block
_ANSWER = 20.0  # seconds


class Put(NamedTuple):
    """A value that the server has answered for."""

    at: float  #: by CLOCK_MONOTONIC
    key: str
    value: bytes
    revision: int


async def put(endpoint: Endpoint, random: Random, number: int) -> list[Put]:
    """Put values of keys that stay as they are between those of keys that never do."""
    client = await connect(endpoint, name="power")
    found = []
    try:
        await make_key_value(client, _NAMES, _BUCKET)
        bucket = await client.jetstream(timeout=_ANSWER).key_value(_BUCKET)
        for one in range(number):
            for key, size in ((f"stays{one}", 100), ("changes", _LARGE), ("too", _LARGE)):
                value = random.randbytes(size)
                revision = await bucket.put(key, value)
                found.append(Put(time.monotonic(), key, value, revision))
    finally:
        await client.close()
    return found


async def missing(endpoint: Endpoint, puts: list[Put], until: float) -> list[Put]:
    """Return the values that are not there any more, nor newer ones, of those that were answered for until then."""
    newest = {one.key: one for one in puts if one.at <= until}
    later = {(one.key, one.revision): one.value for one in puts}
    client = await connect(endpoint, name="power")
    lost = []
    try:
        bucket = await client.jetstream(timeout=_ANSWER).key_value(_BUCKET)
        for key, one in newest.items():
            try:
                entry = await bucket.get(key)
            except NotFoundError:
                lost.append(one)
                continue
            assert entry.revision is not None
            if entry.revision < one.revision or later.get((key, entry.revision)) not in (None, entry.value):
                lost.append(one)
    finally:
        await client.close()
    return lost
