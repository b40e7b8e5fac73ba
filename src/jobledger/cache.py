"""Caches for the tasks of a job: all of them take the same keys.

>>> from jobledger.cache import LocalFileSystemCache
>>> runner = client.runner(tasks=[Greet], cache=LocalFileSystemCache("cache"))

Without that argument the tasks have a `NatsCache`, which all runners of the job share.
"""

from __future__ import annotations

from ._lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .adapters.runner.caches.cache import (
        CacheError,
        CacheNotConfigured,
        InMemoryCache,
        JobCache,
        LocalFileSystemCache,
        NoCache,
    )
    from .adapters.runner.caches.cloud_caches import AmazonS3Cache, AzureBlobCache, GoogleStorageCache
    from .adapters.runner.caches.nats_cache import NatsCache
    from .adapters.runner.caches.object_cache import ObstoreCache

_HOMES = {
    "AmazonS3Cache": "jobledger.adapters.runner.caches.cloud_caches",
    "AzureBlobCache": "jobledger.adapters.runner.caches.cloud_caches",
    "CacheError": "jobledger.adapters.runner.caches.cache",
    "CacheNotConfigured": "jobledger.adapters.runner.caches.cache",
    "GoogleStorageCache": "jobledger.adapters.runner.caches.cloud_caches",
    "InMemoryCache": "jobledger.adapters.runner.caches.cache",
    "JobCache": "jobledger.adapters.runner.caches.cache",
    "LocalFileSystemCache": "jobledger.adapters.runner.caches.cache",
    "NatsCache": "jobledger.adapters.runner.caches.nats_cache",
    "NoCache": "jobledger.adapters.runner.caches.cache",
    "ObstoreCache": "jobledger.adapters.runner.caches.object_cache",
}
__getattr__ = lazy_names(globals(), _HOMES)
__all__ = [
    "AmazonS3Cache",
    "AzureBlobCache",
    "CacheError",
    "CacheNotConfigured",
    "GoogleStorageCache",
    "InMemoryCache",
    "JobCache",
    "LocalFileSystemCache",
    "NatsCache",
    "NoCache",
    "ObstoreCache",
]


def __dir__() -> list[str]:
    return __all__
