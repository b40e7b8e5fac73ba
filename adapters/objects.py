"""What is too large for a message: the bytes of inputs and results, in the object store of the namespace.

An object is named by its job and the SHA-256 of its bytes, `<job_id>/<hex>`: the same bytes are stored once per job,
whoever stores them, and whoever reads them can tell that they are whole. An object is never changed, and goes when
its job is deleted.

The bucket is an ordinary object store of NATS: `nats object ls` shows it, and any client reads it. In the place of a
random id, the subject of an object's chunks names its job and its hash as well. So all that belongs to a job is found
by a subject filter, and not by reading through the whole bucket.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec

from jobledger.core.errors import ArgumentError, JobLedgerError, NotFoundError

from .nats import leader
from .nats.asking import JetStreamError, Superseded, append, in_stream
from .nats.buckets import make_object_store, object_store
from .nats.chunks import CHUNK, chunk_size, send_chunks, stored_chunks
from .nats.names import Names
from .nats.stored import last_message
from .nats.wire import Wire

LARGEST = 1024**3  # bytes of an object: all of it passes through the memory of whoever stores or reads it


class MissingObject(NotFoundError):
    """An object that is referred to is not in the object store."""


class DamagedObject(JobLedgerError):
    """The bytes of a large input or result are not those that were stored.

    Trying again does not help: submit the job again, with `force=True` where it may reuse the damaged result.

    >>> try:
    ...     result = job.result
    ... except DamagedObject:
    ...     job = client.jobs().submit("greetings", Greet("world"), force=True)
    """


class ObjectRefused(JobLedgerError):
    """The server does not take a large input or result: its object store is full, say. Storing it again will not help.

    Nothing was submitted; or the attempt that returned it has failed. Delete jobs that are not needed any more, raise
    the limits of the server's JetStream, or pass a path to the data.

    >>> try:
    ...     job = client.jobs().submit("greetings", Greet("world" * 100_000))
    ... except ObjectRefused as error:
    ...     raise SystemExit(f"make room on the server: {error}")
    """


class _Meta(msgspec.Struct):
    """The description of an object, as the object stores of NATS have it."""

    name: str
    bucket: str
    nuid: str  #: last tokens of the subject of its chunks
    size: int
    chunks: int
    digest: str
    mtime: str = ""
    options: dict[str, Any] = {}


_decode_meta = msgspec.json.Decoder(_Meta).decode


async def object_name(job_id: str, data: bytes) -> str:
    """Return the name under which a job has these bytes."""
    digest = hashlib.sha256(data) if len(data) < CHUNK else await asyncio.to_thread(hashlib.sha256, data)
    return f"{job_id}/{digest.hexdigest()}"


async def put(client: Wire, names: Names, job_id: str, data: bytes) -> str:
    """Store the bytes for a job and return the object's name. Storing the same again costs one round trip.

    Errors: ArgumentError for more than 1 GiB, and for nothing; ObjectRefused; ServerAway, ServerUnavailable; StreamSettingsError
            where a bucket of this name cannot be relied on.
    """
    if not 0 < len(data) <= LARGEST:
        raise ArgumentError(
            f"an object of {len(data):,} bytes cannot be stored: it has 1 to {LARGEST:,} bytes. Put the data into a "
            "file or an object store of your own and pass its path or key"
        )
    name = await object_name(job_id, data)
    if await _meta(client, names, name) is not None:
        return name
    try:
        await in_stream(
            lambda: _store(client, names, name, data),
            lambda: make_object_store(client, names, names.objects_bucket),
        )
    except JetStreamError as error:
        raise ObjectRefused(
            f"the object store {names.objects_bucket} does not take an object of {len(data):,} bytes of job {job_id}: "
            f"{error}. Make room on the NATS server (delete jobs that are not needed any more), or raise the limits "
            "of its JetStream"
        ) from error
    return name


async def get(client: Wire, names: Names, name: str) -> bytes:
    """Return the bytes of an object, whole and as they were stored.

    Errors: MissingObject; DamagedObject; ServerAway, ServerUnavailable.
    """
    found = await _meta(client, names, name)
    if found is None:  # perhaps only on the replica that answered
        stored = await leader.newest(client, _stream(names), _described(names, name))
        if stored is None:
            raise missing(names, name)
        found = _decode_meta(stored.payload)
    chunks = await stored_chunks(client, _stream(names), _chunks(names, found.nuid))
    if len(chunks) < found.chunks:
        raise missing(names, name, f"{len(chunks)} of its {found.chunks} parts are left")
    data = b"".join(chunks)
    if await object_name(job_of(name), data) != name:
        raise DamagedObject(
            f"the object {name} in the object store {names.objects_bucket} is damaged: the hash of its "
            f"{len(data):,} bytes is not the one in its name. Submit the job again"
        )
    return data


async def copy(client: Wire, names: Names, name: str, job_id: str) -> str:
    """Give a job an object of another one; return its name there. Errors: as `get` and `put`."""
    own = f"{job_id}/{name.rpartition('/')[2]}"
    if await _meta(client, names, own) is not None:
        return own
    return await put(client, names, job_id, await get(client, names, name))


async def purge(client: Wire, names: Names, job_id: str) -> int:
    """Delete all objects of a job, for good; return how many there were. May be done again at any time.

    Errors: ServerAway, ServerUnavailable; JetStreamError.
    """
    stream = _stream(names)
    subjects = await leader.subjects_in(client, stream, _chunks(names, f"{job_id}.>"))
    objects = {f"{job_id}/{subject.split('.')[-2]}" for subject in subjects}
    # The descriptions first: what is still described is whole.
    await leader.purge(client, stream, (_described(names, name) for name in objects))
    await leader.purge(client, stream, subjects)
    return len(objects)


def job_of(name: str) -> str:
    """Return the id of the job an object belongs to."""
    return name.rpartition("/")[0]


def digest_of(name: str) -> bytes:
    """Return the SHA-256 of the bytes that an object holds."""
    return bytes.fromhex(name.rpartition("/")[2])


def missing(names: Names, name: str, detail: str = "") -> MissingObject:
    return MissingObject(
        f"the object {name} is not in the object store {names.objects_bucket}{f' ({detail})' if detail else ''}: job "
        f"{job_of(name)} was deleted, or its objects were removed from the server. Submit the job again"
    )


async def _store(client: Wire, names: Names, name: str, data: bytes) -> None:
    job_id, _, digest = name.rpartition("/")
    # Its own even if somebody stores the same bytes in this very moment: two would mix their chunks on one subject.
    nuid = f"{job_id}.{digest}.{uuid4().hex}"
    subject = _chunks(names, nuid)
    meta = _Meta(
        name=name,
        bucket=names.objects_bucket,
        nuid=nuid,
        size=len(data),
        chunks=await send_chunks(client, _stream(names), subject, data),
        digest="SHA-256=" + base64.urlsafe_b64encode(bytes.fromhex(digest)).decode(),
        mtime=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        options={"max_chunk_size": chunk_size(client)},
    )
    try:
        await append(client, _described(names, name), msgspec.json.encode(meta), after=0)
    except Superseded:  # somebody else was quicker with the same bytes
        await leader.purge(client, _stream(names), [subject])


async def _meta(client: Wire, names: Names, name: str) -> _Meta | None:
    """Return the description of an object, if some replica has it."""
    payload = await last_message(client, _stream(names), _described(names, name))
    return None if payload is None else _decode_meta(payload)


def _stream(names: Names) -> str:
    return object_store(names.objects_bucket)


def _chunks(names: Names, nuid: str) -> str:
    return f"$O.{names.objects_bucket}.C.{nuid}"


def _described(names: Names, name: str) -> str:
    return f"$O.{names.objects_bucket}.M.{base64.urlsafe_b64encode(name.encode()).decode()}"
