"""The engine as a process runs it: own its share, bring the live jobs back, serve; from the start again after any doubt."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import nats.errors
import nats.js.errors

from jobledger.core.errors import ServerUnavailable

from ..metrics.answering import Answering
from ..metrics.engine import EngineMeter
from ..nats.connection import Endpoint, connect_patiently
from ..nats.names import Names
from ..nats.streams import ensure_divided
from ..nats.wire import Wire
from ..process import process_id
from .ownership import Ownership, make_buckets
from .service import Engine
from .share import Share
from .waiting import wait_any

if TYPE_CHECKING:
    from ..metrics import http
    from ..sealing.keys import KeyStore

log = logging.getLogger(__name__)

DEFAULT_LEASE = 15.0  # seconds; long enough for a runner's machine to swap or to stop for a collection


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
    partitions: int | None = None,
    replicas: int = 1,
) -> None:
    """Serve a share of `namespace` until `stop` is set. Where others own all of it, stand by until one of them is gone.

    Units:  `lease` is the seconds a runner may be silent before its claims expire.
    Shape:  `takeover` owns the namespace at once: for a caller who knows that the engine before it is dead.
            `partitions` is as for `ensure_divided`, `replicas` how many servers are to hold the log at least.
            `metrics` is where this process tells over HTTP what it has counted. `keys` has keys of sealed jobs, besides
            the NATS server.
    A server that is away is waited for, at the start too.
    Errors: as `connect_patiently` and `ensure_divided`.
    """
    names = Names(namespace)
    engine_id = process_id()
    disturbed = asyncio.Event()
    connecting = asyncio.ensure_future(
        connect_patiently(
            endpoint, name=f"jobledger engine {namespace}", on_lost=disturbed.set, on_back=disturbed.set
        )
    )
    await wait_any(stop, connecting)
    if not connecting.done():
        connecting.cancel()
        return
    client = connecting.result()
    meter = EngineMeter()

    def engine(within: Names, ownership: Ownership) -> Engine:
        return Engine(
            client,
            within,
            engine_id=engine_id,
            lease=lease,
            meter=meter,
            keys=keys,
            owned=lambda: ownership.sure,
        )

    answering = Answering(client, names, "engine", engine_id, meter.samples)
    try:
        await answering.start()
        if metrics is not None:
            metrics.serve(namespace, answering.reports, lambda: answering.problem)
        while not stop.is_set():
            await _until_connected(client, stop)
            disturbed.clear()
            try:
                js = client.jetstream()
                held = await ensure_divided(js, names, replicas=replicas, partitions=partitions)
                leases = await make_buckets(client, names, replicas=held.replicas)
                parts = names.parts(held.partitions)
                share = Share(client, leases, parts, engine_id, engine, takeover=takeover)
                await share.run(stop, disturbed, on_ready)
            except (nats.errors.Error, nats.js.errors.Error, ServerUnavailable, OSError) as error:
                log.warning("engine %s starts over: %s", engine_id, error or type(error).__name__)
                await wait_any(stop, timeout=0.2)
    finally:
        await answering.stop()
        await client.close()


async def _until_connected(client: Wire, stop: asyncio.Event) -> None:
    while not client.is_connected and not stop.is_set():
        await wait_any(stop, timeout=0.05)
