"""Copies of a folded job to go back to: as cheap as its columns are, since everything that never changes is shared."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any, TypeVar

from jobledger.core.job import Job

from .dismissals import Dismissals
from .job_view import JobView
from .times import TimedGraph

T = TypeVar("T")

#: objects whose parts change as events are applied
_PARTED = frozenset({JobView, Job, TimedGraph, Dismissals})
_COLUMNS = frozenset({array, bytearray})
_CHANGING = _PARTED | _COLUMNS | {list, dict, set}


def copied(value: T) -> T:
    """Return a view, or a part of one, that applying events to the original leaves as it is.

    Columns are copied as bytes. Events, values, specs, tuples and texts are immutable and shared.
    """
    return _copied(value, {})  # type: ignore[no-any-return]


def _copied(value: Any, known: dict[int, Any]) -> Any:
    """Shape: `known` are the copies of objects made so far, by the id of the original: some are reached in two ways."""
    kind = type(value)
    if kind in _COLUMNS:
        return value[:]
    if kind is list:
        return [_copied(one, known) for one in value] if _change(value) else value.copy()
    if kind is dict:
        changing = _change(value.values())
        return {key: _copied(one, known) for key, one in value.items()} if changing else value.copy()
    if kind is set:
        return value.copy()
    if kind not in _PARTED:
        return value
    other = known.get(id(value))
    if other is None:
        other = known[id(value)] = object.__new__(kind)
        for base in kind.__mro__:
            for name in getattr(base, "__slots__", ()):
                setattr(other, name, _copied(getattr(value, name), known))
    return other


def _change(values: Iterable[Any]) -> bool:
    return not _CHANGING.isdisjoint(map(type, values))
