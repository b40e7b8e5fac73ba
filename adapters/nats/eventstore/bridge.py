"""From the synchronous recorders to the asynchronous client: one event loop on a daemon thread, one connection.

The loop's thread is the only one that touches the connection. Recorders, on whichever thread, hand it coroutines and
wait for their results.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from eventsourcing.persistence import OperationalError
from nats.aio.client import Client

from .errors import translated
from .reading import Inbox

T = TypeVar("T")
_log = logging.getLogger(__name__)
_RECONNECT_SECONDS = 0.1
_CLOSE_SECONDS = 5.0


@dataclass(frozen=True)
class Server:
    """Where to connect, and as whom."""

    urls: tuple[str, ...]
    user: str | None = None
    password: str | None = None
    timeout: float = 5.0  #: seconds to wait for any one answer
    client: str = "eventsourcing"  #: shown in the server's list of connections

    def __str__(self) -> str:
        return ", ".join(url.rpartition("@")[2] for url in self.urls)  # without user and password


class Link:
    """The connection and what shares it. To be used on the loop's thread only."""

    def __init__(self, nc: Client, timeout: float) -> None:
        self.nc = nc
        self.js = nc.jetstream(timeout=timeout)
        self.timeout = timeout
        self.inbox = Inbox(nc)
        self._tasks: set[asyncio.Task[Any]] = set()
        self.on_reconnect: set[Callable[[], None]] = set()

    async def open(self, server: Server) -> None:
        """Connect. Errors: OperationalError when no server takes us within the timeout."""
        trouble: list[Exception] = []

        async def note(error: Exception) -> None:
            trouble[:] = [error]
            _log.debug("NATS connection: %s", error)

        async def reconnected() -> None:
            for callback in tuple(self.on_reconnect):
                callback()

        options: dict[str, Any] = {"user": server.user, "password": server.password} if server.user else {}
        connecting = self.nc.connect(
            servers=list(server.urls),
            name=server.client,
            max_reconnect_attempts=-1,
            reconnect_time_wait=_RECONNECT_SECONDS,  # type: ignore[arg-type]  # seconds, used as a float
            error_cb=note,
            reconnected_cb=reconnected,
            **options,
        )
        try:
            await asyncio.wait_for(connecting, server.timeout)
        except Exception as error:
            await self.nc.close()
            reason = trouble[-1] if trouble else error
            raise OperationalError(
                f"no connection to NATS at {server} within {server.timeout:g} s ({reason!r}): is the server running, "
                "and are NATS_URL and the credentials right?"
            ) from error
        await self.inbox.open()

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

    def __init__(self, server: Server) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=_serve, args=(self._loop,), name=f"{server.client} (NATS)", daemon=True
        )
        self._thread.start()
        self.link = Link(Client(), server.timeout)
        # closes when the last recorder is gone as well: applications are often dropped without a close()
        self._close = weakref.finalize(self, _close, self._loop, self._thread, self.link)
        try:
            self.run(self.link.open(server))
        except BaseException:
            self.close()
            raise

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


def _close(loop: asyncio.AbstractEventLoop, thread: threading.Thread, link: Link) -> None:
    async def close() -> None:
        try:
            await asyncio.wait_for(link.close(), _CLOSE_SECONDS)
        finally:
            # whoever still waits for a result learns that there will be none
            await _end(asyncio.all_tasks() - {asyncio.current_task()})
            loop.call_soon(loop.stop)

    asyncio.run_coroutine_threadsafe(close(), loop)
    # the garbage collector may run this on any thread, the loop's own included
    if threading.current_thread() is not thread:
        thread.join(_CLOSE_SECONDS * 2)
