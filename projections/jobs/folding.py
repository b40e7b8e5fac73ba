"""Commits of many jobs in the order of the log, folded into rows.

Only jobs that something may still happen to are kept in memory. Where a commit of another one arrives (it was retried
or deleted, or the projection was started anew) the job is read again, from its first commit.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from jobledger.core.errors import DamagedLog
from jobledger.core.lifecycle import JobState

from .row import JobRow
from .row_fold import RowFold, Step

#: tasks of jobs in memory, about; the job that has changed least recently is forgotten first
CAPACITY = 2_000_000
#: jobs that stay in memory, however large they are
KEPT = 8
_JOB = 20  # what a job costs beside its tasks, as a number of tasks


class Changes(NamedTuple):
    """What became of the rows since they were asked for last."""

    rows: list[JobRow]  #: new ones, and new states of known ones
    deleted: list[int]  #: places of jobs that were deleted


#: gives the commits of a job up to a version. Errors: DamagedLog, where it comes to one that cannot be read
ReadAgain = Callable[[str, int], Iterable[Step]]


class JobsFold:
    """The rows of all jobs, as far as they have changed."""

    def __init__(self, read_again: ReadAgain, *, capacity: int = CAPACITY, kept: int = KEPT) -> None:
        self._read_again = read_again
        self._capacity = capacity
        self._kept = kept
        self._known: OrderedDict[str, RowFold] = OrderedDict()
        self._size = 0
        self._changed: dict[str, RowFold] = {}
        self._damaged: set[str] = set()

    def __len__(self) -> int:
        """How many jobs have changed."""
        return len(self._changed)

    def apply(self, job_id: str, step: Step) -> None:
        """Apply the next commit of the log.

        Errors: DamagedLog, once for a job, if it cannot follow what came before: the row stays as it was until then;
                what `read_again` raises.
        """
        if job_id in self._damaged:
            return
        fold = self._known.get(job_id)
        if fold is None:
            fold = self._known[job_id] = RowFold(job_id)
        else:
            self._known.move_to_end(job_id)
        try:
            if step.version == fold.version + 1:
                fold.apply(step)
            elif step.version > fold.version:
                for earlier in self._read_again(job_id, step.version):
                    if earlier.version > fold.version:
                        fold.apply(earlier)
        except DamagedLog:
            self._damaged.add(job_id)
            fold = self._sound(job_id, step.version - 1)
            raise
        finally:
            if fold.version:
                self._changed[job_id] = fold
            else:
                del self._known[job_id]

    def _sound(self, job_id: str, version: int) -> RowFold:
        """Return the job as of its last commit, up to this version, that can be read and applied as a whole."""
        while True:
            fold = self._known[job_id] = RowFold(job_id)
            try:
                for step in self._read_again(job_id, version):
                    fold.apply(step)
            except DamagedLog:
                version = fold.version
            else:
                return fold

    def take(self) -> Changes:
        """Return what has changed, and forget it, with the jobs that are settled."""
        changes = Changes([], [])
        changed, self._changed = self._changed, {}
        for job_id, fold in changed.items():
            if fold.job.state == JobState.DELETED.value:
                changes.deleted.append(fold.place)
            else:
                changes.rows.append(fold.row())
            self._size -= fold.size
            fold.size = len(fold.job.graph) + _JOB
            self._size += fold.size
            if fold.job.settled or job_id in self._damaged:
                self._forget(job_id)
        while self._size > self._capacity and len(self._known) > self._kept:
            self._forget(next(iter(self._known)))
        return changes

    def _forget(self, job_id: str) -> None:
        self._size -= self._known.pop(job_id).size
