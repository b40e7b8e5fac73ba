"""How far a view is: moved by one thread, waited for on the event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator


class Progress:
    """The position of a view, and the one it has to reach before it tells anybody anything.

    To be made, and waited on, on the event loop; moved from any thread.
    """

    def __init__(self, target: int) -> None:
        self.position = 0
        self.target = target
        #: called when somebody begins to wait for the view, and when nobody does any more
        self.on_awaited: Callable[[bool], None] = lambda awaited: None
        self._waiting = 0
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
        if self.position < max(position, self.target):
            with self._awaited(), contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    while self.position < max(position, self.target):
                        self._moved.clear()
                        await self._moved.wait()
        return self.position >= max(position, self.target)

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for the view to move."""
        return self._waiting > 0

    @contextlib.contextmanager
    def _awaited(self) -> Iterator[None]:
        self._waiting += 1
        if self._waiting == 1:
            self.on_awaited(True)
        try:
            yield
        finally:
            self._waiting -= 1
            if not self._waiting:
                self.on_awaited(False)

    def _tell(self) -> None:
        if not self._waiting:  # whoever comes looks at the position first
            return
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._moved.set)
