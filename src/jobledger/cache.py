"""Caches for the tasks of a job: `client.runner(tasks=[…], cache=LocalFileSystemCache("cache"))`."""

from jobledger.adapters.runner.cache import (
    CacheNotConfigured,
    InMemoryCache,
    JobCache,
    LocalFileSystemCache,
    NoCache,
)

__all__ = ["CacheNotConfigured", "InMemoryCache", "JobCache", "LocalFileSystemCache", "NoCache"]
