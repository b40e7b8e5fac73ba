"""One asyncio loop on a daemon thread: how synchronous code calls the asynchronous one that does the work."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Portal:
    """A running event loop on a thread of its own. Ends with the process."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="jobledger-io", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Run `work` on the loop and return its result to this thread.

        Errors: whatever `work` raises; TimeoutError after `timeout` seconds; RuntimeError when called on the loop
        itself, where waiting would stand still for ever. An interrupted wait cancels the work.
        """
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("this call blocks: it cannot be made from jobledger's own event loop")
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result(timeout)
        except BaseException:
            future.cancel()
            raise


_shared: tuple[int, Portal] | None = None
_lock = threading.Lock()


def shared_portal() -> Portal:
    """Return the portal of this process; a forked child gets one of its own."""
    global _shared
    with _lock:
        if _shared is None or _shared[0] != os.getpid():
            _shared = (os.getpid(), Portal())
        return _shared[1]
