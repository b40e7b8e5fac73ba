"""Where the tasks of a job keep bytes for each other. The runner is given one; a task sees it as `job_cache`.

>>> cache = InMemoryCache()
>>> cache["raw/2024.json"] = b"{}"
>>> cache["status"] = b"ready"
>>> list(cache), list(cache.group("raw"))
(['status'], ['2024.json'])

All caches take the same keys, so that what works with one in a test works with another on a cluster.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote
from uuid import uuid4

from jobledger.core.context import JobCache
from jobledger.core.errors import JobLedgerError

from .cache_keys import Names, checked_value, file_name, group_name, key_names, missing_key

__all__ = ["CacheError", "CacheNotConfigured", "InMemoryCache", "JobCache", "LocalFileSystemCache", "NoCache"]


class CacheNotConfigured(JobLedgerError):
    """There is no cache to use: the runner was given `NoCache`, a `NatsCache` has no client, or a library is missing.

    No KeyError: that would read as a key which is not there yet. The message says what to pass or to install.

    >>> NoCache()["result"] = b"42"
    Traceback (most recent call last):
    CacheNotConfigured: this runner was started with cache=NoCache(), so nothing was read or stored. ...
    """


class CacheError(JobLedgerError, OSError):
    """The place where a cache keeps its values does not do what it is asked: it is full, missing, or not permitted.

    Nothing was stored. In a task it fails the attempt; `Retry(3, delay=10.0, on=(CacheError,))` tries it again.

    >>> from obstore.store import S3Store
    >>> nowhere = ObstoreCache(S3Store("bucket", endpoint="http://127.0.0.1:9", client_options={"allow_http": True},
    ...     retry_config={"max_retries": 0}, skip_signature=True))
    >>> nowhere["result"] = b"42"
    Traceback (most recent call last):
    CacheError: ...
    """


class NoCache(JobCache):
    """For runners whose tasks are to keep nothing: any use raises CacheNotConfigured.

    >>> runner = client.runner(tasks=[Greet], cache=NoCache())
    >>> NoCache()["result"]
    Traceback (most recent call last):
    CacheNotConfigured: this runner was started with cache=NoCache(), so nothing was read or stored. ...
    """

    def __contains__(self, key: object) -> bool:
        self._refuse()

    def __getitem__(self, key: str) -> bytes:
        self._refuse()

    def __setitem__(self, key: str, value: bytes) -> None:
        self._refuse()

    def __delitem__(self, key: str) -> None:
        self._refuse()

    def __iter__(self) -> Iterator[str]:
        self._refuse()

    def group(self, key: str) -> NoCache:
        """Return this cache: naming a group is no use yet, and the runner does it for every task.

        >>> cache = NoCache()
        >>> cache.group("raw") is cache
        True
        """
        return self

    def _refuse(self) -> NoReturn:
        raise CacheNotConfigured(
            "this runner was started with cache=NoCache(), so nothing was read or stored. Leave the argument out, "
            "or give it a cache that all runners of the job share: client.runner(tasks=[…])"
        )


class InMemoryCache(JobCache):
    """Keeps values in this process: for tests, and for jobs run by the threads of a single runner.

    >>> cache = InMemoryCache()
    >>> cache["raw/orders"] = b"1,2,3"
    >>> "raw/orders" in cache, list(cache.group("raw"))
    (True, ['orders'])
    >>> runner = client.runner(tasks=[Greet], cache=cache)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: dict[Names, dict[str, bytes]] = {}  #: shared by the cache and all its groups
        self._prefix: Names = ()

    def __contains__(self, key: object) -> bool:
        group, name = self._place(key)
        with self._lock:
            return name in self._groups.get(group, ())

    def __getitem__(self, key: str) -> bytes:
        group, name = self._place(key)
        with self._lock:
            try:
                return self._groups[group][name]
            except KeyError:
                raise missing_key(self._prefix, key) from None

    def __setitem__(self, key: str, value: bytes) -> None:
        group, name = self._place(key)
        value = checked_value(key, value)
        with self._lock:
            self._groups.setdefault(group, {})[name] = value

    def __delitem__(self, key: str) -> None:
        group, name = self._place(key)
        with self._lock:
            try:
                del self._groups[group][name]
            except KeyError:
                raise missing_key(self._prefix, key) from None
            if not self._groups[group]:
                del self._groups[group]

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            names = list(self._groups.get(self._prefix, ()))
        return iter(sorted(names))

    def group(self, key: str) -> InMemoryCache:
        inner = InMemoryCache()
        inner._lock, inner._groups = self._lock, self._groups
        inner._prefix = key_names(self._prefix, key)
        return inner

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "an InMemoryCache cannot be handed to another process: nothing stored there would be seen here. "
            "Use LocalFileSystemCache for runners with several processes"
        )

    def __repr__(self) -> str:
        return f"InMemoryCache({'/'.join(self._prefix)!r})" if self._prefix else "InMemoryCache()"

    def _place(self, key: object) -> tuple[Names, str]:
        *group, name = key_names(self._prefix, key)
        return tuple(group), name


class LocalFileSystemCache(JobCache):
    """Keeps each value in a file below `root`: for runners that share a file system.

    Shape:  a key is a file of the same name (other characters than letters, digits and `_.-~` as %XX) whose content
            is the value and nothing else; a group is a directory whose name ends in `+`. Keys that differ in case
            only need a file system that tells them apart.
    Safety: a value is written beside its place and moved there, so threads and processes on any number of hosts see
            it whole or not at all; the last writer wins. With `sync`, it has also reached the disk by then: the log
            remembers a finished task after a power failure, so what the task stored must be there too. Without, a
            write does not wait for the disk.
    Errors: OSError when the disk is full or not permitted.

    >>> cache = LocalFileSystemCache("cache")
    >>> cache["raw/orders"] = b"1,2,3"
    >>> Path("cache/raw+/orders").read_bytes()
    b'1,2,3'
    >>> runner = client.runner(tasks=[Greet], cache=cache)
    """

    def __init__(self, root: str | os.PathLike[str] = "cache", *, sync: bool = True) -> None:
        self.root = Path(root).absolute()  # a task may change the working directory
        self.sync = sync
        self._prefix: Names = ()

    def __contains__(self, key: object) -> bool:
        return os.path.isfile(self._path(key))

    def __getitem__(self, key: str) -> bytes:
        try:
            with open(self._path(key), "rb") as file:
                return file.read()
        except FileNotFoundError:
            raise missing_key(self._prefix, key) from None

    def __setitem__(self, key: str, value: bytes) -> None:
        path = self._path(key)
        value = checked_value(key, value)
        directory = os.path.dirname(path)
        self._make(directory)
        # The dot keeps it apart from keys, whose first dot is encoded. Left behind only if the process dies here.
        beside = os.path.join(directory, f".{uuid4().hex}")
        try:
            with open(beside, "xb") as file:
                file.write(value)
                if self.sync:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(beside, path)
        except BaseException:
            if os.path.exists(beside):
                os.unlink(beside)
            raise
        self._settle(directory)

    def __delitem__(self, key: str) -> None:
        path = self._path(key)
        try:
            os.unlink(path)
        except FileNotFoundError:
            raise missing_key(self._prefix, key) from None
        self._settle(os.path.dirname(path))

    def __iter__(self) -> Iterator[str]:
        try:
            with os.scandir(self._directory(self._prefix)) as entries:
                files = [entry.name for entry in entries if entry.is_file()]
        except FileNotFoundError:
            files = []
        # A name that no key leads to is a half-written value, or was put there by somebody else.
        return iter(sorted(key for file in files if file_name(key := unquote(file)) == file))

    def group(self, key: str) -> LocalFileSystemCache:
        inner = LocalFileSystemCache(self.root, sync=self.sync)
        inner._prefix = key_names(self._prefix, key)
        return inner

    def __repr__(self) -> str:
        place = f" group {'/'.join(self._prefix)!r}" if self._prefix else ""
        return f"<LocalFileSystemCache {str(self.root)!r}{place}>"

    def _path(self, key: object) -> str:
        *group, name = key_names(self._prefix, key)
        return os.path.join(self._directory(group), file_name(name))

    def _directory(self, group: Names | list[str]) -> str:
        return os.path.join(self.root, *map(group_name, group))

    def _make(self, directory: str) -> None:
        if os.path.isdir(directory):
            return
        parent = os.path.dirname(directory)
        self._make(parent)
        try:
            os.mkdir(directory)
        except FileExistsError:
            if not os.path.isdir(directory):
                raise
        self._settle(parent)

    def _settle(self, directory: str) -> None:
        """Have the names in this directory reach the disk."""
        if self.sync:
            descriptor = os.open(directory, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
