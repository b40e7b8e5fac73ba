"""A cache of a sealed job: what is kept, and the names it is kept by, only the job's key can read."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import TYPE_CHECKING

from jobledger.core.context import JobCache
from jobledger.core.errors import ArgumentError, SealBroken
from jobledger.projections.sealed import CACHE_NAME, of_cache_value

from ..runner.caches.cache_keys import MAX_NAME, Names, checked_value, key_names, missing_key
from .cipher import OVERHEAD

if TYPE_CHECKING:
    from .seal import Seal

_MAX_NAME = MAX_NAME * 3 // 4 - OVERHEAD  # bytes of a name that can be kept


class SealedCache(JobCache):
    """Keeps what it is given in `cache`, the place of one job in a cache."""

    def __init__(self, cache: JobCache, seal: Seal, prefix: Names = ()) -> None:
        self._cache = cache
        self._seal = seal
        self._prefix = prefix  #: the groups it is in

    def __contains__(self, key: object) -> bool:
        return self._kept(self._names(key)) in self._cache

    def __getitem__(self, key: str) -> bytes:
        names = self._names(key)
        try:
            kept = self._cache[self._kept(names)]
        except KeyError:
            raise missing_key(self._prefix, key) from None
        return self._seal.opened(kept, of_cache_value((*self._prefix, *names)))

    def __setitem__(self, key: str, value: bytes) -> None:
        names = self._names(key)
        place = of_cache_value((*self._prefix, *names))
        self._cache[self._kept(names)] = self._seal.sealed(checked_value(key, value), place)

    def __delitem__(self, key: str) -> None:
        try:
            del self._cache[self._kept(self._names(key))]
        except KeyError:
            raise missing_key(self._prefix, key) from None

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(name for kept in self._cache if (name := self._name(kept)) is not None))

    def group(self, key: str) -> SealedCache:
        names = self._names(key)
        return SealedCache(self._cache.group(self._kept(names)), self._seal, (*self._prefix, *names))

    def __repr__(self) -> str:
        return f"<sealed {self._cache!r}>"

    def _names(self, key: object) -> Names:
        """Return the names a key is made of. Errors: ArgumentError."""
        names = key_names((), key)
        for name in names:
            if len(name.encode()) > _MAX_NAME:
                raise ArgumentError(
                    f"the cache key {key!r:.80} is too long: in a sealed job, {_MAX_NAME} bytes between slashes can be "
                    "kept. Nothing was read or stored. Use a digest of it"
                )
        return names

    def _kept(self, names: Names) -> str:
        """Return the key under which it is kept."""
        sealed = (self._seal.sealed(name.encode(), CACHE_NAME) for name in names)
        return "/".join(base64.urlsafe_b64encode(one).decode().rstrip("=") for one in sealed)

    def _name(self, kept: str) -> str | None:
        """Return the name that is kept as this; None for what somebody else has put there."""
        try:
            sealed = base64.b64decode(kept + "=" * (-len(kept) % 4), b"-_", validate=True)
            return self._seal.opened(sealed, CACHE_NAME).decode()
        except (binascii.Error, ValueError, SealBroken):
            return None
