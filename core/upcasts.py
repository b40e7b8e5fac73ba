"""How events that are no longer written become what is written today: the one place that knows them.

The log is never rewritten, so what an event once meant has to be understood for ever. Four rules keep that cheap:

1. A field is only ever appended to an event, with a default that means what its absence meant. No code is needed.
2. What is new gets a tag of its own. Versions that do not know it keep it as `UnknownEvent`.
3. What an event means never changes under its tag. Where it has to, the tag is *retired*: the event leaves
   `events.Event`, its successor has a new tag, and a function here makes the one from the other.
4. One event becomes one event, as (position, index) is its name in feeds, bookmarks and exports.

Histories of today never come here: a commit is looked at event by event only when it does not decode at once, which is
so when one of its tags is not among `Event`. `tests/core/test_upcasts.py` is a worked example.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

#: from the fields of an event of a retired tag, as they were stored, to ``[tag, *fields]`` of its successor
Upcast: TypeAlias = Callable[[list[Any]], list[Any]]

#: by retired tag. No tag has been retired yet
RETIRED: dict[int, Upcast] = {}


def upcast(raw: list[Any]) -> list[Any]:
    """Return an event as it would be stored today: itself, or what takes its place, ``[tag, *fields]``.

    A successor may be retired in its turn. Errors: whatever a function raises on fields it cannot read.
    """
    while (successor := RETIRED.get(raw[0])) is not None:
        raw = successor(raw[1:])
    return raw
