"""What a supervisor does between having locked its folder and its end.

nats-server is started (or taken over from a supervisor that was killed) and started again whenever it ends, always on
the same port; the engine runs in this process and is started again whenever it fails; the folder says where the server
is as long as both serve. The projector, and the publisher of the feed if it is turned on, are processes that are started
once the engine serves, and whenever they end. All of it ends together: when told to, when unused, or when the folder is
gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from jobledger.core.errors import ServerUnavailable

from ..metrics.answering import Answering
from ..metrics.figures import Sample, Samples
from ..nats.connection import connect_patiently, open_connection
from ..nats.endpoint import Endpoint
from ..nats.names import DEFAULT_NAMESPACE, Names
from ..process import process_id
from ..restarts import Restarts
from ..version import installed_version
from .feed_process import FeedSwitch, run_feed_process
from .folder import Credentials, DataFolder, ServerRecord
from .locks import FileLock
from .nats_config import ENGINE, SYSTEM, choose_port, durability, is_free
from .nats_process import NatsServer
from .probe import HOST
from .processes import pid_namespace
from .projector_process import run_projector_process
from .usage import Usage

log = logging.getLogger(__name__)

_ATTEMPTS = 3  # to get ready at first; afterwards there is no end to trying
_ENGINE_PAUSE = 1.0  # seconds between a failure of the engine and its next start
_FAREWELL = 5.0  # seconds engine and processes have to finish what they are at
_PORT_PATIENCE = 10.0  # seconds to wait until the port of a server that is to come back is free again
_FOLDER_LOOK = 5.0  # seconds between two looks at whether the folder is still there


class Engine(Protocol):
    """Serves a namespace until `stop` is set and calls `on_ready` when it does, as `adapters.engine.run.run_engine`."""

    def __call__(
        self,
        endpoint: Endpoint,
        namespace: str,
        *,
        stop: asyncio.Event,
        on_ready: Callable[[], None],
    ) -> Awaitable[None]: ...


class Child(Protocol):
    """Does something for a folder until `stop` is set, as `run_projector_process`. It may end by itself, and returns how: as
    an exit code, or minus the number of a signal."""

    def __call__(
        self, folder: DataFolder, endpoint: Endpoint, namespace: str, *, stop: asyncio.Event
    ) -> Awaitable[int | None]: ...


class Supervision:
    """The server of one locked folder.

    Shape:  `lock` is held by this process. `on_ready` is called once, when clients can be served.
    Units:  `idle` is the seconds without a client after which `run` returns; None for never.
    """

    def __init__(
        self,
        folder: DataFolder,
        lock: FileLock,
        *,
        idle: float | None,
        on_ready: Callable[[ServerRecord], None],
        engine: Engine | None = None,
        projector: Child = run_projector_process,
        feed: Child = run_feed_process,
    ) -> None:
        self._folder = folder
        self._lock = lock
        self._idle = idle
        self._on_ready = on_ready
        self._engine = engine
        self._projector = projector
        self._feed = feed
        self._switch = FeedSwitch(folder)
        self._heeding = asyncio.Event()
        self._stop = asyncio.Event()
        self._credentials = folder.ensure_credentials()
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")
        self._server: NatsServer | None = None
        self._serving = asyncio.Event()

    def stop(self) -> None:
        """Make `run` return soon. To be called in its event loop."""
        self._stop.set()

    async def run(self) -> None:
        """Serve until told to stop, unused, or without a folder.

        Errors: ServerUnavailable when nats-server or the engine cannot be brought to serve.
        """
        self._folder.unpublish()
        stopped = asyncio.create_task(self._stop.wait())
        starting = asyncio.create_task(_bring_up(self._folder, self._credentials))
        await asyncio.wait({stopped, starting}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            return
        try:
            self._server = starting.result()
            engine = asyncio.create_task(self._keep_engine())
            children = {asyncio.create_task(self._keep_projector()), asyncio.create_task(self._keep_feed())}
            duties = [
                engine,
                *children,
                *map(asyncio.create_task, (self._heed_switch(), self._keep_server(), self._watch_folder())),
            ]
            if self._idle is not None:
                duties.append(asyncio.create_task(self._until_unused(self._idle)))
            try:
                ended, _ = await asyncio.wait({stopped, *duties}, return_when=asyncio.FIRST_COMPLETED)
                for duty in ended:
                    duty.result()
            finally:
                self._folder.unpublish()
                self._stop.set()
                self._switch.leave()
                if not self._serving.is_set():
                    for child in children:
                        child.cancel()  # it has not begun
                await asyncio.wait({engine, *children}, timeout=_FAREWELL)
                if not engine.done():
                    log.warning("the engine did not end within %g s and is cut off", _FAREWELL)
                for duty in duties:
                    duty.cancel()
                await asyncio.gather(*duties, return_exceptions=True)
        finally:
            stopped.cancel()
            if self._server is not None:
                await self._server.stop()
            log.info("stopped")

    async def _keep_engine(self) -> None:
        await self._heeding.wait()  # so that whoever finds the server can turn the feed on
        run_engine = self._engine or _engine_of_this_package(self._folder)
        failures = 0
        while not self._stop.is_set():
            try:
                await run_engine(
                    self._endpoint(ENGINE, self._credentials.engine),
                    DEFAULT_NAMESPACE,
                    stop=self._stop,
                    on_ready=self._engine_serves,
                )
                if not self._stop.is_set():
                    log.warning("the engine ended without being told to, starting it again")
            except Exception as error:
                log.exception("the engine failed, starting it again")
                failures += 1
                if not self._serving.is_set() and failures == _ATTEMPTS:
                    raise ServerUnavailable(f"the engine does not start: {error}") from error
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), _ENGINE_PAUSE)

    async def _keep_projector(self) -> None:
        await self._serving.wait()  # whoever started the server waits for the engine, and for nothing else
        await self._keep("projector", self._projector, self._stop)

    async def _keep_feed(self) -> None:
        await self._serving.wait()
        stopped = asyncio.ensure_future(self._stop.wait())
        try:
            while not self._stop.is_set():
                turned_on = asyncio.ensure_future(self._switch.on.wait())
                await asyncio.wait({stopped, turned_on}, return_when=asyncio.FIRST_COMPLETED)
                turned_on.cancel()
                if not self._stop.is_set():
                    await self._keep("publisher of the feed", self._feed, self._switch.off)
        finally:
            stopped.cancel()

    async def _keep(self, what: str, child: Child, stop: asyncio.Event) -> None:
        """Run a process again and again until `stop` is set."""
        restarts = Restarts()
        while not stop.is_set():
            began = time.monotonic()
            endpoint = self._endpoint(ENGINE, self._credentials.engine)
            code = None
            try:
                code = await child(self._folder, endpoint, DEFAULT_NAMESPACE, stop=stop)
            except OSError as error:
                log.error("the %s cannot be started: %s", what, error)
            if stop.is_set():
                return
            pause = restarts.pause(code, lasted=time.monotonic() - began)
            log.warning("the %s ended, starting it again in %g s", what, pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)

    async def _heed_switch(self) -> None:
        endpoint = self._endpoint(ENGINE, self._credentials.engine)
        client = await connect_patiently(endpoint, name="jobledger-supervisor")
        answering = Answering(client, Names(DEFAULT_NAMESPACE), "server", process_id(), self._samples)
        try:
            await self._switch.serve(client, Names(DEFAULT_NAMESPACE))
            await answering.start()
            self._heeding.set()
            await asyncio.Event().wait()
        finally:
            await answering.stop()
            await client.close()

    async def _samples(self) -> Samples:
        return {"jobledger_server_sync_interval_seconds": [Sample((), self._folder.sync_interval())]}

    async def _keep_server(self) -> None:
        while True:
            assert self._server is not None
            await self._server.ended()
            log.warning("nats-server (process %s) ended, starting it again", self._server.pid)
            self._server = await _bring_back(self._folder, self._credentials, self._server.port)
            if self._serving.is_set():
                self._publish()

    async def _watch_folder(self) -> None:
        while self._lock.is_in_place():
            await asyncio.sleep(_FOLDER_LOOK)
        log.warning("%s was removed", self._folder.path)

    async def _until_unused(self, idle: float) -> None:
        await self._serving.wait()  # before, whoever started it could not use it
        system = await open_connection(
            self._endpoint(SYSTEM, self._credentials.system), name="jobledger-supervisor", timeout=10.0
        )
        try:
            usage = Usage(system)
            while True:
                await usage.watch(idle)
                # Whoever comes from here on does not find the server, waits for its end and starts the next one.
                self._folder.unpublish()
                if await usage.unused_for(idle):
                    log.info("unused for %g s", idle)
                    return
                self._publish()
        finally:
            await system.close()

    def _engine_serves(self) -> None:
        self._publish()
        if not self._serving.is_set():
            self._serving.set()
            assert self._server is not None
            log.info("serving on port %s", self._server.port)
            relaxed = self._folder.sync_interval()
            if relaxed:
                log.warning("%s", durability(relaxed))
            self._on_ready(self._described())

    def _publish(self) -> None:
        self._folder.publish(self._described())

    def _described(self) -> ServerRecord:
        assert self._server is not None
        return ServerRecord(
            host=HOST,
            port=self._server.port,
            supervisor_pid=os.getpid(),
            server_pid=self._server.pid,
            started_at=self._started_at,
            version=installed_version(),
            server_version=self._server.version,
            pid_namespace=pid_namespace(),
            sync_interval=self._folder.sync_interval(),
        )

    def _endpoint(self, user: str, password: str) -> Endpoint:
        assert self._server is not None
        return Endpoint(f"nats://{HOST}:{self._server.port}", user=user, password=password)


async def _bring_up(folder: DataFolder, credentials: Credentials) -> NatsServer:
    """Return a server that answers. Errors: ServerUnavailable; when cancelled, no server is left behind."""
    server = await NatsServer.adopt(folder, credentials)
    if server is not None:
        return server
    failures = 0
    while failures < _ATTEMPTS:
        # Chosen anew each time: somebody may have taken the port between the choice and the start.
        server = await NatsServer.start(folder, credentials, choose_port(folder))
        try:
            if await server.ready(credentials):
                folder.write(folder.port, str(server.port))
                return server
        except BaseException:
            await server.stop()
            raise
        failures += not server.killed  # that somebody kills it says nothing against it
    raise ServerUnavailable(f"nats-server ended at its start, {_ATTEMPTS} times: {folder.log} says why")


async def _bring_back(folder: DataFolder, credentials: Credentials, port: int) -> NatsServer:
    """Return a new server on the port of one that ended. Errors: ServerUnavailable when the port is lost."""
    until = time.monotonic() + _PORT_PATIENCE
    pause = 0.1
    while True:
        if is_free(port):
            server = await NatsServer.start(folder, credentials, port)
            try:
                if await server.ready(credentials):
                    return server
            except BaseException:
                await server.stop()
                raise
            log.error("nats-server ended at its start")
            if not server.killed:
                pause = min(5.0, pause * 2)
        elif time.monotonic() > until:
            # Connected clients know only this port; a fresh start of everything is what can help them.
            raise ServerUnavailable(f"another program took port {port} while nats-server was away")
        await asyncio.sleep(pause)


def _engine_of_this_package(folder: DataFolder) -> Engine:
    from .. import collector
    from ..engine.options import EngineOptions
    from ..gateway.hosting import run_engine_with_api

    collector.relax()
    # Whoever holds the folder's lock runs its only engine: no lease is to be waited for. On its disk, others may take what
    # room there is.
    return partial(run_engine_with_api, options=EngineOptions(takeover=True, folder=folder.path))
