"""What type each field of a dataclass really has: annotations written as text, and type variables, resolved.

`dataclasses.fields` gives annotations as they were written. Here a text is looked up where its class was defined,
and a type variable becomes what a subclass put in its place (`class Resize(Step[Image])`).
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
from typing import Any, Generic, Protocol

#: what the type variables of one class stand for
_Arguments = dict[Any, Any]


class UnresolvedType(Exception):
    """An annotation names something that cannot be found. `str()` is half a sentence that begins with the field."""


def field_types(cls: type) -> dict[str, Any]:
    """Return the type of every dataclass field of `cls`, in order; `Annotated` is kept.

    Errors: UnresolvedType.
    """
    arguments: dict[type, _Arguments] = {}
    _collect_arguments(cls, {}, arguments)
    found = {}
    for field in dataclasses.fields(cls):
        owner = _owner(cls, field.name)
        found[field.name] = _substitute(_resolve(field, owner), arguments.get(owner, {}))
    return found


def _owner(cls: type, name: str) -> type:
    """Return the class that annotates the field: the nearest one that is a dataclass of its own."""
    for base in cls.__mro__:
        if "__dataclass_fields__" in vars(base) and name in inspect.get_annotations(base):
            return base
    return cls


def _resolve(field: dataclasses.Field[Any], owner: type) -> Any:
    # A class that holds this one annotation: the standard lookup applies, and a failure belongs to one field.
    lookup = type(
        owner.__name__, (), {"__annotations__": {field.name: field.type}, "__module__": owner.__module__}
    )
    names = dict(vars(owner))
    names |= {parameter.__name__: parameter for parameter in getattr(owner, "__type_params__", ())}
    try:
        return typing.get_type_hints(lookup, localns=names, include_extras=True)[field.name]
    except NameError as error:
        raise UnresolvedType(
            f"field {field.name!r} is annotated {field.type!r}, but there is no {error.name!r} in module "
            f"{owner.__module__!r}. Annotations written as text are looked up in the module, not inside the function "
            f"that defines the class: define {error.name!r} at module level, or write the annotation without quotes "
            "and without `from __future__ import annotations`"
        ) from error
    except Exception as error:
        raise UnresolvedType(
            f"field {field.name!r} is annotated {field.type!r}, which is no type: {error}"
        ) from error


def _collect_arguments(cls: type, arguments: _Arguments, found: dict[type, _Arguments]) -> None:
    found.setdefault(cls, arguments)
    for base in vars(cls).get("__orig_bases__", cls.__bases__):
        origin = typing.get_origin(base) or base
        if origin in (Generic, Protocol, object):
            continue
        given = [_substitute(argument, arguments) for argument in typing.get_args(base)]
        _collect_arguments(
            origin, dict(zip(getattr(origin, "__parameters__", ()), given, strict=False)), found
        )


def _substitute(hint: Any, arguments: _Arguments) -> Any:
    if isinstance(hint, typing.TypeVar):
        return arguments.get(hint, hint)
    parameters = () if isinstance(hint, type) else getattr(hint, "__parameters__", ())
    if not arguments or not parameters:
        return hint
    return hint[tuple(arguments.get(parameter, parameter) for parameter in parameters)]
