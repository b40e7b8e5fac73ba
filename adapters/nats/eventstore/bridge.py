"""From the synchronous recorders to the asynchronous client: one event loop on a daemon thread, one connection.

The loop's thread is the only one that touches the connection. Recorders, on whichever thread, hand it coroutines and
wait for their results.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from typing import Any, TypeVar

from eventsourcing.persistence import OperationalError
from nats.aio.client import Client

from ..connection import Endpoint, connect
from .errors import translated
from .reading import Inbox

T = TypeVar("T")
_CLOSE_SECONDS = 5.0


class Link:
    """The connection and what shares it. To be used on the loop's thread only."""

    def __init__(self, nc: Client, timeout: float) -> None:
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

    async def track(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run the coroutine as one of those that are ended before the connection is closed."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await coroutine
        finally:
            self._tasks.discard(task)

    async def close(self) -> None:
        await _end(self._tasks)
        await self.nc.close()


class Bridge:
    """Runs coroutines on the loop's thread for callers on other threads, until closed.

    Errors of `run`: what the coroutine raises, in the words of eventsourcing; OperationalError once closed.
    """

    def __init__(self, endpoint: Endpoint, *, name: str, timeout: float) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_serve, args=(self._loop,), name=f"NATS: {name}", daemon=True)
        self._thread.start()
        links: list[Link] = []
        # closes also when the last recorder is gone: applications are often dropped without a close()
        self._close = weakref.finalize(self, _close, self._loop, self._thread, links)
        try:
            links.append(self.run(Link.open(endpoint, name=name, timeout=timeout)))
        except BaseException:
            self.close()
            raise
        self.link = links[0]

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        future = self._submit(coroutine)
        try:
            return future.result()
        except BaseException as error:
            future.cancel()
            raised = translated(error)
            if raised is error:
                raise
            raise raised from error

    def start(self, coroutine: Coroutine[Any, Any, None]) -> Future[None]:
        """Run a coroutine that goes on by itself, until its future is cancelled or the bridge closed."""
        return self._submit(self.link.track(coroutine))

    def _submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        if not self._close.alive:
            coroutine.close()
            raise OperationalError("the connection is closed: construct the application or factory anew")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def soon(self, callback: Callable[[], None]) -> None:
        """Call this on the loop's thread; nothing happens once closed."""
        if self._close.alive:
            self._loop.call_soon_threadsafe(callback)

    def close(self) -> None:
        self._close()


async def _end(tasks: Iterable[asyncio.Task[Any] | None]) -> None:
    ending = [task for task in tasks if task is not None]
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


def _close(loop: asyncio.AbstractEventLoop, thread: threading.Thread, links: Iterable[Link]) -> None:
    async def close() -> None:
        try:
            for link in links:
                await asyncio.wait_for(link.close(), _CLOSE_SECONDS)
        finally:
            # whoever still waits for a result learns that there will be none
            await _end(asyncio.all_tasks() - {asyncio.current_task()})
            loop.call_soon(loop.stop)

    asyncio.run_coroutine_threadsafe(close(), loop)
    # the garbage collector may run this on any thread, the loop's own included
    if threading.current_thread() is not thread:
        thread.join(_CLOSE_SECONDS * 2)
