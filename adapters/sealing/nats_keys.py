"""Keys of sealed jobs in a key-value bucket on the NATS server: one message for each job, its key or the word that there
was one.

A key is destroyed by putting random bytes in its place in the server's file (JetStream's secure erase), and not by what
key-value stores call delete or purge, which add a message and leave the bytes behind. An empty value takes its place: it
says that there was a key, and that none is ever made for this job again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from jobledger.core.errors import KeyUnavailable, ServerAway, ServerUnavailable

from ..nats import leader
from ..nats.asking import MESSAGE_NOT_FOUND, JetStreamError, Superseded, append, in_stream, jetstream
from ..nats.buckets import kept, key_value
from ..nats.names import Names
from ..nats.streams import ensure_beside_log
from ..nats.wire import Wire
from .cipher import KEY
from .keys import NATS, erased, no_key

if TYPE_CHECKING:
    from ..link import Link

#: what is done with the connection, and done again if the server was away
Work: TypeAlias = Callable[[Wire, Names], Awaitable[bytes | None]]

_DESTROYED = b""  #: what is kept in place of a key
_NO_SUCH_SEQUENCE = 10043


class NatsKeys:
    """The bucket of one namespace. `do` does something with a connection to it."""

    name = NATS

    def __init__(self, do: Callable[[Work], Awaitable[bytes | None]]) -> None:
        self._do = do

    async def create(self, job_id: str) -> bytes:
        return _there(job_id, await self._asked(lambda client, names: create(client, names, job_id), job_id))

    async def fetch(self, job_id: str) -> bytes:
        return _there(job_id, await self._asked(lambda client, names: fetch(client, names, job_id), job_id))

    async def destroy(self, job_id: str) -> None:
        await self._asked(lambda client, names: destroy(client, names, job_id), job_id)

    async def _asked(self, work: Work, job_id: str) -> bytes | None:
        try:
            return await self._do(work)
        except ServerAway:
            raise
        except ServerUnavailable as error:  # this user may not
            raise KeyUnavailable(
                f"the key of job {job_id} is in a bucket of the NATS server that cannot be used: {error}. States and "
                "times of the job can be read all the same"
            ) from error


def keys_over(link: Callable[[], Awaitable[Link]], patience: float) -> NatsKeys:
    """Return the keys on the server that `link` connects to, which is waited for while it is away.

    Units:  `patience` is seconds.
    """

    async def do(work: Work) -> bytes | None:
        connection = await link()
        return await connection.work(lambda client: work(client, connection.names), patience=patience)

    return NatsKeys(do)


def _there(job_id: str, key: bytes | None) -> bytes:
    if key is None:
        raise no_key(job_id, NATS)
    if key == _DESTROYED:
        raise erased(job_id)
    return key


async def create(client: Wire, names: Names, job_id: str) -> bytes:
    """Return the key of a job, a new one unless there is one; b"" if it was destroyed.

    Errors: JetStreamError, such as for a full server; as `asking.ask`.
    """
    while True:
        key = await fetch(client, names, job_id)
        if key is not None:
            return key
        key = os.urandom(KEY)
        try:
            await _append(client, names, job_id, key)
            return key
        except Superseded:  # somebody else made one, or this one is stored and only the answer was lost
            continue


async def fetch(client: Wire, names: Names, job_id: str) -> bytes | None:
    """Return the key of a job; b"" if it was destroyed, None if there is none. Errors: as `asking.ask`."""
    # Of the leader: a replica that lags behind may have a key that is destroyed.
    found = await leader.newest(client, _stream(names), _subject(names, job_id))
    return None if found is None else found.payload


async def destroy(client: Wire, names: Names, job_id: str) -> bytes | None:
    """Erase the key of a job, and say in its place that there was one. May be done again at any time.

    Errors: JetStreamError; as `asking.ask`.
    """
    subject = _subject(names, job_id)
    while True:
        found = await leader.newest(client, _stream(names), subject)
        if found is not None and found.payload == _DESTROYED:
            return found.payload
        if found is not None:
            await _erase(client, names, found.position)
        with contextlib.suppress(Superseded):
            await _append(client, names, job_id, _DESTROYED)


async def _erase(client: Wire, names: Names, position: int) -> None:
    try:
        await jetstream(client, f"STREAM.MSG.DELETE.{_stream(names)}", {"seq": position, "no_erase": False})
    except JetStreamError as error:
        if error.code not in (MESSAGE_NOT_FOUND, _NO_SUCH_SEQUENCE):  # it was done before
            raise


async def _append(client: Wire, names: Names, job_id: str, key: bytes) -> None:
    """Store it as the first one of the job. Errors: as `append`."""
    await in_stream(
        lambda: append(client, _subject(names, job_id), key, after=0), lambda: make_bucket(client, names)
    )


async def make_bucket(client: Wire, names: Names) -> None:
    """Make the bucket, or check the one that exists. Errors: as `ensure_beside_log`."""
    settings = kept(_stream(names), [f"$KV.{names.keys_bucket}.>"])
    settings.max_msgs_per_subject = 1
    # Keys are read from the leader: no copy of one in a replica's answer, and one right to grant, or not to.
    settings.allow_direct = False
    await ensure_beside_log(client, names, settings)


def _stream(names: Names) -> str:
    return key_value(names.keys_bucket)


def _subject(names: Names, job_id: str) -> str:
    return f"$KV.{names.keys_bucket}.{job_id}"
