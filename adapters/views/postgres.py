"""The view in PostgreSQL: where several projectors share one, or where other programs read it with SQL.

Its tables are in a schema of their own, `jobledger_<namespace>` unless the URL says `?schema=…`, and their names end with
the number of the layout: projectors of two versions do not disturb each other. Where the extension pg_trgm can be had,
a part of a name is looked up; otherwise names are searched through.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any, LiteralString

import psycopg
from eventsourcing.persistence import IntegrityError, PersistenceError, Tracking
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from psycopg import Cursor
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow
from psycopg.sql import SQL, Composed, Identifier

from jobledger.core.errors import ArgumentError
from jobledger.projections.jobs import Changes, JobFilter

from .columns import COLUMNS, FIELDS, row_of, values_of
from .postgres_sql import SAVE_ROWS, TABLE, condition_of, rows_as_json
from .store import SCHEMA, Counted, Found, Log, Overtaken, StoreAway, StoreDamaged, closing_on_error

log = logging.getLogger(__name__)

_CONNECT = 5.0  # seconds
_LONGEST_NAME = 63  # bytes of an identifier


def open_postgres(url: str, namespace: str, of: Log) -> PostgresJobs:
    """Return the view of this log in a database. Errors: as `open_store`."""
    url, _, given = url.partition("?schema=") if "?schema=" in url else url.partition("&schema=")
    schema, _, more = given.partition("&")
    if more:
        url += f"{'&' if '?' in url else '?'}{more}"
    try:
        connection = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise ArgumentError(
            "store=postgresql://… is not the address of a database: write postgresql://user:password@host/database"
        ) from None
    store = PostgresJobs(connection, schema or schema_of(namespace), of)
    with closing_on_error(store):
        store.create()
    return store


def schema_of(namespace: str) -> str:
    """Return the schema in which the views of a namespace are.

    >>> schema_of("default")
    'jobledger_default'
    """
    name = f"jobledger_{namespace}"
    if len(name) > _LONGEST_NAME:
        name = f"{name[:46]}_{blake2b(namespace.encode(), digest_size=8).hexdigest()}"
    return name


class PostgresJobs(PostgresTrackingRecorder):
    """A `JobStore` in a PostgreSQL database."""

    def __init__(self, connection: dict[str, Any], schema: str, of: Log) -> None:
        named = {key: connection.pop(key, None) for key in ("dbname", "host", "port", "user", "password")}
        datastore = PostgresDatastore(
            **named, schema=schema, pool_size=1, max_overflow=4, connect_timeout=_CONNECT
        )
        assert isinstance(datastore.pool.kwargs, dict)
        datastore.pool.kwargs.update(connection)  # sslmode and whatever else the URL says
        super().__init__(datastore, tracking_table_name=f"tracking_{SCHEMA}")
        self.shown = f"postgresql://{named['host'] or 'localhost'}/{named['dbname'] or ''}?schema={schema}"
        self._log = of
        self._names = {
            "schema": Identifier(schema),
            "jobs": Identifier(schema, f"jobs_{SCHEMA}"),
            "log": Identifier(schema, f"log_{SCHEMA}"),
            "by_facet": Identifier(f"jobs_{SCHEMA}_by_facet"),
            "by_name": Identifier(f"jobs_{SCHEMA}_by_name"),
        }

    def create(self) -> None:
        """Make what is not there. Errors: ArgumentError for a view of another log; StoreAway."""
        with self._transaction() as c:
            # Two projectors that make the same thing at once would get in each other's way.
            c.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (self.shown,))
            c.execute(self._sql("CREATE SCHEMA IF NOT EXISTS {schema}"))
            for statement in self.sql_create_statements:
                c.execute(statement)
            c.execute(self._sql(TABLE))
            c.execute(self._sql("CREATE INDEX IF NOT EXISTS {by_facet} ON {jobs} USING gin (facets)"))
            c.execute(self._sql("CREATE TABLE IF NOT EXISTS {log} (name text, created text)"))
            c.execute(self._sql("SELECT name, created FROM {log}"))
            known = {Log(**row) for row in c.fetchall()}
            if not known:
                self._note_log(c)
        if known and known != {self._log}:
            (other, *_) = known
            raise ArgumentError(
                f"store={self.shown!r} is the view of the stream {other.name!r} made at {other.created}, this one is "
                f"{self._log.name!r} made at {self._log.created}. If that one is gone, drop the schema; otherwise name "
                "another database, or another schema with ?schema=…"
            )
        self._index_names()

    def _index_names(self) -> None:
        try:
            with self._transaction() as c:
                c.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
                c.execute(
                    self._sql(
                        "CREATE INDEX IF NOT EXISTS {by_name} ON {jobs} USING gin (folded_name gin_trgm_ops)"
                    )
                )
        except StoreAway as error:
            why = str(error.__cause__).partition("\n")[0]
            log.info("parts of names are searched for without an index in %s: %s", self.shown, why)

    def reset(self) -> None:
        with self._transaction() as c:
            c.execute(self._sql("TRUNCATE {jobs}, {log}"))
            c.execute(
                SQL("DELETE FROM {0} WHERE application_name = %s").format(
                    Identifier(self.datastore.schema, self.tracking_table_name)
                ),
                (self._log.name,),
            )
            self._note_log(c)

    def _note_log(self, c: Cursor[DictRow]) -> None:
        c.execute(self._sql("INSERT INTO {log} VALUES (%s, %s)"), self._log)

    def position(self) -> int:
        with self._looking() as c:
            return self._position(c)

    def _position(self, c: Cursor[DictRow]) -> int:
        return self._max_tracking_id(self._log.name, c) or 0

    def save(self, changes: Changes, *, after: int, position: int) -> None:
        rows = [dict(zip(COLUMNS, values_of(row), strict=True)) for row in changes.rows]
        with self._transaction() as c:
            # Of several that write, the others wait here, and then see what this one did.
            c.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (self.shown,))
            found = self._position(c)
            if found != after:
                raise Overtaken(
                    f"{self.shown} is at position {found} instead of {after}: someone else moved it"
                )
            self._insert_tracking(c, Tracking(self._log.name, position))
            if rows:
                c.execute(self._sql(SAVE_ROWS), (rows_as_json(rows),))
            if changes.deleted:
                c.execute(self._sql("DELETE FROM {jobs} WHERE place = ANY(%s)"), (changes.deleted,))

    def page(self, wanted: JobFilter, *, behind: int | None, limit: int) -> Found:
        condition, values = condition_of(wanted, behind)
        statement = SQL("SELECT {0} FROM {1} WHERE {2} ORDER BY place DESC LIMIT %s").format(
            SQL(", ").join(map(Identifier, FIELDS)), self._names["jobs"], condition
        )
        with self._looking() as c:
            c.execute(statement, [*values, limit])
            rows = [row_of([row[name] for name in FIELDS]) for row in c.fetchall()]
            return Found(rows, self._position(c))

    def count(self, wanted: JobFilter) -> Counted:
        condition, values = condition_of(wanted, None)
        statement = SQL("SELECT count(*) FROM {0} WHERE {1}").format(self._names["jobs"], condition)
        with self._looking() as c:
            c.execute(statement, values)
            row = c.fetchone()
            assert row is not None
            return Counted(row["count"], self._position(c))

    def close(self) -> None:
        self.datastore.close()

    def _sql(self, statement: LiteralString) -> Composed:
        return SQL(statement).format(**self._names)

    @contextmanager
    def _looking(self) -> Iterator[Cursor[DictRow]]:
        """Give a transaction in which everything is seen as of one moment."""
        with self._transaction(commit=False) as c:
            c.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield c

    @contextmanager
    def _transaction(self, *, commit: bool = True) -> Iterator[Cursor[DictRow]]:
        try:
            with self.datastore.transaction(commit=commit) as c:
                yield c
        except IntegrityError as error:
            self.reset()
            raise StoreDamaged(
                f"the tables of {self.shown} contradict each other, and were emptied: {str(error).strip()}"
            ) from error
        except (PersistenceError, psycopg.Error) as error:
            raise StoreAway(f"{self.shown} cannot be used just now: {str(error).strip()}") from error
