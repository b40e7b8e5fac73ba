"""From the synchronous recorders to the asynchronous client: one connection, on the process's event loop thread.

That thread is the only one that touches the connection. Recorders, on whichever thread, hand it coroutines and wait
for their results.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from eventsourcing.persistence import OperationalError

from ...portal import Portal, shared_portal
from ..connection import Endpoint, connect
from ..wire import Wire
from .errors import translating
from .reading import Inbox

T = TypeVar("T")
_CLOSE_SECONDS = 5.0


class Link:
    """The connection and what shares it. To be used on the loop's thread only."""

    def __init__(self, nc: Wire, timeout: float) -> None:
        self.nc = nc
        self.js = nc.jetstream(timeout=timeout)
        self.timeout = timeout
        self.inbox = Inbox(nc)
        self.on_reconnect: set[Callable[[], None]] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    @classmethod
    async def open(cls, endpoint: Endpoint, *, name: str, timeout: float) -> Link:
        def reconnected() -> None:
            for callback in tuple(link.on_reconnect):
                callback()

        nc = await connect(endpoint, name=name, timeout=timeout, on_back=reconnected)
        link = cls(nc, timeout)
        await link.inbox.open()
        return link

    async def track(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run the coroutine as one that is cancelled before the connection is closed."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            return await coroutine
        finally:
            self._tasks.discard(task)

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.nc.close()


class Bridge:
    """Runs coroutines on the loop's thread for callers on other threads, until closed.

    Errors of `run`: what the coroutine raises, in the words of eventsourcing; OperationalError once closed.
    """

    def __init__(self, endpoint: Endpoint, *, name: str, timeout: float) -> None:
        self._portal = shared_portal()
        self._pid = os.getpid()
        with translating():
            self.link = self._portal.run(Link.open(endpoint, name=name, timeout=timeout))
        # closes also when the last recorder is gone: applications are often dropped without a close()
        self._close = weakref.finalize(self, _close, self._portal, self._pid, self.link)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        with translating():
            return self._portal.run(self._tracked(coroutine))

    def start(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine by itself, until it ends, its future is cancelled or the bridge closed."""
        return asyncio.run_coroutine_threadsafe(self._tracked(coroutine), self._portal.loop)

    def _tracked(self, coroutine: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
        if not self._close.alive or self._pid != os.getpid():
            coroutine.close()
            raise OperationalError(
                "the connection is closed, or was opened before this process forked: "
                "construct the application or factory anew"
            )
        return self.link.track(coroutine)

    def soon(self, callback: Callable[[], None]) -> None:
        """Call this on the loop's thread."""
        self._portal.loop.call_soon_threadsafe(callback)

    def close(self) -> None:
        self._close()


def _close(portal: Portal, pid: int, link: Link) -> None:
    if pid != os.getpid():
        return  # the connection is the parent's, and so is the thread
    closing = asyncio.run_coroutine_threadsafe(link.close(), portal.loop)
    # the garbage collector calls this on any thread; the loop's own must not wait for itself
    if not _is_running_here(portal.loop):
        with contextlib.suppress(Exception):
            closing.result(_CLOSE_SECONDS)


def _is_running_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
