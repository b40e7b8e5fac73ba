"""The view in an SQLite file: the default, and enough for a million jobs. Its tables: `sqlite_tables`."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eventsourcing.persistence import PersistenceError, Tracking
from eventsourcing.sqlite import (
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteCursor,
    SQLiteDatastore,
    SQLiteTrackingRecorder,
)

from jobledger.core.errors import ArgumentError
from jobledger.projections.jobs import Changes, JobFilter

from . import sqlite_search
from .columns import values_of
from .sqlite_tables import APPLICATION_ID, TABLES, make_tables, row_from, write
from .store import SCHEMA, Counted, Found, Log, Overtaken, StoreAway, StoreDamaged, closing_on_error

log = logging.getLogger(__name__)

#: the last one: its tables contradict each other
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT)


def open_sqlite(path: Path, of: Log) -> SQLiteJobs:
    """Return the view of this log in a file. Errors: as `open_store`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        found = _inspect(path)
    except OSError as error:
        raise ArgumentError(f"store={str(path)!r} cannot be a file: {error.strerror or error}") from error
    if found:
        _put_aside(path, found)
    store = SQLiteJobs(path, of)
    with closing_on_error(store):
        store.create()
    return store


def _inspect(path: Path) -> str:
    """Return why the file cannot be used as it is, "" if it can. Errors: ArgumentError; OSError."""
    if not path.exists() or not path.stat().st_size:
        return ""
    connection = sqlite3.connect(path, timeout=5.0)
    try:
        ((application,),) = connection.execute("PRAGMA application_id")
        ((schema,),) = connection.execute("PRAGMA user_version")
        ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_schema")
        if tables and application != APPLICATION_ID:
            raise ArgumentError(
                f"store={str(path)!r} is the SQLite database of another program: name another file"
            )
        if tables and schema != SCHEMA:
            return f"it has schema {schema} instead of {SCHEMA}"
        for table in (*TABLES, "tracking") if tables else ():
            connection.execute(f"SELECT * FROM {table} LIMIT 1").fetchall()
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and "no such table" not in str(error):
            raise StoreAway(f"{path} cannot be opened: {error}") from error
        return f"it is damaged ({error})"
    finally:
        connection.close()
    return ""


def _put_aside(path: Path, why: str) -> None:
    aside = path.with_name(f"{path.name}.aside")
    log.warning("%s is put aside as %s, and made anew from the log: %s", path, aside.name, why)
    path.replace(aside)
    for companion in ("-wal", "-shm"):  # of the file that is gone
        path.with_name(path.name + companion).unlink(missing_ok=True)


class SQLiteJobs(SQLiteTrackingRecorder):
    """A `JobStore` in an SQLite file."""

    def __init__(self, path: Path, of: Log) -> None:
        super().__init__(_Datastore(path))
        self.shown = f"sqlite:///{path}"
        self._path = path
        self._log = of
        self._damaged = False

    def create(self) -> None:
        """Make what is not there. A view of a log that is no more is dropped. Errors: ArgumentError."""
        with self._translated():
            self.create_table()
        with self._transaction() as c:
            make_tables(c)
            c.execute("SELECT name, created FROM log")
            known = {tuple(row) for row in c.fetchall()}
            if known == {self._log}:
                return
            for name, _ in known - {self._log}:
                if name != self._log.name:
                    raise ArgumentError(
                        f"store={self.shown!r} is the view of {name!r}, not of {self._log.name!r}: each namespace needs "
                        "a file of its own"
                    )
            if known:
                log.warning("%s is the view of a log that is gone: it is made anew", self.shown)
            self._begin(c)

    def reset(self) -> None:
        with self._transaction() as c:
            self._begin(c)

    def _begin(self, c: SQLiteCursor) -> None:
        c.execute("DELETE FROM tracking WHERE application_name = ?", (self._log.name,))
        for table in TABLES:
            c.execute(f"DROP TABLE {table}")
        make_tables(c)
        c.execute("INSERT INTO log VALUES (?, ?)", self._log)

    def position(self) -> int:
        with self._transaction(commit=False) as c:
            return self._position(c)

    def _position(self, c: SQLiteCursor) -> int:
        return self._max_tracking_id(self._log.name, c) or 0

    def save(self, changes: Changes, *, after: int, position: int) -> None:
        rows = [values_of(row) for row in changes.rows]
        with self._transaction() as c:
            # A write comes first: after a look without it, what another process writes could not be seen any more.
            c.execute("UPDATE log SET name = name")
            found = self._position(c)
            if found != after:
                raise Overtaken(
                    f"{self.shown} is at position {found} instead of {after}: someone else moved it"
                )
            self._insert_tracking(c, Tracking(self._log.name, position))
            write(c, rows, changes.deleted)

    def page(self, wanted: JobFilter, *, behind: int | None, limit: int) -> Found:
        with self._transaction(commit=False) as c:
            rows = [row_from(row) for row in sqlite_search.page(c, wanted, behind, limit)]
            return Found(rows, self._position(c))

    def count(self, wanted: JobFilter) -> Counted:
        with self._transaction(commit=False) as c:
            return Counted(sqlite_search.count(c, wanted), self._position(c))

    def close(self) -> None:
        self.datastore.close()

    @contextmanager
    def _transaction(self, *, commit: bool = True) -> Iterator[SQLiteCursor]:
        with self._translated(), self.datastore.transaction(commit=commit) as c:
            yield c

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (PersistenceError, sqlite3.Error) as error:
            cause = error if isinstance(error, sqlite3.Error) else error.__cause__
            code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
            if code not in _DAMAGED and not self._damaged:
                raise StoreAway(f"{self.shown} cannot be used just now: {error}") from error
            if not self._damaged:
                self._damaged = True
                self.close()
                _put_aside(self._path, f"it is damaged ({error})")
            raise StoreDamaged(f"{self.shown} was damaged: {error}") from error


class _Pool(SQLiteConnectionPool):
    """Connections that flush where it counts: a view that loses its last moments with the power makes them anew."""

    def _create_connection(self) -> SQLiteConnection:
        connection = super()._create_connection()
        cursor = connection.cursor()
        for setting in ("synchronous = NORMAL", "cache_size = -65536", "temp_store = MEMORY"):
            cursor.execute(f"PRAGMA {setting}")
        return connection


class _Datastore(SQLiteDatastore):
    def __init__(self, path: Path) -> None:
        name = path.resolve().as_uri()
        super().__init__(name, originator_id_type="text")
        self.pool = _Pool(db_name=name)
