"""What the tasks of one runner log and trace, from their threads to the stream."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from typing import TYPE_CHECKING

import msgspec
import nats.errors

from jobledger.core.errors import ArgumentError, JobLedgerError

from .buffer import ROOM, Buffer, Parcel
from .exports import NOTHING, Exports
from .records import Batch, Record, encode_batch, encode_record
from .store import ensure, publish
from .trace_context import SpanRef

if TYPE_CHECKING:
    from ..link import Link

log = logging.getLogger(__name__)

_PARCEL = 256 * 1024  # bytes of records in one message
_GATHER = 0.1  # seconds the first line waits for company
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 0.5  # seconds between two tries of a message
#: seconds the last lines have to be stored when a run ends, and those while they cannot be
PATIENCE = 5.0
_AWAY = 0.8
_LOOK = 0.05


class Telemetry:
    """Takes records from any thread, and sends them on the event loop between `start` and `stop`.

    Taking one never waits, and what comes at another time is not kept. A server that is away is waited for as long as
    there is room; then the oldest records are dropped, and counted where they are missing.
    Shape:  `exports` says what is handed to OpenTelemetry as well.
    Units:  `room` is bytes.
    """

    def __init__(self, exports: Exports = NOTHING, *, room: int = ROOM) -> None:
        self.exports = exports
        self.runner = ""  #: who says all this
        self._buffer = Buffer(room)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sending: asyncio.Task[None] | None = None
        self._under_way = 0  #: records of the message that is being sent
        self._ensured = False  #: the stream is there, by all that is known
        self._ending = False
        self._told = False

    # -- for the threads ------------------------------------------------------------------------------------------

    def keep(self, job_id: str, parent: SpanRef, record: Record) -> None:
        """Have this record stored with its job, of which `parent` is the span its attempts are children of."""
        self.keep_encoded(job_id, parent, encode_record(record))

    def keep_encoded(self, job_id: str, parent: SpanRef, record: bytes) -> None:
        """Do the same with a record that was encoded already."""
        loop = self._loop
        if loop is not None and self._buffer.add(job_id, parent, record):
            with contextlib.suppress(RuntimeError):  # the loop was closed: the process is ending
                loop.call_soon_threadsafe(self._news.set)

    # -- for the event loop ---------------------------------------------------------------------------------------

    def start(self, link: Link, runner: str) -> None:
        """Send what comes over this connection, as said by this runner."""
        self._link, self.runner = link, runner
        self._limit = min(_PARCEL, link.nc.max_payload // 2)
        self._news, self._hurry = asyncio.Event(), asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._sending = self._loop.create_task(self._send())

    async def stop(self, patience: float = PATIENCE) -> None:
        """Send what is left, for `patience` seconds at most, and take no more.

        A server that is away is not waited for as long as that.
        """
        if self._sending is None:
            return
        self._ending = True
        self._news.set()
        self._hurry.set()
        began = time.monotonic()
        while not self._sending.done() and (waited := time.monotonic() - began) < patience:
            if self._told and waited > _AWAY:
                break
            await asyncio.wait((self._sending,), timeout=_LOOK)
        self._loop = None
        self._sending.cancel()
        await asyncio.gather(self._sending, return_exceptions=True)
        lost = self._buffer.dropped + self._under_way + len(self._buffer)
        if lost:
            log.warning("log lines and spans of tasks that could not be stored were dropped: %d", lost)

    async def _send(self) -> None:
        while not self._ending:
            await self._news.wait()
            self._news.clear()
            await self._rest(_GATHER)
            while (parcel := self._buffer.take(self._limit)) is not None:
                self._under_way = len(parcel.records)
                await self._deliver(parcel)
                self._under_way = 0

    async def _deliver(self, parcel: Parcel) -> None:
        """Have the parcel stored, however long it takes."""
        identity = os.urandom(16)
        records = [msgspec.Raw(record) for record in parcel.records]
        payload = encode_batch(Batch(identity, self.runner, parcel.trace, parcel.dropped, records))
        pause = _FIRST_PAUSE
        while True:
            problem = await self._try(parcel, payload, identity.hex())
            if problem is None:
                return
            if not self._told:
                log.warning(
                    "what tasks log and trace cannot be stored just now, the newest is kept: %s", problem
                )
                self._told = True
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _try(self, parcel: Parcel, payload: bytes, identity: str) -> Exception | None:
        """Try once to have this stored. Return what was in the way."""
        try:
            client, names = self._link.nc, self._link.names
            if not self._ensured:
                await ensure(client, names)
                self._ensured = True
            await publish(client, names, parcel.job_id, payload, identity)
        except ArgumentError:  # a server for small messages: the next ones may fit
            self._buffer.lose(parcel)
        except (JobLedgerError, nats.errors.Error, OSError) as error:
            self._ensured = False  # somebody may have deleted the stream
            return error
        self._told = False
        return None

    async def _rest(self, seconds: float) -> None:
        """Wait, but not once it is to end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
