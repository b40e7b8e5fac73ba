"""The projector as a process runs it: open the view, move it, answer from it; from the start again after any doubt."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

import nats.errors
import nats.js.errors
from eventsourcing.persistence import PersistenceError
from eventsourcing.utils import Environment

from jobledger.core.errors import DamagedLog, ServerUnavailable
from jobledger.projections.jobs.row_fold import Step

from ..metrics.answering import Answering
from ..metrics.view import ViewMeter
from ..nats.asking import JetStreamError, jetstream
from ..nats.connection import connect_patiently
from ..nats.endpoint import Endpoint
from ..nats.eventstore import JetStreamFactory
from ..nats.eventstore.recorders import JetStreamApplicationRecorder
from ..nats.names import Names
from ..nats.records import RecordError, decode_record
from ..nats.stored import stored_messages
from ..nats.streams import ensure_log
from ..nats.wire import Wire
from ..process import process_id
from .past import Past
from .progress import Progress
from .projector import Projector
from .service import Service
from .store import Log, StoreAway, StoreDamaged, check_url, open_store

if TYPE_CHECKING:
    from ..metrics import http

log = logging.getLogger(__name__)

_PAUSE = 0.5  # seconds before a start that failed is tried again
_REPLICA_LAG = 5.0  # seconds in which a replica must have what another one had


async def run_projector(
    endpoint: Endpoint,
    namespace: str,
    store_url: str,
    *,
    stop: asyncio.Event,
    on_ready: Callable[[], None],
    metrics: http.Endpoint | None = None,
) -> None:
    """Keep a view of `namespace` in a store, and answer questions from it, until `stop` is set.

    Several may run at a time: with a store of their own each, or with one in PostgreSQL, which one of them then moves.
    A server or a database that is away is waited for, at the start too.
    Shape:  `store_url` is as `open_store` takes it. `on_ready` is called once, when questions are taken; answers wait
            until the view has caught up with the log. `metrics` is where this process tells over HTTP how far it is.
    Errors: ArgumentError for a store that cannot be used; as `connect_patiently` and `ensure_log`.
    """
    check_url(store_url)
    names = Names(namespace)
    connecting = asyncio.ensure_future(connect_patiently(endpoint, name=f"jobledger projector {namespace}"))
    await _either(stop, connecting)
    if not connecting.done():
        connecting.cancel()
        return
    client = connecting.result()
    ready = _Once(on_ready)
    projector_id = process_id()
    meter = ViewMeter(client, names)
    answering = Answering(client, names, "projector", projector_id, meter.samples)
    try:
        await answering.start()
        if metrics is not None:
            metrics.serve(namespace, answering.reports, lambda: answering.problem)
        while not stop.is_set():
            try:
                await ensure_log(client.jetstream(), names)
                await _serve(client, endpoint, names, projector_id, store_url, stop, ready, meter)
            except (
                nats.errors.Error,
                nats.js.errors.Error,
                JetStreamError,
                OSError,
                PersistenceError,
            ) as error:
                log.warning("the projector starts over: %s", error or type(error).__name__)
            except (StoreAway, StoreDamaged) as error:
                log.warning("the projector starts over: %s", error)
            if not stop.is_set():
                await _either(stop, timeout=_PAUSE)
    finally:
        await answering.stop()
        await client.close()


async def _serve(
    client: Wire,
    endpoint: Endpoint,
    names: Names,
    projector_id: str,
    url: str,
    stop: asyncio.Event,
    ready: _Once,
    meter: ViewMeter,
) -> None:
    """Move the view and answer from it until told to stop. Errors: as `Projector.run` and `open_store`."""
    info = await jetstream(client, f"STREAM.INFO.{names.log_stream}", {})
    of = Log(names.log_stream, info["created"])
    store = await asyncio.to_thread(open_store, url, names.namespace, of)
    past = Past(endpoint, names.namespace, of)
    progress = Progress(info["state"]["last_seq"])
    history = JobHistory(client, names, asyncio.get_running_loop())
    try:
        async with log_recorder(endpoint, names) as recorder:
            projector = Projector(recorder, history.read, store, progress)
            service = Service(client, names, projector_id, store, projector, progress, past)
            moving = asyncio.ensure_future(asyncio.to_thread(projector.run))
            try:
                await service.start()
                meter.opened(store.shown, progress, projector)
                log.info("keeping a view of %s in %s", names.namespace, store.shown)
                ready()
                await _either(stop, moving, service.damaged)
            finally:
                meter.closed()
                projector.stop()
                await service.stop()
                await moving
    finally:
        await past.close()
        store.close()


@contextlib.asynccontextmanager
async def log_recorder(endpoint: Endpoint, names: Names) -> AsyncIterator[JetStreamApplicationRecorder]:
    """Give the log as eventsourcing sees it, over a connection of its own."""
    settings = {
        "NATS_URL": ",".join(endpoint.urls),
        "NATS_STREAM": names.log_stream,
        "NATS_PREFIX": names.log_prefix,
        "NATS_USER": endpoint.user,
        "NATS_PASSWORD": endpoint.password,
        "NATS_TOKEN": endpoint.token,
        "NATS_CREDENTIALS": endpoint.credentials,
        "NATS_NKEY": endpoint.nkey,
        "NATS_IDENTITY": endpoint.identity,
        "NATS_TLS_CA": endpoint.tls_ca,
        "NATS_TLS_CERT": endpoint.tls_cert,
        "NATS_TLS_KEY": endpoint.tls_key,
        "NATS_TLS_HOSTNAME": endpoint.tls_hostname,
    }
    known = {name: os.fspath(value) for name, value in settings.items() if value is not None}
    factory = JetStreamFactory(Environment("jobledger", known))
    try:
        # Not here: the library waits for what it asks for.
        recorder = await asyncio.to_thread(factory.application_recorder)
        assert isinstance(recorder, JetStreamApplicationRecorder)
        yield recorder
    finally:
        await asyncio.to_thread(factory.close)


class JobHistory:
    """The commits of one job, for a thread that may wait for them."""

    def __init__(self, client: Wire, names: Names, loop: asyncio.AbstractEventLoop) -> None:
        self._client = client
        self._names = names
        self._loop = loop

    def read(self, job_id: str, version: int) -> Iterator[Step]:
        """Yield the commits of a job up to this version, which is known to be there.

        Errors: DamagedLog at the first one that cannot be read; ServerUnavailable.
        """
        reading = asyncio.run_coroutine_threadsafe(self._payloads(job_id, version), self._loop)
        for position, payload in reading.result():
            try:
                number, _, state = decode_record(payload)
            except RecordError as error:
                raise DamagedLog(job_id, position, str(error)) from error
            yield Step(position, number, state)

    async def _payloads(self, job_id: str, version: int) -> list[tuple[int, bytes]]:
        if not version:
            return []
        until = time.monotonic() + _REPLICA_LAG
        subject = self._names.log_subject(job_id)
        while True:
            found: list[tuple[int, bytes]] = []
            async with contextlib.aclosing(
                stored_messages(self._client, self._names.log_stream, subject)
            ) as messages:
                async for position, _, payload in messages:
                    found.append((position, payload))
                    if len(found) == version:
                        return found
            if time.monotonic() > until:
                raise ServerUnavailable(
                    f"job {job_id} has version {version}, but only {len(found)} are found"
                )
            await asyncio.sleep(_PAUSE)


class _Once:
    """Calls back the first time it is called."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def __call__(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


async def _either(*events: asyncio.Event | asyncio.Future[Any], timeout: float | None = None) -> None:
    """Return when one of these happens, or after `timeout` seconds."""
    waits = [asyncio.ensure_future(e.wait()) if isinstance(e, asyncio.Event) else e for e in events]
    try:
        await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for event, wait in zip(events, waits, strict=True):
            if isinstance(event, asyncio.Event):
                wait.cancel()
