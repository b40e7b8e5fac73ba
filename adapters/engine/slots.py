"""Concurrency limits over all live jobs: how many tasks of a key run, and who waits for one of them to end.

A slot is nothing but a running task of its key, so it cannot leak: it is free when the task has ended, was given back,
or lost its lease, and after a restart it is counted anew from the log.

Jobs are written independently of each other. So that no more tasks run than the limit at any place of the log, what ends
in one job makes room in another one only when the log says that it has ended; in its own job, at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from .live import LiveJob


class Slots:
    """Counts by key. Jobs without a limited kind of task cost nothing."""

    def __init__(self) -> None:
        self._held: dict[str, dict[str, _Held]] = {}  #: key -> job id -> its running tasks
        self._jobs: dict[str, dict[str, LiveJob]] = {}  #: key -> the jobs that have tasks of it

    def refresh(self, live: LiveJob) -> list[LiveJob]:
        """Count a job anew; return the others that may have a slot now."""
        job_id = live.job.id
        freed: dict[str, LiveJob] = {}
        for key, running in live.job.slots.items():
            others = self._jobs.setdefault(key, {})
            held = self._held.setdefault(key, {}).setdefault(job_id, _Held())
            before = held.most
            if others.get(job_id) is not live:  # it is new, or was read again
                others[job_id] = live
                held.clear()
            held.count(running, live)
            if held.most < before:
                freed.update(others)
        freed.pop(job_id, None)
        return list(freed.values())

    def forget(self, live: LiveJob) -> list[LiveJob]:
        """The job is not live any more; return those that may have a slot by that.

        One that was thrown away is read again: what runs of it is not known until then, and keeps its slots.
        """
        for key in live.job.slots:
            others = self._jobs.get(key, {})
            if others.get(live.job.id) is live:
                del others[live.job.id]
        return [] if live.dead else self.free(live.job.id, live.job.slots)

    def free(self, job_id: str, keys: Iterable[str] | None = None) -> list[LiveJob]:
        """Nothing of the job runs under these keys, None: any; return the others that may have a slot by that."""
        freed: dict[str, LiveJob] = {}
        for key in list(self._held if keys is None else keys):
            jobs = self._held.get(key, {})
            held = jobs.pop(job_id, None)
            if held is not None and held.most:
                freed.update(self._jobs[key])
            if not jobs:
                self._held.pop(key, None)
                self._jobs.pop(key, None)
        freed.pop(job_id, None)
        return list(freed.values())

    def left(self, live: LiveJob) -> dict[str, int]:
        """Return how many more tasks of each of the job's keys may run now."""
        job = live.job
        used: dict[str, int] = {}
        for key, running in job.slots.items():
            others = (held.most for job_id, held in self._held.get(key, {}).items() if job_id != job.id)
            used[key] = running + sum(others)
        left: dict[str, int] = {}
        for spec in job.specs if used else ():
            asked = spec.asked
            if asked.key:
                free = asked.limit - used[asked.key]
                left[asked.key] = max(0, min(left.get(asked.key, free), free))
        return left


class _Held:
    """How many tasks of a key run in a job: as the log says, and as was decided since."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: deque[tuple[int, int]] = (
            deque()
        )  # after how many decisions of the job, and how many run then

    def count(self, running: int, live: LiveJob) -> None:
        counts = self._counts
        if not counts or counts[-1][1] != running:
            counts.append((live.decided, running))
        while len(counts) > 1 and counts[1][0] <= live.durable:
            counts.popleft()

    def clear(self) -> None:
        self._counts.clear()

    @property
    def most(self) -> int:
        """How many there may be at once, however much of what was decided comes to be written."""
        return max((running for _, running in self._counts), default=0)
