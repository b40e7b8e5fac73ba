"""Which live jobs have a task ready for whom, and which runners wait for one.

The most urgent kinds come first. Jobs with ready tasks of one kind take turns, so that a job of 100,000 tasks does not
hold up one of three.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import NamedTuple

from jobledger.core.graph import READY
from jobledger.core.submission import TaskSpec
from jobledger.core.task import TaskIdentifier

from .live import LiveJob, SpecKey
from .slots import Slots


class Capability(NamedTuple):
    """What a runner can run."""

    cluster: str
    identifiers: tuple[TaskIdentifier, ...]

    def covers(self, key: SpecKey) -> bool:
        submitted = TaskIdentifier(key.name, key.major, key.minor)
        return key.cluster == self.cluster and any(
            identifier.runs(submitted) for identifier in self.identifiers
        )


class Waiter:
    """A runner's exchange that is held open until a task is ready, its time is up, or the runner asks anew."""

    def __init__(self, runner: str, capability: Capability, limit: int) -> None:
        self.runner = runner
        self.capability = capability
        self.limit = limit
        self.answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def answer(self, ready: bool) -> None:
        if not self.answered.done():
            self.answered.set_result(ready)


class Dispatcher:
    """The index of ready tasks over all live jobs."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._ready: dict[SpecKey, dict[str, LiveJob]] = {}
        self._covered: dict[Capability, list[SpecKey]] = {}  #: cache, dropped whenever a new kind shows up
        self._waiters: dict[str, Waiter] = {}
        self._matching = False

    def refresh(self, live: LiveJob) -> None:
        """List the job where it has ready tasks now, and nowhere else."""
        keys = (
            set()
            if live.dead or live.halted
            else {SpecKey.of(live.job.specs[i]) for i in self._ready_specs(live)}
        )
        for key in live.keys - keys:
            self._ready[key].pop(live.job.id, None)
            if not live.job.slots:  # with them, what is ready may just have no slot for a while
                live.listed_since.pop(key, None)
        for key in keys - live.keys:
            live.listed_since.setdefault(key, live.read_as_of or time.time_ns() // 1000)
            if key not in self._ready:
                self._ready[key] = {}
                self._covered.clear()
            self._ready[key][live.job.id] = live
        live.keys = keys
        if keys and self._waiters and not self._matching:
            self._matching = True
            asyncio.get_running_loop().call_soon(self._match)

    def forget(self, live: LiveJob) -> None:
        for key in live.keys:
            self._ready[key].pop(live.job.id, None)
        live.keys = set()

    def jobs_for(self, capability: Capability) -> Iterator[tuple[LiveJob, list[int]]]:
        """Yield the jobs with a ready task for this runner, each with the kinds it may take, and let them take turns.

        A job comes once for each priority it has, the highest first.
        """
        for key in self._keys(capability):
            jobs = self._ready[key]
            for job_id in list(jobs):
                live = jobs.pop(job_id, None)
                if live is None:
                    continue
                jobs[job_id] = live  # to the end of the queue
                yield (
                    live,
                    [i for i in self._ready_specs(live) if self._fits(live.job.specs[i], key, capability)],
                )

    def _fits(self, spec: TaskSpec, key: SpecKey, capability: Capability) -> bool:
        own = SpecKey.of(spec)
        return own.priority == key.priority and capability.covers(own)

    def _ready_specs(self, live: LiveJob) -> list[int]:
        """Return the kinds of which a task is ready and may run: there is a slot where their number is limited."""
        ready = live.job.graph.ready_specs()
        left = self._slots.left(live)
        if not left:
            return list(ready)
        return [spec for spec in ready if left.get(live.job.specs[spec].asked.key, 1) > 0]

    def _keys(self, capability: Capability) -> list[SpecKey]:
        keys = self._covered.get(capability)
        if keys is None:
            keys = [key for key in self._ready if capability.covers(key)]
            keys.sort(key=lambda key: -key.priority)
            self._covered[capability] = keys
        return keys

    # -- waiting runners ------------------------------------------------------------------------------------------

    def supersede(self, runner: str) -> None:
        """A new exchange of the runner arrived: the one that is held open is answered at once."""
        waiter = self._waiters.pop(runner, None)
        if waiter is not None:
            waiter.answer(False)

    async def wait(self, waiter: Waiter, seconds: float) -> bool:
        """Return True as soon as a task is ready for the waiter, False when time is up or it was superseded."""
        self._waiters[waiter.runner] = waiter
        timer = asyncio.get_running_loop().call_later(seconds, waiter.answer, False)
        try:
            return await waiter.answered
        finally:
            timer.cancel()
            if self._waiters.get(waiter.runner) is waiter:
                del self._waiters[waiter.runner]

    @property
    def waiting(self) -> int:
        """How many runners wait."""
        return len(self._waiters)

    def answer_all(self) -> None:
        for waiter in self._waiters.values():
            waiter.answer(False)

    def _match(self) -> None:
        """Wake waiting runners while there is something for them.

        The newest first: one that has not said anything for long may have been killed, and would keep what it is
        handed for the length of a lease.
        """
        self._matching = False
        promised: dict[str, int] = {}
        for waiter in reversed(list(self._waiters.values())):
            if waiter.answered.done():
                continue
            for key in self._keys(waiter.capability):
                for job_id, live in self._ready[key].items():
                    # an upper bound of what is ready keeps one task from waking every runner there is
                    if promised.get(job_id, 0) < live.job.graph.ready.count(READY):
                        promised[job_id] = promised.get(job_id, 0) + waiter.limit
                        waiter.answer(True)
                        break
                if waiter.answered.done():
                    break
