"""Everything a view holds, table by table, in either database: what two views have to be equal in."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from urllib.parse import urlsplit

import psycopg
from psycopg.sql import SQL, Identifier

#: what the index of names holds is asked of a table that SQLite makes of it
_TERMS = "CREATE VIRTUAL TABLE temp.terms USING fts5vocab(main, names, instance)"


def dump(url: str) -> dict[str, list[str]]:
    """Return every row of every table as text, sorted, for the address of a store."""
    return _of_sqlite(url) if url.startswith("sqlite") else _of_postgres(url)


def _of_sqlite(url: str) -> dict[str, list[str]]:
    with closing(sqlite3.connect(urlsplit(url).path[1:])) as connection:
        connection.execute(_TERMS)
        found = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'names%'"
        )
        tables = [*(name for (name,) in found), "temp.terms"]
        # `repr` tells 1 from 1.0 and from '1'
        return {table: sorted(map(repr, connection.execute(f"SELECT * FROM {table}"))) for table in tables}


def _of_postgres(url: str) -> dict[str, list[str]]:
    address, _, schema = url.partition("schema=")
    with psycopg.connect(address.rstrip("?&")) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (schema,))
        tables = [name for (name,) in found.fetchall()]
        return {
            table: sorted(
                text
                for (text,) in connection.execute(
                    SQL("SELECT t::text FROM {0} t").format(Identifier(schema, table))
                )
            )
            for table in tables
        }
