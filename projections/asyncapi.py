"""AsyncAPI 3.0 documents made of types: what travels, where, and as what, said once in the code.

Whoever sends or takes messages contributes a part; `document` puts the parts together.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

Object = dict[str, Any]

_SCHEMA = "#/components/schemas/{name}"
_MEMBER = re.compile(r"(\w+):[^#]*(?:#: *(.*))?")


class Contribution(NamedTuple):
    """A part of a document: objects of AsyncAPI 3.0 by name. References are written with `ref`.

    >>> class Point(msgspec.Struct):
    ...     x: int
    >>> Contribution(schemas={"Point": msgspec.json.schema(Point)}).channels
    {}
    """

    channels: Object = {}
    operations: Object = {}
    messages: Object = {}
    schemas: Object = {}
    parameters: Object = {}


def document(info: Object, *parts: Contribution) -> Object:
    """Return the document of these parts.

    Errors: ValueError when two of them use one name for different things.
    """
    merged = Contribution({}, {}, {}, {}, {})
    for part in parts:
        for field, whole, more in zip(part._fields, merged, part, strict=True):
            for name, described in more.items():
                if whole.setdefault(name, described) != described:
                    raise ValueError(
                        f"two parts of the document have something else by the name of {field}.{name}"
                    )
    return {
        "asyncapi": "3.0.0",
        "info": info,
        "defaultContentType": "application/json",
        "channels": merged.channels,
        "operations": merged.operations,
        "components": {
            "messages": merged.messages,
            "parameters": merged.parameters,
            "schemas": {name: _draft_7(schema) for name, schema in sorted(merged.schemas.items())},
        },
    }


def written(described: Object) -> str:
    """Return a document as it is kept in a file."""
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"


def ref(kind: str, name: str) -> Object:
    """Return a reference, such as to "schemas", "ErrorData".

    >>> ref("schemas", "ErrorData"), ref("channels", "feed.job.failed")
    ({'$ref': '#/components/schemas/ErrorData'}, {'$ref': '#/channels/feed.job.failed'})
    """
    return {"$ref": f"#/channels/{name}" if kind == "channels" else f"#/components/{kind}/{name}"}


def schemas_of(types: Iterable[type]) -> Object:
    """Return the JSON Schemas of these types, and of all they are made of, by name.

    A class is described by its docstring, and a field by the `#:` comment behind it.
    """
    types = list(types)
    _, found = msgspec.json.schema_components(types, ref_template=_SCHEMA)
    classes = {one.__name__: one for one in _classes(types)}
    for name, schema in found.items():
        if "description" in schema:
            schema["description"] = " ".join(schema["description"].split())
        comments = _comments(classes[name]) if name in classes else {}
        for field, described in schema.get("properties", {}).items():
            if field in comments:
                described["description"] = comments[field]
    return found


def _draft_7(schema: Any) -> Any:
    """Return a schema as the JSON Schema of AsyncAPI has it, which is older."""
    if isinstance(schema, list):
        return [_draft_7(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    plain = {key: _draft_7(one) for key, one in schema.items()}
    if "prefixItems" in plain:
        plain["additionalItems"] = plain.pop("items", True)
        plain["items"] = plain.pop("prefixItems")
    return plain


def _classes(types: Iterable[Any]) -> set[type]:
    """Return the classes of structs in these types."""
    found: set[type] = set()
    waiting: list[Any] = [msgspec.inspect.multi_type_info(types)]
    seen: set[int] = set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, tuple | list):
            waiting.extend(node)
            continue
        if isinstance(node, msgspec.inspect.StructType):
            found.add(node.cls)
        if isinstance(node, msgspec.Struct):
            waiting.extend(getattr(node, name) for name in node.__struct_fields__)
    return found


def _comments(cls: type) -> dict[str, str]:
    """Return the comment behind each field of a class, or of those it is made from."""
    comments: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        if base.__module__.startswith("msgspec"):
            continue
        for line in inspect.getsource(base).splitlines():
            found = _MEMBER.fullmatch(line.strip())
            if found and found[2]:
                comments[found[1]] = found[2]
    return comments
