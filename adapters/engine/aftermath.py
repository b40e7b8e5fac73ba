"""What follows from a commit outside of the log: results that may be reused are noted, what a deleted job kept is removed.

Neither is truth. A result that is not noted is computed again; a deletion is answered only when everything is removed,
and can be asked for again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import nats.errors

from jobledger.core.errors import JobLedgerError
from jobledger.core.job import Job
from jobledger.core.lifecycle import JobState, TaskState

from .. import objects, successes
from ..nats import values
from ..nats.names import Names
from ..nats.wire import Wire
from ..telemetry import store as telemetry
from .live import LiveJob

log = logging.getLogger(__name__)


_AT_ONCE = 32  # successes that are noted side by side
_WORTH = 1.0  # seconds for which successes are waited for: to compute them again does no harm


class Aftermath:
    """Writes to the buckets and streams beside the log. Nothing is noted while `owned` says no."""

    def __init__(self, client: Wire, names: Names, *, owned: Callable[[], bool]) -> None:
        self._owned = owned
        self._client = client
        self._names = names
        self._noting: dict[LiveJob, asyncio.Task[None]] = {}

    def written(self, live: LiveJob) -> None:
        """Everything decided about the job is in the log."""
        if live not in self._noting and _complete(live):
            self._noting[live] = asyncio.ensure_future(self._remember(live))

    async def _remember(self, live: LiveJob) -> None:
        """Note the successes of complete tasks, for later ones to find; of those below which nothing failed."""
        try:
            # What becomes complete meanwhile is noted, too: also if the job settles by it, and is not live any more.
            while tasks := _complete(live):
                live.reusable.difference_update(tasks)
                good = [task for task in tasks if _all_computed(live.job, task)]
                for start in range(0, len(good), _AT_ONCE):
                    some = good[start : start + _AT_ONCE]
                    await asyncio.gather(*(self._note(live.job, task) for task in some))
        finally:
            del self._noting[live]

    async def _note(self, job: Job, task: int) -> None:
        if not self._owned():
            return  # while this process was suspended, another engine may have deleted the job, and its notes
        success = successes.Success(job.id, task, job.results.get(task))
        key = successes.within(job.spec_of(task).cluster, job.reuse_keys[task])
        try:
            await successes.remember(self._client, self._names, key, success)
        except (JobLedgerError, nats.errors.Error, OSError) as error:
            log.warning("task %d of job %s cannot be reused: %s", task, job.id, error)

    async def noted(self) -> None:
        """Wait until the successes can be found that are in the log: whoever has seen one may count on its reuse."""
        if self._noting:
            await asyncio.wait(list(self._noting.values()), timeout=_WORTH)

    async def remove(self, job_id: str) -> None:
        """Remove what a deleted job kept beside the log. Errors: JobLedgerError; ask again."""
        noting = [task for live, task in self._noting.items() if live.job.id == job_id]
        if noting:
            await asyncio.wait(noting)
        for purge in (successes.forget, objects.purge, values.purge, telemetry.purge):
            await purge(self._client, self._names, job_id)


def _complete(live: LiveJob) -> list[int]:
    """Return the tasks to be noted now: none while something that was decided is not in the log."""
    if not live.reusable or not live.idle or live.job.state == JobState.DELETED.value:
        return []
    return [task for task in live.reusable if live.job.graph.is_complete(task)]


def _all_computed(job: Job, task: int) -> bool:
    return all(job.graph.status[one] == TaskState.COMPUTED.value for one in job.graph.subtree(task))
