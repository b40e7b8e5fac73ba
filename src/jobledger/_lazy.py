"""Modules whose names are imported when first used: importing them costs next to nothing."""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # as in `typing`, whose import alone would cost more than all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


def lazy_names(module: dict[str, Any], homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a `__getattr__` for a module that takes each name of `homes` from the module it maps to.

    Shape:  `module` is the module's `globals()`, where a name stays once it was looked up.
    """

    def __getattr__(name: str) -> Any:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {module['__name__']!r} has no attribute {name!r}")
        value = module[name] = getattr(import_module(home), name)
        return value

    return __getattr__
