"""Waiting for a condition instead of for a time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

_Found = TypeVar("_Found")
_LOOK = 0.02  # seconds between two looks


def eventually(predicate: Callable[[], _Found], within: float = 10.0) -> _Found:
    """Return the first truthy value of the predicate. Errors: AssertionError after `within` seconds without one."""
    until = time.monotonic() + within
    while True:
        found = predicate()
        if found:
            return found
        assert time.monotonic() < until, f"not within {within:g} s: last answer was {found!r}"
        threading.Event().wait(_LOOK)


async def eventually_async(predicate: Callable[[], Awaitable[_Found]], within: float = 10.0) -> _Found:
    """As `eventually`, for a predicate that awaits."""
    until = time.monotonic() + within
    while True:
        found = await predicate()
        if found:
            return found
        assert time.monotonic() < until, f"not within {within:g} s: last answer was {found!r}"
        await asyncio.sleep(_LOOK)
