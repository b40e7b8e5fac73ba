"""Finding jobs in an SQLite view: the newest first, without looking at those that are not meant.

Every condition can be checked for a single job at the cost of a look-up; the art is to begin with the one that leaves
the fewest jobs to check, and to go through these in the order of the answer, so that a page ends the search. SQLite
does not know how common a value is. So it is asked here, by counting, as far as it matters.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple

from eventsourcing.sqlite import SQLiteCursor

from jobledger.projections.jobs import JobFilter

from .columns import FIELDS

#: jobs that are gone through one by one rather than looking for a better way
FEW = 20_000
_TRIGRAM = 3

_COLUMNS = ", ".join(f"j.{name}" for name in FIELDS)


class Start(NamedTuple):
    """Where a search begins: rows of one index, in the order of their places."""

    table: str
    place: str  #: the expression for the place of its rows
    condition: str
    value: list[Any]


def page(c: SQLiteCursor, wanted: JobFilter, behind: int | None, limit: int) -> list[Sequence[Any]]:
    """Return the values of FIELDS of the newest of these jobs, those behind a place if one is given."""
    search = _Search(c, wanted, behind)
    found = [search.newest(start, limit) for start in search.starts()]
    return list(islice(_merged(found), limit))


def count(c: SQLiteCursor, wanted: JobFilter) -> int:
    """Return how many jobs are meant."""
    search = _Search(c, wanted, None)
    starts = search.starts()
    if len(starts) == 1:
        return search.count(starts[0])
    return search.count_union(starts)


def _merged(pages: list[list[Sequence[Any]]]) -> Iterable[Sequence[Any]]:
    last = None
    for row in heapq.merge(*pages, key=lambda row: -row[0]):
        if row[0] != last:
            last = row[0]
            yield row


class _Search:
    def __init__(self, c: SQLiteCursor, wanted: JobFilter, behind: int | None) -> None:
        self._c = c
        self._wanted = wanted
        self._low, high = wanted.places
        self._high = behind if high is None else high if behind is None else min(high, behind)
        self._alternatives = wanted.alternatives
        self._name = wanted.folded_name
        self._begun: list[str] | str | None = None  # the condition that `starts` takes care of

    def starts(self) -> list[Start]:
        """Return where to begin: at one place, or at one for each of several facets."""
        sizes = [(self._size(facets), facets) for facets in self._alternatives]
        size, facets = min(sizes, key=lambda one: one[0], default=(FEW, []))
        if self._has_ids and self._ids_size() < min(size, FEW):
            self._begun = "ids"
            return [Start("jobs j INDEXED BY jobs_by_id", "j.place", *_all(self._ids()))]
        if size >= FEW and len(self._name) >= _TRIGRAM and "\0" not in self._name:
            return [Start("names d", "d.rowid", "d.names MATCH ?", [_trigrams(self._name)])]
        if facets:
            self._begun = facets
            return [Start("facets d", "d.place", "d.facet = ?", [facet]) for facet in facets]
        return [Start("jobs j", "j.place", "1", [])]

    def newest(self, start: Start, limit: int) -> list[Sequence[Any]]:
        conditions, values = self._conditions(start)
        self._c.execute(
            f"SELECT {_COLUMNS} FROM {_joined(start)} WHERE {conditions} ORDER BY {start.place} DESC LIMIT ?",
            [*values, limit],
        )
        return [tuple(row) for row in self._c.fetchall()]

    def count(self, start: Start) -> int:
        conditions, values = self._conditions(start)
        table = _joined(start) if self._rest() or "j" in start.table else start.table
        return self._number(f"SELECT count(*) FROM {table} WHERE {conditions}", values)

    def count_union(self, starts: list[Start]) -> int:
        parts, values = [], []
        for start in starts:
            conditions, more = self._conditions(start)
            table = _joined(start) if self._rest() else start.table
            parts.append(f"SELECT {start.place} FROM {table} WHERE {conditions}")
            values += more
        return self._number(f"SELECT count(*) FROM ({' UNION '.join(parts)})", values)

    # -- how many there are -------------------------------------------------------------------------------------

    def _size(self, facets: list[str]) -> int:
        """Return how many jobs have one of these facets; FEW, if they are more."""
        found = 0
        for facet in facets:
            bounds, values = self._bounds("place")
            found += self._number(
                f"SELECT count(*) FROM (SELECT 1 FROM facets WHERE {' AND '.join(['facet = ?', *bounds])} LIMIT ?)",
                [facet, *values, FEW - found],
            )
        return found

    def _ids_size(self) -> int:
        condition, values = _all(self._ids())
        return self._number(
            f"SELECT count(*) FROM (SELECT 1 FROM jobs j WHERE {condition} LIMIT ?)", [*values, FEW]
        )

    def _number(self, statement: str, values: list[Any]) -> int:
        self._c.execute(statement, values)
        number: int = self._c.fetchone()[0]
        return number

    # -- what is to be checked ----------------------------------------------------------------------------------

    @property
    def _has_ids(self) -> bool:
        return self._wanted.first_id is not None or self._wanted.last_id is not None

    def _ids(self, column: str = "j.id") -> list[tuple[str, Any]]:
        ends = ((f"{column} >= ?", self._wanted.first_id), (f"{column} <= ?", self._wanted.last_id))
        return [(condition, value) for condition, value in ends if value is not None]

    def _bounds(self, place: str) -> tuple[list[str], list[Any]]:
        ends = ((f"{place} >= ?", self._low), (f"{place} < ?", self._high))
        known = [(condition, value) for condition, value in ends if value is not None]
        return [condition for condition, _ in known], [value for _, value in known]

    def _rest(self) -> list[tuple[str, Any]]:
        """Return what must be checked in the row itself."""
        wanted = self._wanted
        found: list[tuple[str, Any]] = []
        if wanted.since is not None:
            found.append(("j.submitted >= ?", wanted.since))
        if wanted.before is not None:
            found.append(("j.submitted < ?", wanted.before))
        if self._has_ids and self._begun != "ids":
            found += self._ids("+j.id")  # the sign keeps SQLite from beginning there after all
        if self._name:
            found.append(("instr(j.folded_name, ?) > 0", self._name))
        return found

    def _conditions(self, start: Start) -> tuple[str, list[Any]]:
        bounds, values = self._bounds(start.place)
        conditions = [start.condition, *bounds]
        values = [*start.value, *values]
        for facets in self._alternatives:
            if facets is not self._begun:
                places = ", ".join("?" * len(facets))
                conditions.append(
                    f"EXISTS (SELECT 1 FROM facets o WHERE o.facet IN ({places}) AND o.place = {start.place})"
                )
                values += facets
        for condition, value in self._rest():
            conditions.append(condition)
            values.append(value)
        return " AND ".join(conditions), values


def _trigrams(part: str) -> str:
    """Return a search for names that have every third trigram of this: few more than have all of it, and found sooner.

    >>> _trigrams("a tile")
    '"a t" AND "ile"'
    """
    last = len(part) - _TRIGRAM
    trigrams = (part[at : at + _TRIGRAM] for at in [*range(0, last, _TRIGRAM), last])
    return " AND ".join('"' + trigram.replace('"', '""') + '"' for trigram in trigrams)


def _joined(start: Start) -> str:
    # CROSS JOIN: SQLite keeps the order in which the tables are named
    return (
        start.table
        if start.table.startswith("jobs ")
        else f"{start.table} CROSS JOIN jobs j ON j.place = {start.place}"
    )


def _all(conditions: list[tuple[str, Any]]) -> tuple[str, list[Any]]:
    return " AND ".join(one for one, _ in conditions), [value for _, value in conditions]
