"""The cache a runner has unless it is given another one: on the NATS server that holds the log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, NoReturn, TypeVar
from urllib.parse import unquote
from uuid import uuid4

from jobledger.core.context import JobCache

from ...link import Link
from ...nats import values
from ...nats.asking import JetStreamError
from ...nats.names import Names as Namespace
from ...nats.wire import Wire
from ...portal import shared_portal
from .cache import CacheError, CacheNotConfigured
from .cache_keys import Names, checked_value, file_name, key_names, missing_key

if TYPE_CHECKING:
    from ...client.client import Client

__all__ = ["NatsCache", "connected"]

PATIENCE = 60.0  # seconds for which a task's access to the cache outlasts a server that is away

T = TypeVar("T")


class NatsCache(JobCache):
    """Keeps values on the NATS server that also holds the log: every runner of a job has the same, on any host.

    A runner has one unless it is given another cache. Outside of tasks, `NatsCache(client)` reads and writes the same:

    >>> cache = NatsCache(client).group(str(job.id))
    >>> cache["result/total"] = b"42"
    >>> list(cache.group("result").items())
    [('total', b'42')]

    Shape:  values of any size that fits in memory; one of up to 64 KiB is a single message. Deleted with their job.
    Safety: a value is replaced in one step, and what was stored is found by whoever reads after that, anywhere. It
            survives what the log survives.
    Errors: CacheError (an OSError) when the server's storage is full; ServerUnavailable (a ConnectionError) when it
            stays away for a minute, or this user may not use the stream.
    """

    def __init__(self, client: Client | None = None) -> None:
        self._link: Callable[[], Awaitable[Link]] | None = None if client is None else client._session.link
        self._prefix: Names = ()

    def __contains__(self, key: object) -> bool:
        subject = self._tokens(key)
        return self._do(lambda connection, names: values.has(connection, names, subject))

    def __getitem__(self, key: str) -> bytes:
        subject = self._tokens(key)
        value = self._do(lambda connection, names: values.get(connection, names, subject))
        if value is None:
            raise missing_key(self._prefix, key)
        return value

    def __setitem__(self, key: str, value: bytes) -> None:
        subject, value, put_id = self._tokens(key), checked_value(key, value), uuid4().bytes
        self._do(lambda connection, names: values.put(connection, names, subject, value, put_id))

    def __delitem__(self, key: str) -> None:
        subject = self._tokens(key)
        tries = []

        async def delete(connection: Wire, names: Namespace) -> bool:
            # Where an answer was lost, what is not there any more may have been deleted by the try before.
            tries.append(True)
            return await values.delete(connection, names, subject) or len(tries) > 1

        if not self._do(delete):
            raise missing_key(self._prefix, key)

    def __iter__(self) -> Iterator[str]:
        group = tuple(map(_token, self._prefix))
        found = self._do(lambda connection, names: values.keys(connection, names, group))
        return iter(sorted(map(_name, found)))

    def group(self, key: str) -> NatsCache:
        inner = NatsCache()
        inner._link, inner._prefix = self._link, key_names(self._prefix, key)
        return inner

    def __reduce__(self) -> str | tuple[object, ...]:
        if self._link is not None or self._prefix:
            raise TypeError(
                "a NatsCache that is connected cannot be handed to another process: give that process a client, and "
                "make the cache there, with NatsCache(client)"
            )
        return (NatsCache, ())

    def __repr__(self) -> str:
        return f"<NatsCache{f' group {chr(47).join(self._prefix)!r}' if self._prefix else ''}>"

    def _tokens(self, key: object) -> tuple[str, ...]:
        return tuple(map(_token, key_names(self._prefix, key)))

    def _do(self, work: Callable[[Wire, Namespace], Awaitable[T]]) -> T:
        """Do something with the connection, on the shared loop, and wait for it."""
        open_link = self._link
        if open_link is None:
            _refuse()

        async def doing() -> T:
            link = await open_link()
            return await link.work(lambda connection: work(connection, link.names), patience=PATIENCE)

        try:
            return shared_portal().run(doing())
        except JetStreamError as error:
            raise CacheError(
                f"the NATS server does not do what the cache asks for: {error}. If its storage is full, delete jobs that "
                "are not needed any more, or raise the limits of its JetStream"
            ) from error


def connected(cache: JobCache, link: Callable[[], Awaitable[Link]]) -> JobCache:
    """Return the cache as the tasks of a runner use it: over the runner's connection, if it has none of its own."""
    if isinstance(cache, NatsCache) and cache._link is None:
        inner = NatsCache()
        inner._link, inner._prefix = link, cache._prefix
        return inner
    return cache


def _refuse() -> NoReturn:
    raise CacheNotConfigured(
        "this NatsCache has no connection: it gets one from the runner it is given to. Anywhere else, write "
        "NatsCache(client)"
    )


def _token(name: str) -> str:
    """Return the name as one token of a subject, in which a dot would divide."""
    return file_name(name).replace(".", "=")


def _name(token: str) -> str:
    return unquote(token.replace("=", "."))
