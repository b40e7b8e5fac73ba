"""Where lines and spans wait to be sent: bounded, and never in the way of the threads that fill it."""

from __future__ import annotations

import threading
from collections import deque
from typing import NamedTuple

from .trace_context import SpanRef

ROOM = 8 * 1024 * 1024  # bytes of encoded records


class Parcel(NamedTuple):
    """Records of one job that go together."""

    job_id: str
    trace: bytes
    dropped: int  #: records of the job that were dropped before these
    records: list[bytes]


class _Waiting:
    """What waits of one job."""

    __slots__ = ("dropped", "records", "trace")

    def __init__(self, trace: bytes) -> None:
        self.trace = trace
        self.dropped = 0
        self.records: deque[bytes] = deque()


class Buffer:
    """Encoded records by job, in the order in which the jobs came. Filled by any thread, emptied by one.

    When there is no room, the oldest records of the job that has waited longest are dropped, and counted: the newest
    lines are those that tell what is going on.
    """

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._size = 0
        self._jobs: dict[str, _Waiting] = {}
        self._lock = threading.Lock()
        self.dropped = 0  #: of all jobs, ever

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def __len__(self) -> int:
        """How many records wait."""
        with self._lock:
            return sum(len(waiting.records) for waiting in self._jobs.values())

    def add(self, job_id: str, parent: SpanRef, record: bytes) -> bool:
        """Add a record. Return whether the buffer was empty: whoever empties it may have to be told."""
        with self._lock:
            first = not self._jobs
            waiting = self._jobs.get(job_id)
            if waiting is None:
                waiting = self._jobs[job_id] = _Waiting(parent.trace)
            waiting.records.append(record)
            self._size += len(record)
            while self._size > self._room and self._drop_one():
                pass
            return first

    def lose(self, parcel: Parcel) -> None:
        """Count what was taken as dropped."""
        lost = len(parcel.records)
        with self._lock:
            waiting = self._jobs.setdefault(parcel.job_id, _Waiting(parcel.trace))
            waiting.dropped += parcel.dropped + lost
            self.dropped += lost

    def take(self, limit: int) -> Parcel | None:
        """Return up to `limit` bytes of records of the job that has waited longest, at least one; None if none wait."""
        with self._lock:
            if not self._jobs:
                return None
            job_id, waiting = next(iter(self._jobs.items()))
            del self._jobs[job_id]
            taken: list[bytes] = []
            size = 0
            while waiting.records and (not taken or size + len(waiting.records[0]) <= limit):
                size += len(waiting.records[0])
                taken.append(waiting.records.popleft())
            self._size -= size
            parcel = Parcel(job_id, waiting.trace, waiting.dropped, taken)
            if waiting.records:
                waiting.dropped = 0
                self._jobs[job_id] = waiting  # the others first
            return parcel

    def _drop_one(self) -> bool:
        found = next(((job, waiting) for job, waiting in self._jobs.items() if waiting.records), None)
        if found is None:  # a thread that was stopped in the middle of `add` left a wrong size
            self._size = 0
            return False
        job_id, waiting = found
        self._size -= len(waiting.records.popleft())
        waiting.dropped += 1
        self.dropped += 1
        if not waiting.records:  # of which only the count waits: behind those that have some
            self._jobs[job_id] = self._jobs.pop(job_id)
        return True
