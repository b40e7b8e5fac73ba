"""What is said to PostgreSQL: one table, how rows get into it, and conditions."""

from __future__ import annotations

from typing import Any, LiteralString

import msgspec
from psycopg.sql import SQL, Composed

from jobledger.projections.jobs import JobFilter

from .columns import COLUMNS, FIXED, NESTED

_BIG = {"place", "submitted", "started", "finished", "updated", "position"}
_SMALL = {"state", "version", "failed_task"}
_encode = msgspec.json.Encoder().encode


def _type(name: str) -> LiteralString:
    if name in NESTED:
        return "jsonb"
    if name in _BIG:
        return "bigint"
    if name in _SMALL:
        return "integer"
    # Compared byte by byte, as everywhere else, and not by the rules of some language.
    types: dict[str, LiteralString] = {
        "settled": "boolean",
        "percent": "double precision",
        "facets": "text[]",
    }
    return types.get(name, 'text COLLATE "C"')


_DEFINITIONS: LiteralString = ", ".join([f"{name} {_type(name)}" for name in COLUMNS])
TABLE: LiteralString = (
    f"CREATE TABLE IF NOT EXISTS {{jobs}} ({_DEFINITIONS}, PRIMARY KEY (place), UNIQUE (id))"
)
SAVE_ROWS: LiteralString = (
    f"INSERT INTO {{jobs}} SELECT * FROM jsonb_to_recordset(%s::jsonb) AS row ({_DEFINITIONS}) "
    "ON CONFLICT (place) DO UPDATE SET "
    + ", ".join([f"{name} = excluded.{name}" for name in COLUMNS if name not in FIXED])
)


def condition_of(wanted: JobFilter, behind: int | None) -> tuple[Composed, list[Any]]:
    """Return the condition that says this, and its values."""
    low, high = wanted.places
    comparisons: list[tuple[LiteralString, Any]] = [
        ("place >= %s", low),
        ("place < %s", high),
        ("place < %s", behind),
        ("submitted >= %s", wanted.since),
        ("submitted < %s", wanted.before),
        ("id >= %s", wanted.first_id),
        ("id <= %s", wanted.last_id),
        ("folded_name LIKE %s", f"%{_escaped(wanted.folded_name)}%" if wanted.name else None),
        *[("facets && %s", [_storable(one) for one in facets]) for facets in wanted.alternatives],
    ]
    known = [(SQL(text), value) for text, value in comparisons if value is not None]
    conditions = [SQL("true"), *(condition for condition, _ in known)]
    return SQL(" AND ").join(conditions), [value for _, value in known]


def _escaped(text: str) -> str:
    for special in "\\%_":
        text = text.replace(special, f"\\{special}")
    return _storable(text)


def _storable(text: str) -> str:
    """Return the text without the one character that PostgreSQL has no place for."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def rows_as_json(rows: list[dict[str, Any]]) -> str:
    """Return rows, by column, as SAVE_ROWS takes them."""
    encoded = _encode(rows)
    if b"\\u0000" in encoded:
        encoded = _encode(_without_nul(rows))
    return encoded.decode()


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return _storable(value)
    if isinstance(value, dict):
        return {_storable(key): _without_nul(part) for key, part in value.items()}
    return [_without_nul(part) for part in value] if isinstance(value, list | tuple) else value
