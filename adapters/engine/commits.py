"""Group commit: what is decided about a job while its last commit is on its way becomes the next one.

An idle job is written at the end of the tick of the event loop in which something was decided; a busy one as soon as
the acknowledgement before arrives. So latency is one append, and under load one append carries hundreds of decisions:
that is what survives the fsync of every message.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable

import msgspec

from jobledger.core.codec import Commit, digest
from jobledger.core.errors import JobLedgerError
from jobledger.core.events import Event

from ..metrics.engine import EngineMeter
from ..metrics.tally import Contents, contents_of
from ..nats.log import AppendConflict, AppendFailed, LogWriter, encode_message
from .live import LiveJob

log = logging.getLogger(__name__)

#: Bytes of events after which a commit is closed. Larger ones gain nothing measurable and delay whoever waits.
TARGET_BYTES = 256 * 1024

_encode = msgspec.msgpack.Encoder().encode


class NotWritten(JobLedgerError):
    """A decision did not reach the log, or is not known to have. The job was forgotten and will be read again."""


class Committer:
    """Writes the decisions of all live jobs, one commit at a time for each job."""

    def __init__(
        self,
        writer: LogWriter,
        engine_id: str,
        meter: EngineMeter,
        *,
        on_written: Callable[[LiveJob], None],
        on_failed: Callable[[LiveJob, str], None],
    ) -> None:
        self._writer = writer
        self._engine_id = engine_id
        self._meter = meter
        self._on_written = on_written
        self._on_failed = on_failed
        self._writes: set[asyncio.Task[None]] = set()

    def add(self, live: LiveJob, events: list[Event]) -> None:
        """Have the events of one decision, already applied to the job, written."""
        live.decisions.append(events)
        live.decided += 1
        if not live.writing:
            live.writing = True
            asyncio.get_running_loop().call_soon(self._start, live)

    def _start(self, live: LiveJob) -> None:
        task = asyncio.create_task(self._write(live))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    async def _write(self, live: LiveJob) -> None:
        try:
            while live.decisions and not live.dead:
                contents, payload = self._next(live)
                at, began = live.at, time.perf_counter()
                live.position = await self._writer.append(live.job.id, payload, after=live.position)
                seconds = time.perf_counter() - began
                live.version += 1
                live.digest = digest(payload)
                live.durable += contents.decisions
                while live.waiting and live.waiting[0][0] <= live.durable:
                    _, future = live.waiting.popleft()
                    if not future.done():
                        future.set_result(None)
                self._meter.wrote(live, at, contents, len(payload), seconds)
                self._on_written(live)
        except AppendConflict as error:
            self._meter.failed("conflict")
            self.abandon(live, f"someone else wrote to it ({error})")
        except AppendFailed as error:
            self._meter.failed("unacknowledged")
            self.abandon(live, str(error))
        finally:
            live.writing = False

    def _next(self, live: LiveJob) -> tuple[Contents, bytes]:
        """Take decisions for one commit. A decision is never divided: it happened or it did not."""
        events: list[msgspec.Raw] = []
        taken: list[list[Event]] = []
        size = 0
        while live.decisions:
            encoded = [msgspec.Raw(_encode(event)) for event in live.decisions[0]]
            size += sum(map(len, encoded))
            if taken and size > TARGET_BYTES:
                break
            taken.append(live.decisions.popleft())
            events += encoded
        settled = live.job.settled and not live.decisions
        commit = Commit(os.urandom(16), live.digest, live.at, self._engine_id, settled, events)
        contents = contents_of(taken, settled=live.job.state if settled else 0)
        return contents, encode_message(live.version + 1, commit)

    def abandon(self, live: LiveJob, reason: str) -> None:
        """Throw the job's memory away: what is not acknowledged may or may not be in the log."""
        if live.dead:
            return
        live.dead = True
        log.warning("job %s is read again from the log: %s", live.job.id, reason)
        live.decisions.clear()
        for _, future in live.waiting:
            if not future.done():
                future.set_exception(NotWritten(reason))
        live.waiting.clear()
        self._on_failed(live, reason)
