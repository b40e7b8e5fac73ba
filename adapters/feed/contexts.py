"""The contexts of jobs that something happens to: as many as fit into a budget, made anew from the log when missing."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from contextlib import aclosing

from jobledger.core.codec import TOPIC, CodecError, Commit, decode_commit
from jobledger.core.errors import ServerAway
from jobledger.projections.feed import JobContext

from ..nats.names import Names
from ..nats.records import RecordError, decode_record
from ..nats.stored import stored_messages
from ..nats.wire import Wire

#: bytes, about, of the contexts that are kept
BUDGET = 128 * 1024 * 1024
_REPLICA_LAG = 5.0  # seconds in which a replica must have what another one had
_LOOK = 0.2


class Unreadable(Exception):
    """A message of the log is no commit."""


def read_commit(payload: bytes) -> tuple[int, Commit]:
    """Return the version of a stored commit, and the commit. Errors: Unreadable."""
    try:
        record = decode_record(payload)
        if record.topic != TOPIC:
            raise CodecError(f"a record of topic {record.topic!r:.100}, which is not known here")
        return record.version, decode_commit(record.state)
    except (RecordError, CodecError) as error:
        raise Unreadable(str(error)) from error


class Contexts:
    """Contexts by job, the least recently used given up first."""

    def __init__(self, client: Wire, names: Names, budget: int = BUDGET) -> None:
        self._client = client
        self._names = names
        self._budget = budget
        self._kept: OrderedDict[str, tuple[JobContext, int]] = OrderedDict()  # with its size
        self._size = 0

    def __len__(self) -> int:
        return len(self._kept)

    async def take(self, job_id: str, position: int, version: int | None) -> JobContext:
        """Return the context of a job as it was before its commit at `position`; `keep` it, or it is given up.

        Shape:  `version` is that of the commit, None where it cannot be read.
        Errors: ServerAway; StreamMissing.
        """
        kept = self._kept.pop(job_id, None)
        if kept is not None:
            self._size -= kept[1]
            return kept[0]
        if version == 1:
            return JobContext()
        return await self._made_anew(job_id, position)

    def keep(self, job_id: str, context: JobContext) -> None:
        size = context.size
        self._kept[job_id] = context, size
        self._size += size
        while self._size > self._budget and len(self._kept) > 1:
            _, (_, freed) = self._kept.popitem(last=False)
            self._size -= freed

    async def _made_anew(self, job_id: str, before: int) -> JobContext:
        context, after = JobContext(), 0
        until = time.monotonic() + _REPLICA_LAG
        while True:
            messages = stored_messages(
                self._client, self._names.log_stream, self._names.log_subject(job_id), after + 1
            )
            async with aclosing(messages):
                async for position, _, payload in messages:
                    if position >= before:  # it has all that is before it
                        return context
                    after = position
                    _fold(context, payload)
            if time.monotonic() > until:
                raise ServerAway(f"job {job_id} has a commit at {before}, which is not found")
            await asyncio.sleep(_LOOK)


def _fold(context: JobContext, payload: bytes) -> None:
    try:
        version, commit = read_commit(payload)
    except Unreadable:
        context.version += 1
        context.lost()
        return
    context.version = version
    for event in commit.events:
        context.fold(event)
