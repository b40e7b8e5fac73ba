"""How far a view is: moved by one thread, waited for on the event loop."""

from __future__ import annotations

import asyncio
import contextlib


class Progress:
    """The position of a view, and the one it has to reach before it tells anybody anything.

    To be made, and waited on, on the event loop; moved from any thread.
    """

    def __init__(self, target: int) -> None:
        self.position = 0
        self.target = target
        self._loop = asyncio.get_running_loop()
        self._moved = asyncio.Event()

    def begin(self, position: int, target: int) -> None:
        """The view is at this position, and is of no use before it is at its target."""
        self.position, self.target = position, target
        self._tell()

    def move(self, position: int) -> None:
        if position != self.position:
            self.position = position
            self._tell()

    async def reach(self, position: int, wait: float) -> bool:
        """Return whether the view is at this position, and at its target, within `wait` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                while self.position < max(position, self.target):
                    self._moved.clear()
                    await self._moved.wait()
        return self.position >= max(position, self.target)

    def _tell(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._moved.set)
