"""Where the keys of sealed jobs are kept, and the few that are at hand."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Awaitable, Iterable
from typing import Protocol, TypeVar

from jobledger.core.errors import ArgumentError, ErasedError, JobLedgerError, KeyUnavailable

from .cipher import KEY, Cipher
from .seal import UNSEALED, JobSeal, Seal

T = TypeVar("T")

NATS = "nats"  #: name of the key store that is the NATS server
_MOST = 256  # keys at hand
_MAX_NAME = 64  # characters


class KeyStore(Protocol):
    """A service that keeps one key for each sealed job, until that is destroyed: pass yours as `Client(keys=…)`.

    The engine of the namespace has to be given it as well, `jobledger engine --keys module:object`: it is the engine
    that destroys keys. Without one, keys are kept in a key-value bucket on the NATS server that holds the log.

    Shape:  `name` is by what jobs say where their key is: never to be changed. Methods are asynchronous; one that blocks
            uses `asyncio.to_thread`. Each may be called again after an answer was lost.
    Errors: KeyUnavailable for whatever another try does not mend; ServerAway where one may.

    >>> from jobledger.sealing import KeyStore, MemoryKeys
    >>> keys: KeyStore = MemoryKeys("tests")
    >>> keys.name
    'tests'
    """

    @property
    def name(self) -> str: ...

    async def create(self, job_id: str) -> bytes:
        """Return the 32 bytes of a job's key: of a new one, unless it has one. Errors: ErasedError, if it had one."""

    async def fetch(self, job_id: str) -> bytes:
        """Return the key of a job. Errors: ErasedError if it was destroyed."""

    async def destroy(self, job_id: str) -> None:
        """Destroy the key of a job so that nothing brings it back, and keep in mind that there was one."""


class MemoryKeys:
    """Keeps keys in this process, and loses them with it: for tests.

    >>> from jobledger.sealing import MemoryKeys
    >>> client = InlineClient(keys=MemoryKeys("tests"))
    >>> client.run(Greet("world"), encrypt=True).tasks[0].display
    'Hello, world'
    """

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self._keys: dict[str, bytes | None] = {}  # None: destroyed

    async def create(self, job_id: str) -> bytes:
        """Return the key of a job: a new one, unless it has one.

        >>> from jobledger.sealing import MemoryKeys
        >>> len(asyncio.run(MemoryKeys().create("0190f6a4-8c1e-7f5e-9a57-3f1d1c2b4a66")))
        32
        """
        self._keys.setdefault(job_id, os.urandom(KEY))
        return await self.fetch(job_id)

    async def fetch(self, job_id: str) -> bytes:
        """Return the key of a job.

        >>> from jobledger.sealing import MemoryKeys
        >>> asyncio.run(MemoryKeys().fetch("0190f6a4-8c1e-7f5e-9a57-3f1d1c2b4a66"))
        Traceback (most recent call last):
        KeyUnavailable: there is no key of job 0190f6a4-8c1e-7f5e-9a57-3f1d1c2b4a66 in the key store 'memory': ...
        """
        if job_id not in self._keys:
            raise no_key(job_id, self.name)
        key = self._keys[job_id]
        if key is None:
            raise erased(job_id)
        return key

    async def destroy(self, job_id: str) -> None:
        """Forget the key of a job.

        >>> from jobledger.sealing import MemoryKeys
        >>> keys = MemoryKeys()
        >>> asyncio.run(keys.destroy("0190f6a4-8c1e-7f5e-9a57-3f1d1c2b4a66"))
        """
        self._keys[job_id] = None


class Keyring:
    """The key stores a program has, and the keys it used last: at hand until `forget`, or until others take their place."""

    def __init__(self, stores: Iterable[KeyStore]) -> None:
        """The first of these takes new keys."""
        self._stores = {store.name: store for store in stores}
        self._at_hand: OrderedDict[str, JobSeal] = OrderedDict()

    def __contains__(self, key: str) -> bool:
        """Whether a key of this name can be looked for."""
        return store_of(key) in self._stores

    async def create(self, job_id: str) -> Seal:
        """Return the seal of a job that is to be submitted. Errors: as `KeyStore.create`."""
        store = next(iter(self._stores.values()))
        return self._kept(job_id, f"{store.name}/{job_id}", await _asked(store, store.create(job_id)))

    async def seal(self, job_id: str, key: str) -> Seal:
        """Return what opens and seals of a job whose key has this name; "" for one that is not sealed.

        Errors: ErasedError; KeyUnavailable; ServerUnavailable.
        """
        seal = self.at_hand(job_id, key)
        if seal is None:
            store = self._store(job_id, key)
            seal = self._kept(job_id, key, await _asked(store, store.fetch(job_id)))
        return seal

    async def secret(self, job_id: str, key: str) -> bytes:
        """Return the key itself, for a process of this program. Errors: as `seal`."""
        store = self._store(job_id, key)
        return await _asked(store, store.fetch(job_id))

    def at_hand(self, job_id: str, key: str) -> Seal | None:
        """Return the same without asking anybody, on any thread; None where somebody has to be asked."""
        if not key:
            return UNSEALED
        seal = self._at_hand.get(job_id)
        return seal if seal is not None and seal.key == key else None

    async def destroy(self, job_id: str, key: str) -> None:
        """Destroy a key. Errors: as `KeyStore.destroy`."""
        self.forget(job_id)
        store = self._store(job_id, key)
        await _asked(store, store.destroy(job_id))

    def forget(self, job_id: str) -> None:
        """Have the key of a job at hand no more."""
        self._at_hand.pop(job_id, None)

    def _kept(self, job_id: str, key: str, secret: bytes) -> JobSeal:
        if not isinstance(secret, bytes) or len(secret) != KEY:
            raise KeyUnavailable(
                f"the key store {store_of(key)!r} returned as the key of job {job_id} something other than {KEY} bytes"
            )
        self._at_hand.pop(job_id, None)
        seal = self._at_hand[job_id] = JobSeal(key, Cipher(job_id, secret))
        if len(self._at_hand) > _MOST:
            self._at_hand.popitem(last=False)
        return seal

    def _store(self, job_id: str, key: str) -> KeyStore:
        try:
            return self._stores[store_of(key)]
        except KeyError:
            raise KeyUnavailable(
                f"the key of job {job_id} is kept by {store_of(key)!r}, and this program only has "
                f"{', '.join(map(repr, self._stores))}: pass the key store, Client(keys=…), or to an engine by --keys"
            ) from None


async def _asked(store: KeyStore, answer: Awaitable[T]) -> T:
    """Return what a key store answers. Errors: as the methods of `KeyStore`, whatever it raises."""
    try:
        return await answer
    except JobLedgerError:
        raise
    except Exception as error:
        raise KeyUnavailable(f"the key store {store.name!r} failed: {error!r}") from error


def checked_store(keys: KeyStore) -> KeyStore:
    """Return the key store, if it can be one. Errors: ArgumentError."""
    name = getattr(keys, "name", None)
    if (
        not isinstance(name, str)
        or not name.isprintable()
        or "/" in name
        or not 1 <= len(name) <= _MAX_NAME
        or name == NATS
    ):
        raise ArgumentError(
            f"keys={keys!r:.100} is no key store: it needs a `name` of 1 to {_MAX_NAME} characters without a slash, other "
            f"than {NATS!r}, and the methods of jobledger.sealing.KeyStore"
        )
    missing = [one for one in ("create", "fetch", "destroy") if not callable(getattr(keys, one, None))]
    if missing:
        raise ArgumentError(
            f"keys={keys!r:.100} is no key store: it has no method {' and no '.join(missing)}"
        )
    return keys


def store_of(key: str) -> str:
    """Return the name of the key store that has the key of this name."""
    return key.partition("/")[0]


def no_key(job_id: str, store: str) -> KeyUnavailable:
    return KeyUnavailable(
        f"there is no key of job {job_id} in the key store {store!r}: was the store replaced, or restored from a backup "
        "that is older than the job? States and times of the job can be read all the same"
    )


def erased(job_id: str) -> ErasedError:
    return ErasedError(
        f"job {job_id} was erased: it was deleted, and the key of its inputs, results and errors was destroyed. What "
        "happened, and when, still is in its history"
    )
