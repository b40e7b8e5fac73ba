"""Concurrency limits over all live jobs: how many tasks of a key run, and whether one more may.

A slot is nothing but a running task of its key, so it cannot leak: it is free when the task has ended, was given back,
or lost its lease, and after a restart it is counted anew from the log.

Jobs are written independently of each other. So that no more tasks run than the limit at any place of the log, what ends
in one job makes room in another one only when the log says that it has ended; in its own job, at once.

Every question is answered from sums that are kept, however many jobs share a key.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from ..live import LiveJob


class Slots:
    """Counts by key. Jobs without a limited kind of task cost nothing."""

    def __init__(self) -> None:
        self._keys: dict[str, _Key] = {}

    def refresh(self, live: LiveJob) -> bool:
        """Count a job anew; return whether others may have a slot by that."""
        freed = False
        for key, running in live.job.slots.items():
            freed |= self._keys.setdefault(key, _Key()).count(live, running)
        return freed

    def forget(self, live: LiveJob) -> bool:
        """The job is not live any more; return whether others may have a slot by that.

        One that was thrown away is read again: what runs of it is not known until then, and keeps its slots.
        """
        for key in live.job.slots:
            if key in self._keys:
                self._keys[key].leave(live)
        return not live.dead and self.free(live.job.id, live.job.slots)

    def free(self, job_id: str, keys: Iterable[str] | None = None) -> bool:
        """Nothing of the job runs under these keys, None: any; return whether others may have a slot by that."""
        freed = False
        for name in list(self._keys if keys is None else keys):
            key = self._keys.get(name)
            if key is not None:
                freed |= key.drop(job_id)
                if not key.jobs:
                    del self._keys[name]
        return freed

    def left(self, live: LiveJob) -> dict[str, int]:
        """Return how many more tasks of each of the job's keys may run now."""
        left: dict[str, int] = {}
        for name, running in live.job.slots.items():
            key = self._keys.get(name)
            others = key.of_others(live.job.id) if key is not None else 0
            left[name] = max(0, live.limit(name) - running - others)
        return left

    def full(self, key: str, limit: int) -> bool:
        """Whether no job may have a slot of the key, but for those of `with_room`."""
        return bool(key) and key in self._keys and self._keys[key].taken >= limit

    def with_room(self, key: str) -> Mapping[str, LiveJob]:
        """Return the jobs, by id, in which something has ended that the log does not know of: they have its slot."""
        return self._keys[key].ending if key in self._keys else {}


class _Key:
    """The jobs that have tasks of one key."""

    __slots__ = ("ending", "jobs", "taken")

    def __init__(self) -> None:
        self.jobs: dict[str, _Held] = {}
        self.taken = 0  #: slots over all jobs
        self.ending: dict[str, LiveJob] = {}

    def count(self, live: LiveJob, running: int) -> bool:
        job_id = live.job.id
        held = self.jobs.get(job_id)
        if held is None:
            held = self.jobs[job_id] = _Held()
        before = held.most
        held.count(live, running)
        self.taken += held.most - before
        if running < held.most:
            self.ending[job_id] = live
        else:
            self.ending.pop(job_id, None)
        return held.most < before

    def leave(self, live: LiveJob) -> None:
        if self.ending.get(live.job.id) is live:
            del self.ending[live.job.id]

    def drop(self, job_id: str) -> bool:
        self.ending.pop(job_id, None)
        held = self.jobs.pop(job_id, None)
        if held is None:
            return False
        self.taken -= held.most
        return held.most > 0

    def of_others(self, job_id: str) -> int:
        held = self.jobs.get(job_id)
        return self.taken - (held.most if held is not None else 0)


class _Held:
    """How many tasks of a key run in a job: as the log says, and as was decided since."""

    __slots__ = ("_live", "_most")

    def __init__(self) -> None:
        self._live: LiveJob | None = None
        #: (after how many decisions of the job, how many run at most from there on): falling, the last one is current
        self._most: deque[tuple[int, int]] = deque()

    def count(self, live: LiveJob, running: int) -> None:
        most = self._most
        if live is not self._live:  # it is new, or was read again
            self._live = live
            most.clear()
        since = live.decided
        while most and most[-1][1] <= running:
            since = most.pop()[0]
        most.append((since, running))
        while len(most) > 1 and most[1][0] <= live.durable:
            most.popleft()

    @property
    def most(self) -> int:
        """How many there may be at once, however much of what was decided comes to be written."""
        return self._most[0][1] if self._most else 0
