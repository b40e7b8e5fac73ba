"""Making a class a dataclass on sight, in a way that a `@dataclass(…)` written over it still has its effect.

The decorator of the standard library keeps the methods it finds, and takes the `field(…)` objects off the class. A
second pass over a class would therefore ignore its options and lose what the fields said. So the first pass, made
here, is undone before a second one begins.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

_ClassT = TypeVar("_ClassT", bound=type)

DATACLASS_OPTIONS = frozenset(inspect.signature(dataclasses.dataclass).parameters) - {"cls"}

#: for each class made a dataclass here and not decorated since: its looks before, and the names added to it
_undecorated: WeakKeyDictionary[type, tuple[dict[str, Any], set[str]]] = WeakKeyDictionary()


def as_dataclass(cls: _ClassT, options: dict[str, Any]) -> _ClassT:
    """Make `cls` a dataclass and return it, or its copy where the options ask for slots.

    Errors: those of `dataclasses.dataclass`. One is put off until the class is used: a field without a default after
            one that has it, since a `@dataclass(kw_only=True)` that makes it right would come only after this.
    """
    before = _appearance(cls)
    try:
        made = _decorated(cls, options)
    except TypeError as error:
        if options:
            raise
        _restore(cls, before, vars(cls).keys() - before.keys())
        try:
            made = _decorated(cls, {"kw_only": True})
        except TypeError:
            raise error from None
        _disable(cls, str(error))
    if made is cls:
        _undecorated[cls] = before, vars(cls).keys() - before.keys()
    return made


def undo_dataclass(cls: type) -> bool:
    """Give `cls` back the looks it had before `as_dataclass`; return whether there was anything to undo.

    Call it when `__dataclass_params__` is assigned, which is the first thing the decorator does.
    """
    looks = _undecorated.pop(cls, None)
    if looks is None:
        return False
    _restore(cls, *looks)
    return True


def _decorated(cls: _ClassT, options: dict[str, Any]) -> _ClassT:
    decorator: Any = dataclasses.dataclass(**options)
    return decorator(cls)  # type: ignore[no-any-return]


def _disable(cls: type, reason: str) -> None:
    def refuse(self: object, *values: object, **named: object) -> None:
        raise TypeError(
            f"{cls.__qualname__} cannot be used: {reason}. Give that field a default too, or have fields passed by "
            f"name: write `class {cls.__name__}(…, kw_only=True)`, or decorate it with `@dataclass(kw_only=True)`"
        )

    type.__setattr__(cls, "__init__", refuse)


def _appearance(cls: type) -> dict[str, Any]:
    return {name: _untouched(value) for name, value in vars(cls).items()}


def _restore(cls: type, before: dict[str, Any], added: set[str]) -> None:
    for name in added:
        type.__delattr__(cls, name)
    now = dict(vars(cls))
    for name, value in before.items():
        if name not in now or now[name] is not value:
            type.__setattr__(cls, name, _untouched(value))


def _untouched(value: Any) -> Any:
    # The decorator writes into the Field objects it finds.
    return copy.copy(value) if isinstance(value, dataclasses.Field) else value
