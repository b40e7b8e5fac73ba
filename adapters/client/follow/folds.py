"""The state of the jobs whose commits pass by: what it takes to tell how a commit changed a job."""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import NamedTuple

from jobledger.core.errors import DamagedLog
from jobledger.core.job import Job
from jobledger.projections.job_changes import JobChange, changes_of

from ...nats.log import StoredCommit, continued, read_job
from ...nats.names import Names
from ...nats.records import RecordError, decode_record
from ...nats.stored import StoredMessage
from ...nats.wire import Wire

log = logging.getLogger(__name__)

#: jobs kept in memory. One that is forgotten is read again when its next commit comes.
_MOST = 10_000


class _Known(NamedTuple):
    job: Job
    last: StoredCommit


class Folds:
    """Jobs that are not settled, as far as their commits passed by."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def apply(self, client: Wire, message: StoredMessage) -> list[JobChange]:
        """Return how this commit changed its job. A job seen for the first time is read from the log up to there.

        A job that is damaged changes no more; the program's log says so.
        Errors: ServerAway; ServerUnavailable.
        """
        job_id = message.subject.rpartition(".")[2]
        try:
            return await self._apply(client, job_id, message)
        except DamagedLog as error:
            self._known.pop(job_id, None)
            log.error("%s", error)
            return []

    async def _apply(self, client: Wire, job_id: str, message: StoredMessage) -> list[JobChange]:
        known = self._known.pop(job_id, None)
        if known is None:
            known = await self._before(client, job_id, message)
        job, last = (Job(job_id), None) if known is None else known
        stored = continued(job_id, last, message.position, message.payload)
        changes = changes_of(job, stored.position, stored.commit)
        if not stored.commit.settled:
            self._known[job_id] = _Known(job, stored)
            if len(self._known) > _MOST:
                self._known.popitem(last=False)
        return changes

    async def _before(self, client: Wire, job_id: str, message: StoredMessage) -> _Known | None:
        """Return the job as it stood before this commit; None if this is its first."""
        try:
            if decode_record(message.payload).version == 1:
                return None
        except RecordError as error:
            raise DamagedLog(job_id, message.position, str(error)) from error
        job = Job(job_id)
        last = None
        for stored in await read_job(client, self._names, job_id):
            if stored.position >= message.position:
                break
            changes_of(job, stored.position, stored.commit)
            last = stored
        return None if last is None else _Known(job, last)
