"""The telemetry stream of a namespace: made when first used, limited in age and size, read by job."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec
import nats.errors
from nats.js.api import DiscardPolicy, Header, RetentionPolicy, StorageType, StoreCompression, StreamConfig

from jobledger.core.errors import ServerAway, ServerUnavailable

from ..nats import leader
from ..nats.asking import STREAM_NOT_FOUND, JetStreamError, ask, jetstream
from ..nats.names import Names
from ..nats.stored import StreamMissing, stored_messages
from ..nats.streams import StreamSettingsError, ensure_beside_log
from ..nats.wire import Wire
from .records import Batch, Record, decode_batch

#: What is older, or beyond that size, is forgotten, the oldest first. The size is set aside on the server's disk, so it
#: is modest, a million lines or so, and where that is too much the next smaller one.
MAX_AGE = timedelta(days=30)
MAX_BYTES = tuple(size * 1024 * 1024 for size in (256, 64, 16))
_INSUFFICIENT_STORAGE = 10047

_REPLY = msgspec.json.Decoder(dict[str, Any])


class Stored(NamedTuple):
    """One batch and where it stands."""

    position: int
    batch: Batch
    records: list[Record]


async def publish(client: Wire, names: Names, job_id: str, payload: bytes, identity: str) -> None:
    """Store a batch of a job in the stream, which is there (see `ensure`).

    Where it is not, whoever follows the lines of the job would take the batch for delivered, and nobody would say so.
    Shape:  `identity` is the batch's own: the server stores one of an identity once, however often it is sent.
    Errors: ServerUnavailable when it is not known to be stored; ArgumentError when it is larger than the server's
            messages.
    """
    headers = {Header.MSG_ID.value: identity}
    try:
        answer = await ask(client, names.telemetry_subject(job_id), payload, headers)
    except nats.errors.NoRespondersError:
        raise ServerAway(f"the stream {names.telemetry_stream} does not answer") from None
    error = _REPLY.decode(answer.data).get("error")
    if error is not None:
        raise ServerUnavailable(f"the stream {names.telemetry_stream} refused: {error.get('description')}")


async def ensure(client: Wire, names: Names) -> None:
    """Make the stream if there is none. One that exists stays as it is: its limits are its owner's choice.

    Errors: as `ensure_beside_log`.
    """
    if await _config(client, names) is not None:
        return
    for size in MAX_BYTES:
        try:
            await ensure_beside_log(client, names, _settings(names, size))
            return
        except StreamSettingsError as error:
            code = getattr(error.__cause__, "err_code", None)
            if code != _INSUFFICIENT_STORAGE or size == MAX_BYTES[-1]:
                raise


async def limit(client: Wire, names: Names, max_age: timedelta | None, max_bytes: int | None) -> None:
    """Set how long, and how much in all, is kept; None leaves that as it is. What exceeds it now is forgotten now.

    Errors: JetStreamError when the server refuses; as `ensure`.
    """
    await ensure(client, names)
    config = await _config(client, names)
    assert config is not None
    if max_age is not None:
        config["max_age"] = max_age // timedelta(microseconds=1) * 1000
    if max_bytes is not None:
        config["max_bytes"] = max_bytes
    await jetstream(client, f"STREAM.UPDATE.{names.telemetry_stream}", config)


async def purge(client: Wire, names: Names, job_id: str) -> None:
    """Forget all lines and spans of a job. Errors: as `leader.purge`."""
    await leader.purge(client, names.telemetry_stream, [names.telemetry_subject(job_id)])


async def read(client: Wire, names: Names, job_id: str, *, after: int = 0) -> AsyncGenerator[Stored, None]:
    """Yield the batches of a job behind position `after`, in the order in which they were stored.

    Errors: ServerAway when the server does not answer.
    """
    subject = names.telemetry_subject(job_id)
    try:
        async with aclosing(stored_messages(client, names.telemetry_stream, subject, after + 1)) as messages:
            async for position, _, payload in messages:
                decoded = decode_batch(payload)
                if decoded is not None:
                    yield Stored(position, *decoded)
    except StreamMissing as error:
        if await _config(client, names) is not None:
            raise ServerAway(str(error)) from error


async def _config(client: Wire, names: Names) -> dict[str, Any] | None:
    """Return how the stream is set; None if there is none. Errors: as `jetstream`."""
    try:
        found = await jetstream(client, f"STREAM.INFO.{names.telemetry_stream}", {})
    except JetStreamError as error:
        if error.code != STREAM_NOT_FOUND:
            raise
        return None
    config: dict[str, Any] = found["config"]
    return config


def _settings(names: Names, max_bytes: int) -> StreamConfig:
    return StreamConfig(
        name=names.telemetry_stream,
        subjects=[names.telemetry_subjects],
        description="what tasks logged and traced; may be deleted at any time",
        storage=StorageType.FILE,
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.OLD,
        max_age=MAX_AGE.total_seconds(),
        max_bytes=max_bytes,
        max_msgs=-1,
        max_msgs_per_subject=-1,
        compression=StoreCompression.S2,
        allow_direct=True,
    )
