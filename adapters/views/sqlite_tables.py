"""The tables of a view in SQLite, and how rows get into them.

| table | what it holds |
|---|---|
| `jobs` | a row per job; `place` is its key, so that newest first is the order of the table, backwards |
| `facets` | which jobs have which facet, in the same order |
| `names` | in which names there is which trigram, for the search of a part of one |
| `tracking` | the position, as eventsourcing keeps it |
| `log` | which log this is a view of |
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import msgspec
from eventsourcing.sqlite import SQLiteCursor

from jobledger.projections.jobs import JobRow

from .columns import COLUMNS, FIELDS, FIXED, NESTED, row_of
from .store import SCHEMA

#: marks a file as ours in its header
APPLICATION_ID = 0x6A6F6273
_TYPES = {"place": "INTEGER PRIMARY KEY", "id": "TEXT NOT NULL", "name": "TEXT", "percent": "REAL"}
_DEFINITIONS = ", ".join(f"{name} {_TYPES.get(name, '')}" for name in COLUMNS)
TABLES = {
    "jobs": f"CREATE TABLE jobs ({_DEFINITIONS})",
    "facets": "CREATE TABLE facets (facet TEXT, place INTEGER, PRIMARY KEY (facet, place)) WITHOUT ROWID",
    "names": (
        "CREATE VIRTUAL TABLE names USING "
        "fts5(name, content='', detail=none, tokenize='trigram case_sensitive 1')"
    ),
    "log": "CREATE TABLE log (name TEXT, created TEXT)",
}
_REPLACE = "ON CONFLICT (place) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in COLUMNS if name not in FIXED
)
#: values of one statement at most: SQLite takes 32,766
_VALUES = 2600
_JSON = [COLUMNS.index(name) for name in (*NESTED, "facets")]
_NAME, _FACETS = COLUMNS.index("folded_name"), COLUMNS.index("facets")
_place = itemgetter(0)
_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode


def make_tables(c: SQLiteCursor) -> None:
    """Make the tables that are not there."""
    for statement in TABLES.values():
        c.execute(statement.replace(" TABLE ", " TABLE IF NOT EXISTS ", 1))
    c.execute("CREATE UNIQUE INDEX IF NOT EXISTS jobs_by_id ON jobs (id)")
    c.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    c.execute(f"PRAGMA user_version = {SCHEMA}")


def row_from(values: Sequence[Any]) -> JobRow:
    """Return the row of these values of FIELDS, as SQLite has them."""
    unbound = [
        _decode(value) if name in NESTED else value for name, value in zip(FIELDS, values, strict=True)
    ]
    return row_of(unbound)


def write(c: SQLiteCursor, rows: list[list[Any]], deleted: list[int]) -> None:
    """Save rows, and what of their facets is new or gone; delete rows with all that leads to them."""
    before = _known(c, [row[0] for row in rows] + deleted)
    gone: list[tuple[str, int]] = []
    new: dict[str, list[int]] = {}  # places by facet
    names: list[Any] = []
    rows.sort(key=_place)
    for row in rows:
        place, facets = row[0], row[_FACETS]
        known = before.get(place)
        if known is None:
            names += place, row[_NAME]
        elif known[1] != facets:
            gone += [(facet, place) for facet in known[1] if facet not in facets]
            facets = [facet for facet in facets if facet not in known[1]]
        else:
            facets = ()
        for facet in facets:
            if facet in new:
                new[facet].append(place)
            else:
                new[facet] = [place]
        for index in _JSON:
            row[index] = _encode(row[index]).decode()
    for place in deleted:
        if place in before:  # not one that came and went between two transactions
            name, facets = before[place]
            gone += [(facet, place) for facet in facets]
            c.execute("INSERT INTO names (names, rowid, name) VALUES ('delete', ?, ?)", (place, name))
            c.execute("DELETE FROM jobs WHERE place = ?", (place,))
    _insert(c, "jobs", len(COLUMNS), list(chain.from_iterable(rows)), _REPLACE)
    _insert(c, "names (rowid, name)", 2, names)
    # in the order of the table: neighbours are written together
    c.executemany("DELETE FROM facets WHERE facet = ? AND place = ?", sorted(gone))
    pairs = [value for facet in sorted(new) for place in new[facet] for value in (facet, place)]
    _insert(c, "facets", 2, pairs)


def _insert(c: SQLiteCursor, into: str, columns: int, values: list[Any], conflict: str = "") -> None:
    """Insert rows, given as the values of all of them, with few statements: Python waits between two, not in them."""
    row = f"({', '.join('?' * columns)})"
    together = _VALUES - _VALUES % columns
    for first in range(0, len(values), together):
        part = values[first : first + together]
        rows = ", ".join([row] * (len(part) // columns))
        c.execute(f"INSERT INTO {into} VALUES {rows} {conflict}", part)


def _known(c: SQLiteCursor, places: list[int]) -> dict[int, tuple[str, list[str]]]:
    """Return name and facets of those of these jobs that are in the view."""
    c.execute(
        "SELECT place, folded_name, facets FROM jobs WHERE place IN (SELECT value FROM json_each(?))",
        (_encode(places).decode(),),
    )
    return {place: (name, _decode(facets)) for place, name, facets in c.fetchall()}
