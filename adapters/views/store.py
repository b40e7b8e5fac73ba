"""What a projector needs of a database, and which one a URL means."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from jobledger.core.errors import ArgumentError, JobLedgerError
from jobledger.projections.jobs import Changes, JobFilter, JobRow

#: of the tables: another number is another view, made anew from the log
SCHEMA = 1


class Log(NamedTuple):
    """Which log a view is of."""

    name: str  #: of the stream
    created: str  #: when the stream was made, as the server says it: a new one by the old name is another log


class Overtaken(JobLedgerError):
    """Someone else has moved the view meanwhile, or dropped it. Nothing was saved."""


class StoreAway(JobLedgerError):
    """The database does not answer just now."""


class StoreDamaged(JobLedgerError):
    """The view cannot be read any more, or contradicts itself. It is empty when it is opened again."""


class Found(NamedTuple):
    """Rows, and the position of the log that the view told of when they were read."""

    rows: list[JobRow]
    position: int


class Counted(NamedTuple):
    """A number of rows, and the position of the log that the view told of when they were counted."""

    number: int
    position: int


class JobStore(Protocol):
    """The view in one database. May be used from several threads.

    Errors of all methods: StoreAway; StoreDamaged.
    """

    shown: str  #: where it is, without a password

    def position(self) -> int:
        """Return the position of the log up to which the view tells; 0 for an empty one."""

    def save(self, changes: Changes, *, after: int, position: int) -> None:
        """Move the view from position `after` to `position`. Errors: Overtaken, if it is not at `after`."""

    def reset(self) -> None:
        """Drop everything: the view is empty, at position 0."""

    def page(self, wanted: JobFilter, *, behind: int | None, limit: int) -> Found:
        """Return the newest of these jobs, `limit` at most; those that come behind a place where one is given."""

    def count(self, wanted: JobFilter) -> Counted:
        """Return how many jobs these are."""

    def close(self) -> None: ...


def check_url(url: str) -> str:
    """Return the URL of a store. Errors: ArgumentError, which never repeats a password.

    >>> check_url("sqlite:///data/jobs.sqlite3")
    'sqlite:///data/jobs.sqlite3'
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("sqlite", "postgresql", "postgres") or not rest.strip("/"):
        shown = f"{scheme}://…" if separator else repr(url[:100])
        raise ArgumentError(
            f"store={shown} is not the address of a store: write sqlite:///path/to/file.sqlite3 (one more slash for an "
            "absolute path), or postgresql://user:password@host/database"
        )
    return url


def open_store(url: str, namespace: str, log: Log) -> JobStore:
    """Return the view of this log in the database of this URL, made if there is none.

    A view of an earlier schema, or one that cannot be read, is put aside and made anew.
    Errors: ArgumentError for a URL that is none, a file that belongs to another program, a view of another log;
            StoreAway.
    """
    check_url(url)
    if url.startswith("sqlite"):
        from .sqlite import open_sqlite

        return open_sqlite(Path(unquote(urlsplit(url).path)[1:]), log)
    try:
        from .postgres import open_postgres
    except ImportError as error:
        raise ArgumentError(
            f"a store in PostgreSQL needs psycopg ({error}): pip install 'jobledger[postgres]'"
        ) from error
    return open_postgres(url, namespace, log)


@contextlib.contextmanager
def closing_on_error(store: JobStore) -> Iterator[None]:
    """Close the store if the block raises."""
    try:
        yield
    except BaseException:
        store.close()
        raise
