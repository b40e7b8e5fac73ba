"""A cache in an object store, through the obstore library: `pip install 'jobledger[cloud]'`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from os import PathLike, fspath
from typing import Any
from urllib.parse import unquote

from jobledger.core.context import JobCache
from jobledger.core.errors import ArgumentError

from .cache import CacheError
from .cache_keys import Names, checked_value, file_name, group_name, key_names, missing_key

_MAX_PREFIX = 300  # bytes: names of objects end at 1024, and the key takes up to 700
#: what stores say in the error of a key that is missing because everything is
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "bucket does not exist", "container does not exist")


class ObstoreCache(JobCache):
    """Keeps values as objects of any store of the obstore library: for runners that share nothing but the network.

    Shape:  `store` is an obstore store, `prefix` a path in it below which everything is kept. A key is an object of
            the same name (other characters than letters, digits and `_.-~` as %XX) whose content is the value and
            nothing else; a group is a folder whose name ends in `+`. So `ObstoreCache(LocalStore(root))` and
            `LocalFileSystemCache(root)` keep the same files.
    Safety: what the store promises: all that are named here replace an object in one step, and read what was written.
    Errors: CacheError (an OSError) when the store refuses or cannot be reached.

    >>> from obstore.store import MemoryStore
    >>> cache = ObstoreCache(MemoryStore())
    >>> cache["raw/scene"] = b"pixels"
    >>> list(cache.group("raw"))
    ['scene']
    """

    def __init__(self, store: Any, prefix: str | PathLike[str] = "") -> None:
        operations = ("put", "get", "head", "delete", "list_with_delimiter")
        if not all(callable(getattr(store, operation, None)) for operation in operations):
            raise ArgumentError(
                f"store={store!r:.100} is no store of obstore: pass one, such as obstore.store.MemoryStore()"
            )
        self.store = store
        self.prefix = checked_prefix(prefix)
        self._group: Names = ()
        self._seen: list[bool] = []  #: filled once the store is known to exist; shared with all groups

    def __contains__(self, key: object) -> bool:
        path = self._path(key)
        return self._found(lambda: self.store.head(path)) is not None

    def __getitem__(self, key: str) -> bytes:
        path = self._path(key)
        found: bytes | None = self._found(lambda: bytes(self.store.get(path).bytes()))
        if found is None:
            raise missing_key(self._group, key)
        return found

    def __setitem__(self, key: str, value: bytes) -> None:
        path, value = self._path(key), checked_value(key, value)
        with self._refusals():
            self.store.put(path, value)

    def __delitem__(self, key: str) -> None:
        path = self._path(key)
        # Most stores do not say whether there was anything to delete.
        if self._found(lambda: self.store.head(path)) is None:
            raise missing_key(self._group, key)
        self._found(lambda: self.store.delete(path))

    def __iter__(self) -> Iterator[str]:
        with self._refusals():
            objects = self.store.list_with_delimiter(self._folder() or None)["objects"]
        names = [entry["path"].rpartition("/")[2] for entry in objects]
        # A name that no key leads to was put there by somebody else.
        return iter(sorted(key for name in names if file_name(key := unquote(name)) == name))

    def group(self, key: str) -> ObstoreCache:
        inner = ObstoreCache(self.store, self.prefix)
        inner._group, inner._seen = key_names(self._group, key), self._seen
        return inner

    def __repr__(self) -> str:
        place = f" group {'/'.join(self._group)!r}" if self._group else ""
        return f"<{type(self).__name__} {self.store!r} {self.prefix!r}{place}>"

    def _path(self, key: object) -> str:
        *group, name = key_names(self._group, key)
        return "/".join(filter(None, [self.prefix, *map(group_name, group), file_name(name)]))

    def _folder(self) -> str:
        return "/".join(filter(None, [self.prefix, *map(group_name, self._group)]))

    def _found(self, look: Callable[[], Any]) -> Any:
        """Return what `look` returns, None where it finds no object. Errors: CacheError."""
        with self._refusals():
            try:
                return look()
            except FileNotFoundError as error:
                if any(words in str(error) for words in _NO_BUCKET):
                    raise
        self._make_sure_of_the_store()
        return None

    def _make_sure_of_the_store(self) -> None:
        """Tell a key that is missing from a bucket that is, once: not every answer does."""
        if not self._seen:
            from obstore.exceptions import PermissionDeniedError

            # To list is more than reading and writing need: whoever may not is not stopped here.
            with self._refusals(), suppress(PermissionDeniedError):
                self.store.list_with_delimiter(f"{self.prefix}/+".lstrip("/"))
            self._seen.append(True)

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Have what goes wrong inside told as a CacheError."""
        try:
            yield
        except Exception as error:  # a store raises what it likes, and so do the credentials behind it
            raise CacheError(
                f"the cache in {self.store!r} cannot be used: {said_by(error)}. Check that it exists, and that these "
                "credentials may read, write, list and delete there"
            ) from error


def said_by(error: Exception) -> str:
    """Return what an error of obstore says, without what is for its developers; of an answer in XML, what it says."""
    text = str(error).partition("\n\nDebug source")[0].strip()
    answer = re.search(r"<Code>([^<]*)</Code>\s*<Message>([^<\n]*)", text)
    return f"{answer[1]}: {answer[2].strip(' .')}" if answer else text or type(error).__name__


def checked_prefix(prefix: object) -> str:
    """Return a path in a store without slashes around it; "" for its top. Errors: ArgumentError."""
    try:
        path = fspath(prefix)  # type: ignore[call-overload]
        names = [name for name in path.split("/") if name not in ("", ".")]
    except (TypeError, AttributeError):
        raise ArgumentError(f"prefix={prefix!r:.100} is no path: pass text, such as prefix='jobs'") from None
    if ".." in names or not path.isprintable() or len("/".join(names).encode()) > _MAX_PREFIX:
        raise ArgumentError(
            f"prefix={path!r:.100} cannot begin the names of objects: pass a path such as 'jobs/mine', of up to "
            f"{_MAX_PREFIX} bytes and without '..'"
        )
    return "/".join(names)
