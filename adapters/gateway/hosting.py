"""Where the service runs: on a thread of an engine's process, so that no engine needs another process beside it.

It has an event loop and a connection of its own: reading a large request or a long history never holds the engine up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from jobledger.core.errors import JobLedgerError

from ..engine.options import DEFAULTS, EngineOptions
from ..engine.run import run_engine
from ..nats.endpoint import Endpoint
from ..nats.names import Names

if TYPE_CHECKING:
    from ..sealing.keys import KeyStore

T = TypeVar("T")

log = logging.getLogger(__name__)

PATIENCE = 4.0  # seconds
_PAUSE = 1.0  # seconds before a start that failed is tried again
_LATER = 0.5  # seconds an embedded engine serves before the service is loaded: it takes 0.05 s of computing
_TOGETHER = 2.0  # seconds an engine that serves waits for the service before it says so
_FAREWELL = 3.0  # seconds it has to leave


async def run_engine_with_api(
    endpoint: Endpoint,
    namespace: str,
    *,
    stop: asyncio.Event,
    on_ready: Callable[[], None],
    options: EngineOptions = DEFAULTS,
) -> None:
    """As `run_engine`, and answer JSON requests beside it: also while the engine stands by for another one."""
    api = ApiThread(endpoint, namespace, None if options.keys is None else KeysOfLoop(options.keys))
    leave = asyncio.Event()

    begun: list[asyncio.Task[None] | asyncio.TimerHandle] = []

    def ready() -> None:
        if options.takeover:
            # A client waits for the engine, and for nothing else: it is not to be kept waiting by what is loaded here.
            on_ready()
            begun.append(asyncio.get_running_loop().call_later(_LATER, api.start))
        else:
            begun.append(asyncio.create_task(tell()))

    async def tell() -> None:
        await asyncio.to_thread(api.answers.wait, _TOGETHER)
        on_ready()

    if not options.takeover:  # it may have to stand by for another engine, and passes requests on to that
        api.start()
    engine = asyncio.create_task(run_engine(endpoint, namespace, stop=leave, on_ready=ready, options=options))
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({engine, stopped}, return_when=asyncio.FIRST_COMPLETED)
        await api.stop()  # first: what it is at needs the engine
        leave.set()
        await engine
    finally:
        leave.set()
        for one in (stopped, *begun, engine):
            one.cancel()
        await asyncio.gather(engine, return_exceptions=True)
        await api.stop()


async def run_api(
    endpoint: Endpoint,
    namespace: str,
    *,
    stop: asyncio.Event,
    on_ready: Callable[[], None],
    patience: float = PATIENCE,
    keys: KeyStore | None = None,
) -> None:
    """Answer JSON requests for a namespace until `stop` is set. A server that is away is waited for.

    Units:  `patience` is the seconds a request outlasts an engine or a server that is away.
    Shape:  `keys` takes and has the keys of sealed jobs, besides the NATS server.
    """
    # Not at the top: an engine that has just begun to serve has better things to do than to load a client.
    from ..client.session import Sealing
    from .service import Service
    from .session import ApiSession

    session = ApiSession(
        lambda: endpoint,
        Names(namespace),
        name=f"jobledger api {namespace}",
        patience=patience,
        sealing=Sealing(keys=keys),
    )
    service = Service(session)
    try:
        while not stop.is_set():
            try:
                await service.start()
            except JobLedgerError as error:
                log.warning("the JSON API does not start: %s. Trying again", error)
                await _either(stop, _PAUSE)
            else:
                on_ready()
                await stop.wait()
        await service.stop()
    finally:
        await session.close()


class ApiThread:
    """The service on a thread. To be used from one event loop."""

    def __init__(self, endpoint: Endpoint, namespace: str, keys: KeyStore | None = None) -> None:
        self._endpoint = endpoint
        self._namespace = namespace
        self._keys = keys
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._begun = threading.Event()
        self.answers = threading.Event()  #: it has begun to answer

    def start(self) -> None:
        """Begin, unless it runs already."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="jobledger-api", daemon=True)
            self._thread.start()

    async def stop(self) -> None:
        """Have it leave, and wait for that."""
        if self._thread is None:
            return
        await asyncio.to_thread(self._begun.wait)
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        await asyncio.to_thread(self._thread.join, _FAREWELL)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._begun.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._begun.set()
        while not self._stop.is_set():
            try:
                await run_api(
                    self._endpoint,
                    self._namespace,
                    stop=self._stop,
                    on_ready=self._ready,
                    keys=self._keys,
                )
            except Exception:
                log.exception("the JSON API failed, starting it again")
                await _either(self._stop, _PAUSE)

    def _ready(self) -> None:
        log.info("the JSON API of %s answers", self._namespace)
        self.answers.set()


class KeysOfLoop:
    """A key store for other event loops: what it is made of may belong to the one it is made on."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._loop = asyncio.get_running_loop()
        self.name = store.name

    async def create(self, job_id: str) -> bytes:
        return await self._there(self._store.create(job_id))

    async def fetch(self, job_id: str) -> bytes:
        return await self._there(self._store.fetch(job_id))

    async def destroy(self, job_id: str) -> None:
        await self._there(self._store.destroy(job_id))

    async def _there(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))


async def _either(event: asyncio.Event, timeout: float) -> None:
    """Return when it happens, or after `timeout` seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            await event.wait()
