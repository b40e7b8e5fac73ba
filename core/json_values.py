"""Single values as JSON: written, read back by their type, compared, and the reasons why one cannot travel.

Built on msgspec, which knows most types; paths, time zones and subclasses of the plain types are added here.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import inspect

#: types whose JSON form is text that reads like the value. Bytes are left out: text where bytes belong is more often
#: a mistake than base64.
_TEXT_FORMS = (Enum, PurePath, date, time, timedelta, UUID, Decimal, ZoneInfo)
_ARRAYS = (list, tuple, set, frozenset)


_NOT_FINITE = "JSON has no nan and no infinity. Pass None and annotate it, or leave the value out"
_BOTTOMLESS = "it contains itself, or is nested too deeply"


def _encode_other(value: Any) -> Any:
    """Give msgspec a plain value for one of a type it does not know."""
    match value:
        case PurePath() | str():
            return str.__str__(value) if isinstance(value, str) else str(value)
        case ZoneInfo() if value.key:
            return value.key
        case int():
            return int.__int__(value)
        case float():
            return float.__float__(value)
        case datetime():
            return datetime.combine(date(value.year, value.month, value.day), value.timetz())
        case date():
            return date(value.year, value.month, value.day)
    raise TypeError(f"objects of type {type(value).__module__}.{type(value).__qualname__} have no JSON form")


def _decode_other(wanted: type, value: Any) -> Any:
    if not isinstance(value, str):
        raise TypeError(f"Expected `str` for a {wanted.__name__}, got {show(value)}")
    try:
        return wanted(value)
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(f"{value!r} is not a known {wanted.__name__}") from error


encode: Callable[[Any], bytes] = msgspec.json.Encoder(enc_hook=_encode_other).encode


def decoder_for(hint: Any) -> Callable[[bytes], Any]:
    """Return the function that reads values of this type, strictly.

    Errors: TypeError naming the type that has no JSON form, or whatever made the annotation unusable.
    """
    unknown = _unknown_type(inspect.type_info(hint))
    if unknown is not None:
        raise TypeError(f"{type_name(unknown)} has no JSON form")
    return msgspec.json.Decoder(hint, dec_hook=_decode_other).decode


def is_open(hint: Any) -> bool:
    """Whether a type leaves something open, by `Any`: what arrives there is plain JSON, whatever was sent."""
    return any(isinstance(node, inspect.AnyType) for node in _nodes(inspect.type_info(hint)))


def _unknown_type(root: inspect.Type) -> type | None:
    for node in _nodes(root):
        if isinstance(node, inspect.CustomType) and not issubclass(node.cls, PurePath | ZoneInfo):
            return node.cls
    return None


def _nodes(root: inspect.Type) -> Iterator[Any]:
    """Yield this type and all those in it."""
    seen: set[int] = set()
    pending: list[Any] = [root]
    while pending:
        node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, tuple):
            pending.extend(node)
        elif isinstance(node, inspect.Type):
            pending.extend(getattr(node, name) for name in node.__struct_fields__)
        elif isinstance(node, inspect.Field):
            pending.append(node.type)


def same_value(value: Any, decoded: Any) -> bool:
    """Whether nothing is lost if `decoded` arrives in place of `value`.

    True for equal values, and where `value` is the JSON form of `decoded`: a list for a tuple, "a/b" for a path.
    """
    try:
        if value == decoded:
            return True
    except Exception:  # noqa: BLE001, S110  an array, say: compared by its parts, or not at all
        pass
    if isinstance(decoded, Enum) and not isinstance(value, Enum):
        return bool(value == decoded.value)
    if isinstance(value, str):
        return isinstance(decoded, _TEXT_FORMS)
    if isinstance(value, datetime) and isinstance(decoded, datetime):
        # Never equal in an hour that is repeated or left out, unless both have the same zone.
        naive = value.replace(tzinfo=None, fold=0), decoded.replace(tzinfo=None, fold=0)
        return naive[0] == naive[1] and value.utcoffset() == decoded.utcoffset()
    if isinstance(value, _ARRAYS) and isinstance(decoded, set | frozenset):
        return len(value) == len(decoded) and frozenset(value) == decoded
    if isinstance(value, _ARRAYS) and isinstance(decoded, _ARRAYS):
        return len(value) == len(decoded) and all(map(same_value, value, decoded))
    if isinstance(value, Mapping) and isinstance(decoded, Mapping):
        return len(value) == len(decoded) and all(
            same_value(*keys) and same_value(value[keys[0]], decoded[keys[1]])
            for keys in zip(value, decoded, strict=True)
        )
    if isinstance(value, Mapping) or type(value) is type(decoded):
        names = _field_names(decoded)
        given = value if isinstance(value, Mapping) else {name: getattr(value, name) for name in names}
        return bool(names) and all(
            name in names and same_value(part, getattr(decoded, name)) for name, part in given.items()
        )
    return False


def _field_names(value: Any) -> tuple[str, ...]:
    if is_dataclass(value):
        return tuple(field.name for field in fields(value))
    return getattr(value, "__struct_fields__", ())


def misfit(value: Any, decode: Callable[[bytes], Any]) -> tuple[str, str] | None:
    """Return where and why `value` would not arrive whole, or None if it would.

    Shape: the place continues the name of the field, such as `[2].x`, or is empty; the reason is half a sentence.
    """
    try:
        try:
            data = encode(value)
        except RecursionError:
            raise
        except Exception as error:  # noqa: BLE001  the objects of users may raise anything
            place, part, error = _culprit(value, error)
            return place, _unwritable(part, error)
        try:
            decoded = decode(data)
        except (msgspec.MsgspecError, ValueError) as error:
            place, reason = located(error)
            if "got `null`" in reason and (lost := _not_finite(value)) is not None:
                return lost, _NOT_FINITE
            return place, reason
        if not same_value(value, decoded):
            return "", f"it would arrive as {show(decoded)}"
    except RecursionError:
        return "", _BOTTOMLESS
    return None


def unwritable(value: Any) -> tuple[str, str] | None:
    """Return where and why `value` has no JSON form, or None if it has one. Shape: as for `misfit`."""
    try:
        try:
            data = encode(value)
        except RecursionError:
            raise
        except Exception as error:  # noqa: BLE001  the objects of users may raise anything
            place, part, error = _culprit(value, error)
            return place, _unwritable(part, error)
        lost = _not_finite(value) if b"null" in data else None
        return None if lost is None else (lost, _NOT_FINITE)
    except RecursionError:
        return "", _BOTTOMLESS


def located(error: Exception) -> tuple[str, str]:
    """Split a message of msgspec into the place, `$.a[2]` without the `$`, and the reason."""
    reason, found, place = str(error).partition(" - at `")
    return (place.rstrip("`").removeprefix("key` in `").removeprefix("$") if found else ""), reason


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((f"[{show(key)}]", part) for key, part in value.items())
    elif isinstance(value, _ARRAYS):
        yield from ((f"[{index}]", part) for index, part in enumerate(value))
    else:
        yield from ((f".{name}", getattr(value, name, None)) for name in _field_names(value))


def _culprit(value: Any, error: Exception) -> tuple[str, Any, Exception]:
    """Return the smallest part of `value` that cannot be encoded: its place, itself, and what was said about it."""
    candidates = (
        [(f" key {show(key)}", key, {key: None}) for key in value] if isinstance(value, Mapping) else []
    )
    for place, key, alone in candidates:
        try:
            encode(alone)
        except Exception as inner:  # noqa: BLE001  the objects of users may raise anything
            return place, key, inner
    for place, part in _parts(value):
        try:
            encode(part)
        except Exception as inner:  # noqa: BLE001  the objects of users may raise anything
            rest, smallest, inner = _culprit(part, inner)
            return place + rest, smallest, inner
    return "", value, error


def _not_finite(value: Any) -> str | None:
    """Return the place of a nan or an infinity in `value`, if there is one."""
    if isinstance(value, float):
        return None if math.isfinite(value) else ""
    return next(
        (place + rest for place, part in _parts(value) if (rest := _not_finite(part)) is not None), None
    )


def _unwritable(part: Any, error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return f"the text {show(part)} holds half a character (a lone surrogate)"
    remedy = ". Convert it with .tolist()" if hasattr(part, "tolist") else ""
    return f"{show(part)} cannot be written as JSON: {error}{remedy}"


_shortened = reprlib.Repr()
_shortened.maxstring = _shortened.maxother = 120


def show(value: Any) -> str:
    """Return a short repr; also of values whose own repr fails."""
    try:
        return _shortened.repr(value)
    except Exception as error:  # noqa: BLE001  that is the point
        return f"<{type(value).__qualname__} whose repr raises {type(error).__name__}>"


def type_name(hint: Any) -> str:
    """Return an annotation as it is written in code."""
    if isinstance(hint, type) and not hasattr(hint, "__args__"):
        return hint.__qualname__
    return str(hint).replace("typing.", "")
