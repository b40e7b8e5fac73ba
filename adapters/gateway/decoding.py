"""Bytes from anywhere -> a request, or a problem that names the field, the value and the way out. Nothing else comes out.

Decoding is msgspec's, and strict; what is added is a limit to the depth, and telling errors in words a reader can use:
what was given, what the field is for, and for a field that is not known which one may have been meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from itertools import accumulate
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from jobledger.core.json_values import located
from jobledger.core.undecodable import UNDECODABLE

from .fields import MAX_DEPTH
from .problems import Problem

R = TypeVar("R")

_SHOWN = 80  # characters of a value, or of a name, that a message shows
#: texts, also one that does not end: what is left has no bracket that means nothing
_TEXTS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_NO_BRACKETS = re.compile(rb"[^\[\]{}]+")
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")
_QUOTED = re.compile(r"`([a-z |]+)`")
#: types as msgspec calls them, and as JSON does
_TYPES = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "datetime": "time",
    "uuid": "UUID",
}
_STEP = re.compile(r"\.([A-Za-z_]+)|\[(\d+|\.\.\.)\]")


def decoder_of(kind: type[R]) -> Callable[[bytes], R]:
    """Return the function that makes requests of this kind of bytes. Its errors: Problem."""
    decode = msgspec.json.Decoder(kind).decode

    def request_of(data: bytes) -> R:
        data = data if data.strip() else b"{}"
        _check_depth(data)
        try:
            return decode(data)
        except msgspec.ValidationError as error:
            raise _misfit(kind, data, error) from None
        except UNDECODABLE as error:
            raise _no_json(error) from None

    return request_of


def compact(data: bytes, field: str) -> bytes:
    """Return a JSON value as it is to travel: no byte more than it needs, its numbers as they were written.

    Errors: Problem.
    """
    try:
        msgspec.json.decode(data)  # a part that was passed over was not looked into
        return msgspec.json.format(data, indent=-1)
    except UNDECODABLE as error:
        raise Problem(
            "invalid_json", f"{field} is no JSON value that can be read: {error}. Nothing was done", field
        ) from None


def shown(value: Any) -> str:
    """Return a value that was sent, as JSON, shortened."""
    try:
        text = msgspec.json.encode(value).decode()
    except OverflowError:  # an integer beyond 64 bits in it
        text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def nearest(given: str, known: list[str]) -> str:
    """Return what a message about an unknown word ends with: which one may be meant, and which there are."""
    near = get_close_matches(given, known, n=1)
    return f"{f'Did you mean {near[0]!r}? ' if near else ''}There are {', '.join(known)}"


def _check_depth(data: bytes) -> None:
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return
    brackets = _NO_BRACKETS.sub(b"", _TEXTS.sub(b"", data))
    depth = max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)
    if depth > MAX_DEPTH:
        raise Problem(
            "invalid_json",
            f"arrays and objects are nested {depth:,} deep in the request, {MAX_DEPTH} are possible: put the data into a "
            "file or an object store and pass its name",
        )


def _no_json(error: Exception) -> Problem:
    reason = str(error).removeprefix("JSON is malformed: ")
    return Problem(
        "invalid_json", f"the request cannot be read as JSON in UTF-8: {reason}. Send one JSON object"
    )


def _misfit(kind: type, data: bytes, error: msgspec.ValidationError) -> Problem:
    """Return the problem, given what msgspec says of it."""
    place, reason = located(error)
    unknown, missing = _UNKNOWN.match(reason), _MISSING.match(reason)
    reason = _QUOTED.sub(_in_json, reason).replace("Expected", "expected", 1)
    path = list(_path(place))
    if not path and reason.startswith("expected object"):
        return Problem("invalid_json", f"the request is no JSON object: {reason:.300}. Send one")
    struct, description = _described(kind, path)
    if unknown is not None and struct is not None:
        name = unknown[1][:_SHOWN]
        field = _joined(path, name)
        return Problem(
            "invalid_argument",
            f"{field} is not known. {nearest(name, list(struct.__struct_fields__))}",
            field,
        )
    if missing is not None:
        field = _joined(path, missing[1])
        _, description = _described(kind, [*path, missing[1]])
        return Problem("invalid_argument", f"{field} is missing. {description}", field)
    field = _joined(path)
    given = _value(data, path)
    said = f"{field}={shown(given)}" if given is not _NOWHERE else field
    return Problem("invalid_argument", f"{said} cannot be used: {reason:.300}. {description}".rstrip(), field)


def _in_json(found: re.Match[str]) -> str:
    return " or ".join(_TYPES.get(name, name) for name in found[1].split(" | "))


def _path(place: str) -> Iterator[str | int]:
    """Yield the steps to a place as msgspec writes it, such as `.tasks[0].name`; it ends where it is not known."""
    for name, index in _STEP.findall(place):
        if index == "...":
            return
        yield name or int(index)


def _joined(path: list[str | int], *more: str) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in (*path, *more))
    return text.removeprefix(".") or "the request"


_NOWHERE = object()


def _value(data: bytes, path: list[str | int]) -> Any:
    """Return what is at a place of the request."""
    try:
        found = msgspec.json.decode(data)
        for step in path:
            found = found[step]
    except (*UNDECODABLE, LookupError, TypeError):
        return _NOWHERE
    return found


def _described(kind: type, path: list[str | int]) -> tuple[type[msgspec.Struct] | None, str]:
    """Return the struct that is at a place, if any, and what the field there, or around it, is for."""
    node, description = _plain(inspect.type_info(kind)), ""
    for step in path:
        if isinstance(node, inspect.StructType):
            field = next((field for field in node.fields if field.encode_name == step), None)
            if field is None:
                return None, description
            description = _description(field.type) or description
            node = _plain(field.type)
        elif isinstance(node, inspect.ListType) and isinstance(step, int):
            node = _plain(node.item_type)
    return node.cls if isinstance(node, inspect.StructType) else None, description


def _plain(node: inspect.Type) -> inspect.Type:
    """Return a type without what is said about it, and without the null it may be instead."""
    while isinstance(node, inspect.Metadata | inspect.UnionType):
        if isinstance(node, inspect.Metadata):
            node = node.type
        else:
            node = next((one for one in node.types if isinstance(one, inspect.StructType)), inspect.AnyType())
    return node


def _description(node: inspect.Type) -> str:
    return (node.extra_json_schema or {}).get("description", "") if isinstance(node, inspect.Metadata) else ""
