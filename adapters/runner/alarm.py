"""What a coroutine waits for that must look again: now, because something happened, or at a certain time."""

from __future__ import annotations

import asyncio
import math


class Alarm:
    """Wakes one waiting coroutine. Times are those of the event loop's clock, on whose thread all of this is used."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def now(self) -> float:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop.time()

    def ring(self) -> None:
        """Wake up."""
        self._rung.set()

    def ring_at(self, when: float) -> None:
        """Wake up at that time at the latest. Only the earliest time is kept: who wakes sets the next ones again."""
        if when == math.inf:
            return
        if self._timer is not None:
            if self.now < self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(when, self.ring)

    async def wait(self) -> None:
        """Return when it rings, at once if it has rung since the last time."""
        await self._rung.wait()
        self._rung.clear()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
