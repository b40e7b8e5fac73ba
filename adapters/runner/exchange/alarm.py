"""When to look again: now, because something happened, or at a certain time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable


class Alarm:
    """Has `on_ring` called once in a turn of the event loop, however often it rings. Used on the loop's thread only.

    It is called, and nothing is awaited: waking a coroutine by an event costs a turn more, and three times as much.
    Times are those of the loop's clock.
    """

    def __init__(self, on_ring: Callable[[], None]) -> None:
        self._on_ring = on_ring
        self._rung: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._running: asyncio.AbstractEventLoop | None = None

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        if self._running is None:
            self._running = asyncio.get_running_loop()
        return self._running

    @property
    def now(self) -> float:
        return (self._running or self._loop).time()

    def ring(self) -> None:
        """Have it called soon."""
        if self._rung is None:
            self._rung = self._loop.call_soon(self.ring_now)

    def ring_now(self) -> None:
        """Call it, which covers what rang before."""
        if self._rung is not None:
            self._rung.cancel()
            self._rung = None
        self._on_ring()

    def ring_at(self, when: float) -> None:
        """Have it called at that time at the latest. Only the earliest time is kept: each call sets the next ones."""
        if when == math.inf:
            return
        if self._timer is not None:
            if self.now < self._timer_at <= when:
                return
            self._timer.cancel()
        # Beside the handle: uvloop's do not all tell it.
        self._timer, self._timer_at = self._loop.call_at(when, self._due), when

    def _due(self) -> None:
        # uvloop rings up to a millisecond early: by its time alone it would still seem to come.
        self._timer = None
        self.ring()

    def close(self) -> None:
        """Ring no more."""
        self._on_ring = _nothing
        if self._timer is not None:
            self._timer.cancel()


def _nothing() -> None:
    pass
