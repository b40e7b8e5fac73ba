"""Commits of many jobs in the order of the log, folded into rows.

What arrives waits until rows are asked for, and is then folded job by job: a job is made, told of and forgotten again
while it is in the processor's cache, which halves what a small one costs.

Only jobs that something may still happen to are kept in memory. Where a commit of another one arrives (it was retried
or deleted, or the projection was started anew) the job is read again, from its first commit.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from jobledger.core.errors import DamagedLog
from jobledger.core.lifecycle import JobState

from .row import JobRow
from .row_fold import RowFold, Step

#: tasks of jobs in memory, about; the job that has changed least recently is forgotten first
CAPACITY = 2_000_000
#: jobs that stay in memory, however large they are
KEPT = 8
#: bytes that may wait; what is beyond is folded at once
ROOM = 32 * 1024 * 1024
_STEP = 200  # what a commit costs beside its bytes
_JOB = 20  # what a job costs beside its tasks, as a number of tasks


class Changes(NamedTuple):
    """What became of the rows since they were asked for last."""

    rows: list[JobRow]  #: new ones, and new states of known ones
    deleted: list[int]  #: places of jobs that were deleted
    #: once for a job: its row stays as it was before the commit that is named
    damaged: Sequence[DamagedLog] = ()


#: gives the commits of a job up to a version. Errors: DamagedLog, where it comes to one that cannot be read
ReadAgain = Callable[[str, int], Iterable[Step]]


class JobsFold:
    """The rows of all jobs, as far as they have changed."""

    def __init__(
        self, read_again: ReadAgain, *, capacity: int = CAPACITY, kept: int = KEPT, room: int = ROOM
    ) -> None:
        self._read_again = read_again
        self._capacity = capacity
        self._kept = kept
        self._room = room
        # what has come since `take`, by job; what of it is folded already is no longer in the list
        self._waiting: dict[str, list[Step]] = {}
        self._bytes = 0  # of what waits
        self._known: OrderedDict[str, RowFold] = OrderedDict()
        self._size = 0
        self._damaged: set[str] = set()
        self._findings: list[DamagedLog] = []  # since `take`

    def __len__(self) -> int:
        """How many jobs have changed."""
        return len(self._waiting)

    def add(self, job_id: str, step: Step) -> None:
        """Take the next commit of the log. Errors: what `read_again` raises; all is then to be thrown away."""
        if job_id in self._damaged:
            return
        steps = self._waiting.get(job_id)
        if steps is None:
            self._waiting[job_id] = [step]
        else:
            steps.append(step)
        self._bytes += len(step.state) + _STEP
        if self._bytes > self._room:
            self._make_room()

    def _make_room(self) -> None:
        for job_id, steps in self._waiting.items():
            self._fold(job_id, steps)
            steps.clear()
        self._bytes = 0

    def take(self) -> Changes:
        """Return what has changed, and forget it, with the jobs that are settled. Errors: as `add`."""
        changes = Changes([], [], self._findings)
        waiting, self._waiting, self._bytes = self._waiting, {}, 0
        for job_id, steps in waiting.items():
            fold = self._fold(job_id, steps)
            if not fold.version:
                self._forget(job_id)
                continue
            if fold.job.state == JobState.DELETED.value:
                changes.deleted.append(fold.place)
            elif fold.job.state:  # a fork of which only parts are there is no job yet
                changes.rows.append(fold.row())
            self._size -= fold.size
            fold.size = len(fold.job.graph) + _JOB
            self._size += fold.size
            if fold.job.settled or job_id in self._damaged:
                self._forget(job_id)
        while self._size > self._capacity and len(self._known) > self._kept:
            self._forget(next(iter(self._known)))
        self._findings = []
        return changes

    def _fold(self, job_id: str, steps: list[Step]) -> RowFold:
        """Return the job with these commits; without the first that cannot follow, and all behind it."""
        fold = self._known.get(job_id)
        if fold is None:
            fold = self._known[job_id] = RowFold(job_id)
        else:
            self._known.move_to_end(job_id)
        if job_id in self._damaged:
            return fold
        try:
            for step in steps:
                if step.version == fold.version + 1:
                    fold.apply(step)
                elif step.version > fold.version:
                    for earlier in self._read_again(job_id, step.version):
                        if earlier.version > fold.version:
                            fold.apply(earlier)
        except DamagedLog as error:
            self._damaged.add(job_id)
            self._findings.append(error)
            return self._sound(job_id, fold.version)
        return fold

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

    def _forget(self, job_id: str) -> None:
        self._size -= self._known.pop(job_id).size
