"""The values that tasks keep for each other in the cache stream of a namespace, by keys made of several names.

A key has one message, its head, on a subject of its own. A small value is in the head; a large one is stored before,
in chunks on another subject that only the head names. So a value is replaced in one step, whatever its size, and a
reader never sees half of one. The subjects of a key begin with its first name, the job: all that a job keeps is
deleted by one filter. The keys of one group are all one filter, too, as the groups are tokens of the subject.

Heads are read from the leader of the stream: what a task has stored, those that depend on it find.
"""

from __future__ import annotations

from uuid import uuid4

import msgspec

from jobledger.core.errors import JobLedgerError, ServerAway
from jobledger.core.undecodable import UNDECODABLE

from . import leader
from .asking import Superseded, append, in_stream
from .buckets import kept
from .chunks import chunk_size, send_chunks, stored_chunks
from .names import Names
from .streams import ensure_beside_log
from .wire import Wire

Key = tuple[str, ...]

#: bytes of a value that is kept in its head: up to here one message is quicker than two
INLINE = 64 * 1024
#: the layout of a head; another number is refused rather than guessed at
_FORMAT = 1


class _Head(msgspec.Struct, array_like=True):
    """What is stored for a key."""

    format: int
    id: bytes  #: 16 bytes, one for each `put`: whoever lost an acknowledgement knows its own head again
    size: int
    data: bytes  #: the value, if it is small
    chunks: str  #: the last token of the subject the chunks are on; "" without any
    count: int  #: how many chunks there are
    replaced: str = ""  #: as `chunks`, of the value that was there before: deleted once this is stored


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Head).decode


async def put(client: Wire, names: Names, key: Key, value: bytes, put_id: bytes) -> None:
    """Keep a value, instead of the one there was. Done twice with the same id, it is done once.

    Errors: JetStreamError, such as for a full stream; as `asking.ask`.
    """
    await in_stream(
        lambda: _put(client, names, key, value, put_id),
        lambda: make_stream(client, names),
    )


async def make_stream(client: Wire, names: Names) -> None:
    """Make the stream, or check the one that exists. Errors: as `ensure_beside_log`."""
    await ensure_beside_log(client, names, kept(names.cache_stream, [f"{names.cache}.>"]))


async def _put(client: Wire, names: Names, key: Key, value: bytes, put_id: bytes) -> None:
    chunks, count = "", 0
    if len(value) > min(INLINE, chunk_size(client)):
        chunks = uuid4().hex
        count = await send_chunks(client, names.cache_stream, _chunks(names, key, chunks), value)
    head = _Head(_FORMAT, put_id, len(value), b"" if count else value, chunks, count)
    try:
        superfluous = await _place(client, names, key, head)
    except ServerAway:  # the head may be stored
        raise
    except BaseException:
        await _drop(client, names, key, [chunks])
        raise
    await _drop(client, names, key, superfluous)


async def _place(client: Wire, names: Names, key: Key, head: _Head) -> list[str]:
    """Store a head, and return which chunks nothing names any more."""
    position = 0  # most keys are new: only where this one is not, its head is looked for
    while True:
        try:
            await append(client, _head(names, key), _encode(head), after=position, alone=True)
            return [head.replaced]
        except Superseded:
            found = await _find(client, names, key)
        if found is None:
            position, head.replaced = 0, ""
        elif found[1].id == head.id:  # it is stored, the acknowledgement was lost
            return [found[1].replaced, head.chunks if head.chunks != found[1].chunks else ""]
        else:
            position, head.replaced = found[0], found[1].chunks


async def get(client: Wire, names: Names, key: Key) -> bytes | None:
    """Return the value, None if there is none. Errors: as `asking.ask`."""
    last = None
    while (found := await _find(client, names, key)) is not None:
        head = found[1]
        if not head.chunks:
            return head.data
        chunks = await stored_chunks(client, names.cache_stream, _chunks(names, key, head.chunks))
        if len(chunks) == head.count and sum(map(len, chunks)) == head.size:
            return b"".join(chunks)
        if head.id == last:
            raise ServerAway(f"{len(chunks)} of the {head.count} parts of the value were found")
        last = head.id  # it was replaced meanwhile
    return None


async def has(client: Wire, names: Names, key: Key) -> bool:
    """Whether there is a value. Errors: as `asking.ask`."""
    return await _find(client, names, key) is not None


async def delete(client: Wire, names: Names, key: Key) -> bool:
    """Delete a value, for good; return whether there was one. Errors: as `asking.ask`."""
    found = await _find(client, names, key)
    if found is None:
        return False
    position, head = found
    # Only this one: a newer value that somebody stores in this moment stays.
    await leader.purge(client, names.cache_stream, [_head(names, key)], before=position + 1)
    await _drop(client, names, key, [head.chunks, head.replaced])
    return True


async def keys(client: Wire, names: Names, group: Key) -> list[str]:
    """Return the last names of the keys directly in a group, in any order. Errors: as `asking.ask`."""
    pattern = f"{_head(names, group)}.*" if group else f"{names.cache}.*.k"
    place = -1 if group else -2
    return [
        subject.split(".")[place] for subject in await leader.subjects_in(client, names.cache_stream, pattern)
    ]


async def purge(client: Wire, names: Names, first: str) -> None:
    """Delete all keys that begin with this name, for good. Errors: as `asking.ask`."""
    await leader.purge(client, names.cache_stream, [f"{names.cache}.{first}.>"])


async def copy(client: Wire, names: Names, first: str, other: str) -> int:
    """Keep all values under keys that begin with `first` also under keys that begin with `other`; return how many.

    Errors: as `put`.
    """
    subjects = await leader.subjects_in(client, names.cache_stream, f"{_head(names, (first,))}.>")
    prefix = len(_head(names, (first,))) + 1
    for subject in subjects:
        rest = subject[prefix:].split(".")
        value = await get(client, names, (first, *rest))
        if value is not None:
            await put(client, names, (other, *rest), value, uuid4().bytes)
    return len(subjects)


async def _find(client: Wire, names: Names, key: Key) -> tuple[int, _Head] | None:
    """Return the head of a key and its position."""
    stored = await leader.newest(client, names.cache_stream, _head(names, key))
    if stored is None:
        return None
    try:
        head = _decode(stored.payload)
    except UNDECODABLE as error:
        raise _unreadable(names, stored.position, str(error)) from error
    if head.format != _FORMAT:
        raise _unreadable(names, stored.position, f"format {head.format}, only {_FORMAT} is known here")
    return stored.position, head


async def _drop(client: Wire, names: Names, key: Key, tokens: list[str]) -> None:
    """Delete chunks that nothing names any more."""
    await leader.purge(client, names.cache_stream, [_chunks(names, key, token) for token in tokens if token])


def _unreadable(names: Names, position: int, problem: str) -> JobLedgerError:
    return JobLedgerError(
        f"what is stored at position {position} of the stream {names.cache_stream} is no value of a cache: {problem}. "
        "Store the value again, with one version of jobledger on all runners"
    )


def _head(names: Names, key: Key) -> str:
    first, *rest = key
    return ".".join([names.cache, first, "k", *rest])


def _chunks(names: Names, key: Key, token: str) -> str:
    return f"{names.cache}.{key[0]}.d.{token}"
