"""Caches for the tasks of a job: all of them take the same keys.

>>> from jobledger.cache import LocalFileSystemCache
>>> runner = client.runner(tasks=[Greet], cache=LocalFileSystemCache("cache"))

Without that argument the tasks have a `NatsCache`, which all runners of the job share.
"""

from __future__ import annotations

from ._lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .adapters.runner.cache import (
        CacheError,
        CacheNotConfigured,
        InMemoryCache,
        JobCache,
        LocalFileSystemCache,
        NoCache,
    )
    from .adapters.runner.cloud_caches import AmazonS3Cache, AzureBlobCache, GoogleStorageCache
    from .adapters.runner.nats_cache import NatsCache
    from .adapters.runner.object_cache import ObstoreCache

_HOMES = {
    "AmazonS3Cache": "jobledger.adapters.runner.cloud_caches",
    "AzureBlobCache": "jobledger.adapters.runner.cloud_caches",
    "CacheError": "jobledger.adapters.runner.cache",
    "CacheNotConfigured": "jobledger.adapters.runner.cache",
    "GoogleStorageCache": "jobledger.adapters.runner.cloud_caches",
    "InMemoryCache": "jobledger.adapters.runner.cache",
    "JobCache": "jobledger.adapters.runner.cache",
    "LocalFileSystemCache": "jobledger.adapters.runner.cache",
    "NatsCache": "jobledger.adapters.runner.nats_cache",
    "NoCache": "jobledger.adapters.runner.cache",
    "ObstoreCache": "jobledger.adapters.runner.object_cache",
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
