"""The publisher as a process runs it: make the stream, publish, say how it stands; from the start again after any doubt."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import nats.errors
import nats.js.errors
from nats.aio.msg import Msg

from jobledger.core.errors import ServerUnavailable

from ..metrics.answering import Answering
from ..metrics.feed import feed_samples
from ..metrics.figures import Samples
from ..nats.asking import JetStreamError
from ..nats.connection import connect_patiently
from ..nats.endpoint import Endpoint
from ..nats.names import Names, is_answerable
from ..nats.streams import StreamSettingsError, ensure_log
from ..nats.wire import Wire
from ..process import process_id
from . import stream
from .outbox import Overtaken
from .protocol import PublisherStatus
from .publisher import Publisher
from .stream import AS_IT_IS, FeedDamaged, Limits

if TYPE_CHECKING:
    from ..metrics import http

log = logging.getLogger(__name__)

_PAUSE = 0.5  # seconds before a start that failed is tried again
_LOOK = 0.25  # seconds between two looks at a feed that someone else publishes
_WATCH = 0.5  # seconds between two looks at whether the stream is still the same
_TAKE_OVER = 2.0  # seconds without a new message


async def run_feed(
    endpoint: Endpoint,
    namespace: str,
    *,
    stop: asyncio.Event,
    on_ready: Callable[[], None],
    limits: Limits = AS_IT_IS,
    metrics: http.Endpoint | None = None,
) -> None:
    """Publish the feed of a namespace until `stop` is set.

    Several may run: one publishes, the others stand by. A server that is away is waited for, at the start too.
    Shape:  `on_ready` is called once, when the stream is there. `limits` are how the stream is made; one that exists
            keeps its own, and the log says so. `metrics` is where this process tells over HTTP how far it is.
    Errors: StreamSettingsError for a stream that cannot be used; as `connect_patiently` and `ensure_log`.
    """
    names = Names(namespace)
    stopped = asyncio.ensure_future(stop.wait())
    connecting = asyncio.ensure_future(connect_patiently(endpoint, name=f"jobledger feed {namespace}"))
    try:
        await asyncio.wait({stopped, connecting}, return_when=asyncio.FIRST_COMPLETED)
        if not connecting.done():
            connecting.cancel()
            return
        client = connecting.result()
        try:
            await _Service(client, names, limits, stopped, on_ready).run(metrics)
        finally:
            await client.close()
    finally:
        stopped.cancel()


class _Service:
    """One publisher process over one connection."""

    def __init__(
        self,
        client: Wire,
        names: Names,
        limits: Limits,
        stopped: asyncio.Future[Any],
        on_ready: Callable[[], None],
    ) -> None:
        self._client = client
        self._names = names
        self._limits = limits
        self._stopped = stopped
        self._on_ready = on_ready
        self._ready = False
        self._publisher: Publisher | None = None
        self._stored = 0  # number of the last message that the publisher before stored
        self._problem = ""
        self._identity = process_id()

    async def run(self, metrics: http.Endpoint | None) -> None:
        subscription = await self._client.subscribe(self._names.feed_publishers, cb=self._describe)
        answering = Answering(self._client, self._names, "feed", self._identity, self._samples)
        await answering.start()
        if metrics is not None:
            metrics.serve(self._names.namespace, answering.reports, lambda: answering.problem)
        try:
            overtaken: Overtaken | None = None
            while not self._stopped.done():
                try:
                    if overtaken is not None:
                        await self._stand_by(overtaken)
                        overtaken = None
                    await self._publish()
                except Overtaken as error:
                    overtaken = error
                except StreamSettingsError:
                    if not self._ready:
                        raise
                    log.exception("the feed cannot go on")
                    await self._pause()
                except (
                    FeedDamaged,
                    ServerUnavailable,
                    JetStreamError,
                    nats.errors.Error,
                    nats.js.errors.Error,
                    OSError,
                ) as error:
                    self._complain(str(error) or type(error).__name__)
                    await self._pause()
        finally:
            await answering.stop()
            if not self._client.is_closed:
                await subscription.unsubscribe()

    async def _publish(self) -> None:
        await ensure_log(self._client.jetstream(), self._names)
        differences = await stream.ensure(self._client, self._names, self._limits)
        if not self._ready:
            for difference in differences:
                log.warning(
                    "the stream %s exists: %s. It stays as it is; `jobledger feed limit` changes it",
                    self._names.feed_stream,
                    difference,
                )
            self._ready = True
            self._on_ready()
        made = await stream.holding(self._client, self._names)
        head = await stream.head(self._client, self._names)
        publisher = self._publisher = Publisher(self._client, self._names)
        running = asyncio.ensure_future(publisher.run(head))
        watching = asyncio.ensure_future(self._until_made_anew(made, publisher))
        self._problem = ""
        try:
            await asyncio.wait({self._stopped, running, watching}, return_when=asyncio.FIRST_COMPLETED)
            if watching.done() and not running.done():
                watching.result()
                log.info("the stream %s is made anew: publishing from the beginning", self._names.feed_stream)
                return
            publisher.stop()
            await running
        finally:
            self._stored, self._publisher = publisher.stored, None
            for task in (running, watching):
                task.cancel()
            await asyncio.gather(running, watching, return_exceptions=True)

    async def _until_made_anew(self, made: stream.Holding | None, publisher: Publisher) -> None:
        """Return when the stream is not the one that is published to: it was deleted, with or without another in its place."""
        while made is not None:
            await asyncio.sleep(_WATCH)
            stored = publisher.stored  # before the question: it goes on meanwhile
            with contextlib.suppress(ServerUnavailable, JetStreamError):  # the publisher will tell
                found = await stream.holding(self._client, self._names)
                if found is None or found.created != made.created or found.last < stored:
                    return

    async def _stand_by(self, error: Overtaken) -> None:
        """Return when nobody has published for a while, or when stopped. There may be nothing to publish: that harms nobody."""
        last, since = await stream.head(self._client, self._names), time.monotonic()
        if last.sequence < self._stored:
            return  # nobody has: the stream was made anew
        log.info("standing by, another publisher goes on: %s", error)
        while time.monotonic() - since < _TAKE_OVER and not self._stopped.done():
            await self._pause(_LOOK)
            found = await stream.head(self._client, self._names)
            if found != last:
                last, since = found, time.monotonic()

    async def _describe(self, message: Msg) -> None:
        publisher = self._publisher
        status = PublisherStatus(
            self._identity,
            publisher is not None,
            0 if publisher is None else publisher.stored,
            self._problem,
        )
        if is_answerable(message.reply):
            await self._client.publish(message.reply, msgspec.json.encode(status))

    async def _samples(self) -> Samples:
        return await feed_samples(self._client, self._names, lambda: self._publisher)

    def _complain(self, problem: str) -> None:
        if problem != self._problem:  # not twice a second while it lasts
            log.warning("the feed is not published for now: %s", problem)
            self._problem = problem

    async def _pause(self, seconds: float = _PAUSE) -> None:
        await asyncio.wait({self._stopped}, timeout=seconds)
