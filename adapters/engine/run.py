"""The engine as a process runs it: own its share, bring the live jobs back, serve; from the start again after any doubt."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable

import nats.errors
import nats.js.errors

from jobledger.core.errors import ServerUnavailable

from ..clocks import clock
from ..metrics.answering import Answering
from ..metrics.engine import EngineMeter
from ..nats.connection import Endpoint, connect_patiently
from ..nats.names import Names
from ..nats.quorum import missing_quorum
from ..nats.replication import hold_alike
from ..nats.streams import ensure_divided
from ..nats.wire import Wire
from ..process import process_id
from .options import DEFAULTS, EngineOptions
from .partitions.ownership import Ownership, make_buckets
from .partitions.share import Share
from .service import Engine
from .waiting import wait_any
from .writing.room import Room

log = logging.getLogger(__name__)

_PAUSE = 0.2  # seconds between two tries to serve
_ANSWER = 2.0  # seconds for an answer of JetStream: what is asked while it has no leader is never answered
_REMINDER = 30.0  # seconds after which a reason that lasts is told again


async def run_engine(
    endpoint: Endpoint,
    namespace: str,
    *,
    stop: asyncio.Event,
    on_ready: Callable[[], None],
    options: EngineOptions = DEFAULTS,
) -> None:
    """Serve a share of `namespace` until `stop` is set. Where others own all of it, stand by until one of them is gone.

    `on_ready` is called whenever it begins to serve something.
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
    room = Room(client, names, options.folder)

    def engine(within: Names, ownership: Ownership) -> Engine:
        return Engine(
            client,
            within,
            engine_id=engine_id,
            lease=options.lease,
            meter=meter,
            room=room,
            keys=options.keys,
            owned=lambda: ownership.sure,
        )

    complaints = _Complaints(engine_id)
    raised: list[asyncio.Future[None]] = []  #: what need not be waited for

    def ready() -> None:
        complaints.end()
        on_ready()

    answering = Answering(client, names, "engine", engine_id, meter.samples)
    try:
        await answering.start()
        if options.metrics is not None:
            options.metrics.serve(namespace, answering.reports, lambda: answering.problem)
        while not stop.is_set():
            await _until_connected(client, stop)
            disturbed.clear()
            try:
                js = client.jetstream(timeout=_ANSWER)
                held = await ensure_divided(
                    js,
                    names,
                    replicas=options.replicas,
                    partitions=options.partitions,
                    max_bytes=options.max_bytes,
                )
                leases = await make_buckets(client, names, replicas=held.replicas)
                parts = names.parts(held.partitions)
                share = Share(client, leases, parts, engine_id, engine, takeover=options.takeover)
                if held.replicas > 1 and not raised:
                    raised.append(asyncio.ensure_future(hold_alike(client, names, held.replicas)))
                watching = asyncio.create_task(room.watch())
                try:
                    await share.run(stop, disturbed, ready)
                finally:
                    watching.cancel()
            except (nats.errors.Error, nats.js.errors.Error, ServerUnavailable, OSError) as error:
                complaints.tell(await missing_quorum(client, names) or error)
                await wait_any(stop, timeout=_PAUSE)
    finally:
        for one in raised:
            one.cancel()
        await answering.stop()
        await client.close()


class _Complaints:
    """Why this engine does not serve: told when it begins, when the reason is another one, and now and then."""

    def __init__(self, engine_id: str) -> None:
        self._id = engine_id
        self._said = ""
        self._at = -math.inf

    def tell(self, error: Exception) -> None:
        reason, now = str(error) or type(error).__name__, clock()
        if reason != self._said or now > self._at + _REMINDER:
            log.warning("engine %s does not serve, and starts over: %s", self._id, reason)
            self._said, self._at = reason, now

    def end(self) -> None:
        self._said = ""


async def _until_connected(client: Wire, stop: asyncio.Event) -> None:
    while not client.is_connected and not stop.is_set():
        await wait_any(stop, timeout=0.05)
