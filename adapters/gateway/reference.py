"""The tables of docs/commands.md: what the structs and the codes say, so that the page cannot say anything else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from ..nats.names import Names
from .asyncapi import parts
from .operations import OPERATIONS
from .problems import CODES

_TABLE = re.compile(r"(<!-- (\w+)(?: (\w+))? -->\n).*?(<!-- end -->)", re.DOTALL)


def with_tables(page: str) -> str:
    r"""Return a page with the tables between its marks made anew.

    >>> with_tables("<!-- codes -->\n<!-- end -->").splitlines()[1:4]
    ['| code | status | again | meaning |', '|---|---|---|---|', '| `invalid_json` | 400 | no | The request is no JSON, ...']
    """
    schemas = parts().schemas
    return _TABLE.sub(lambda found: found[1] + _table(found[2], schemas.get(found[3])) + found[4], page)


def _table(kind: str, schema: Any) -> str:
    match kind:
        case "operations":
            return _rows(
                ("subject", "what it does", "`ok` is"),
                (
                    (f"`{Names().api_subject(name)}`", _sentence(one.request), _linked(one.reply.__name__))
                    for name, one in OPERATIONS.items()
                ),
            )
        case "codes":
            return _rows(
                ("code", "status", "again", "meaning"),
                (
                    (f"`{code}`", str(one.status), "yes" if one.temporary else "no", one.meaning)
                    for code, one in CODES.items()
                ),
            )
    fields = schema["properties"].items()
    if kind == "request":
        required = schema.get("required", [])
        return _rows(
            ("field", "type", "if left out", "meaning"),
            (
                (f"`{field}`", _type(one), _default(field, one, required), one.get("description", ""))
                for field, one in fields
            ),
        )
    return _rows(
        ("field", "type", "meaning"),
        ((f"`{field}`", _type(one), one.get("description", "")) for field, one in fields),
    )


def _rows(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(line) + " |\n" for line in (head, *rows)]
    return lines[0] + "|---" * len(head) + "|\n" + "".join(lines[1:])


def _type(schema: dict[str, Any]) -> str:
    """Return what a field takes, in a word or two."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one) for one in schema["anyOf"]))
    if "$ref" in schema:
        return _linked(schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return "string"
    match schema.get("type"):
        case "array":
            inner = _type(schema["items"])
            return f"array of {inner}" if inner.startswith("[") else f"array of {inner}s"
        case "string" if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        case None:
            return "any"
    return str(schema["type"])


_FORMATS = {"date-time": "time", "uuid": "UUID"}


def _default(field: str, schema: dict[str, Any], required: list[str]) -> str:
    if field in required:
        return "*required*"
    if "default" not in schema:
        return ""
    return f"`{msgspec.json.encode(schema['default']).decode()}`"


def _sentence(kind: type) -> str:
    return " ".join((kind.__doc__ or "").split())


def _linked(name: str) -> str:
    return f"[{name}](#{name.lower()})"
