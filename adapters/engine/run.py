"""The engine as a process runs it: own the namespace, bring its live jobs back, serve; from the start again after any doubt."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from jobledger.core.errors import ServerUnavailable

from ..metrics.answering import Answering
from ..metrics.engine import EngineMeter
from ..nats.connection import Endpoint, connect_patiently
from ..nats.names import Names
from ..nats.streams import ensure_log
from ..process import process_id
from .ownership import Ownership
from .recovery import find_live_jobs, save
from .service import Engine

if TYPE_CHECKING:
    from ..metrics import http
    from ..sealing.keys import KeyStore

log = logging.getLogger(__name__)

DEFAULT_LEASE = 15.0  # seconds; long enough for a runner's machine to swap or to stop for a collection
_CHECKPOINT_EVERY = 60.0  # seconds


async def run_engine(
    endpoint: Endpoint,
    namespace: str,
    *,
    stop: asyncio.Event,
    on_ready: Callable[[], None],
    lease: float = DEFAULT_LEASE,
    takeover: bool = False,
    metrics: http.Endpoint | None = None,
    keys: KeyStore | None = None,
) -> None:
    """Serve `namespace` until `stop` is set. Where another engine owns it, stand by until that one is gone.

    Units:  `lease` is the seconds a runner may be silent before its claims expire.
    Shape:  `takeover` owns the namespace at once: for a caller who knows that the engine before it is dead.
            `metrics` is where this process tells over HTTP what it has counted. `keys` has keys of sealed jobs, besides
            the NATS server.
    A server that is away is waited for, at the start too.
    Errors: as `connect_patiently` and `ensure_log`.
    """
    names = Names(namespace)
    engine_id = process_id()
    disturbed = asyncio.Event()
    connecting = asyncio.ensure_future(
        connect_patiently(
            endpoint, name=f"jobledger engine {namespace}", on_lost=disturbed.set, on_back=disturbed.set
        )
    )
    await _wait_any(stop, connecting)
    if not connecting.done():
        connecting.cancel()
        return
    client = connecting.result()
    meter = EngineMeter()
    answering = Answering(client, names, "engine", engine_id, meter.samples)
    try:
        await answering.start()
        if metrics is not None:
            metrics.serve(namespace, answering.reports, lambda: answering.problem)
        while not stop.is_set():
            await _until_connected(client, stop)
            disturbed.clear()
            try:
                await ensure_log(client.jetstream(), names)
                await _serve(
                    client, names, engine_id, stop, disturbed, on_ready, lease, takeover, meter, keys
                )
            except (nats.errors.Error, nats.js.errors.Error, ServerUnavailable, OSError) as error:
                log.warning("engine %s starts over: %s", engine_id, error or type(error).__name__)
                await _wait_any(stop, timeout=0.2)
    finally:
        await answering.stop()
        await client.close()


async def _serve(
    client: Client,
    names: Names,
    engine_id: str,
    stop: asyncio.Event,
    disturbed: asyncio.Event,
    on_ready: Callable[[], None],
    lease: float,
    takeover: bool,
    meter: EngineMeter,
    keys: KeyStore | None,
) -> None:
    """Own the namespace and serve it until told to stop, or until the connection or the ownership was in doubt."""
    ownership = Ownership(client, names, engine_id)
    acquiring = asyncio.ensure_future(ownership.acquire(takeover=takeover))
    await _wait_any(stop, disturbed, acquiring)
    if not acquiring.done():
        acquiring.cancel()
        await asyncio.wait([acquiring])
        await ownership.release()  # it may have been granted in the same instant
        return
    engine = Engine(client, names, engine_id=engine_id, lease=lease, meter=meter, keys=keys)
    rescan = asyncio.Event()

    async def greeted(message: Msg) -> None:
        if message.data != engine_id.encode():
            ownership.lost.set()  # another engine has taken over

    async def parted(message: Msg) -> None:
        if message.data != engine_id.encode():
            rescan.set()  # what it wrote to the end

    listening = [
        await client.subscribe(names.hello, cb=greeted),
        await client.subscribe(names.farewell, cb=parted),
    ]
    try:
        checkpoint = await find_live_jobs(client, names)
        await engine.start(checkpoint.live)
        log.info("engine %s serves %s with %d live jobs", engine_id, names.namespace, engine.jobs_in_memory)
        on_ready()
        while not (stop.is_set() or disturbed.is_set() or ownership.lost.is_set()):
            await save(client, names, checkpoint)
            await _wait_any(stop, disturbed, ownership.lost, rescan, timeout=_CHECKPOINT_EVERY)
            rescan.clear()
            if not (stop.is_set() or disturbed.is_set() or ownership.lost.is_set()):
                checkpoint = await find_live_jobs(client, names)
                await engine.adopt(checkpoint.live)
    finally:
        for subscription in listening:
            with contextlib.suppress(nats.errors.Error):
                await subscription.unsubscribe()
        await engine.stop()
        await ownership.release()


async def _until_connected(client: Client, stop: asyncio.Event) -> None:
    while not client.is_connected and not stop.is_set():
        await _wait_any(stop, timeout=0.05)


async def _wait_any(*events: asyncio.Event | asyncio.Future[Any], timeout: float | None = None) -> None:
    """Return when one of these happens, or after `timeout` seconds."""
    waits = [asyncio.ensure_future(e.wait()) if isinstance(e, asyncio.Event) else e for e in events]
    try:
        await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for event, wait in zip(events, waits, strict=True):
            if isinstance(event, asyncio.Event):
                wait.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await wait
