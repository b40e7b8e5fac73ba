"""What the jobs in an engine's memory are at: how much is queued, for how long, and how much runs.

The jobs are walked when somebody asks. Other work of the engine comes in between, every few milliseconds.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from jobledger.core.lifecycle import JobState
from jobledger.projections.census import Queued, take_census

from .figures import Sample, Samples
from .kinds import KnownTasks, TaskLabels

if TYPE_CHECKING:
    from ..engine.jobs import LiveJobs
    from ..engine.live import LiveJob

_AT_A_TIME = 0.002  # seconds
_LIVE = (JobState.SUBMITTED, JobState.RUNNING, JobState.STARTED, JobState.FAILED, JobState.CANCELED)


async def survey(partitions: Iterable[LiveJobs], known: KnownTasks) -> Samples:
    """Return the figures of the jobs of all of these."""
    began = time.perf_counter()
    census = _Survey(known, time.time_ns() // 1000)
    for of, job_id in [(jobs, job_id) for jobs in partitions for job_id in jobs.ids()]:
        live = of.get(job_id)
        if live is None:
            continue
        found: dict[int, Queued] = {}
        census.look_at(live)
        for _ in take_census(live.job.graph, found) if not live.halted else ():
            if time.perf_counter() - began > _AT_A_TIME:
                await asyncio.sleep(0)
                began = time.perf_counter()
        census.add(live, found)
    return census.samples()


class _Survey:
    def __init__(self, known: KnownTasks, now: int) -> None:
        self._known = known
        self._now = now  # µs
        self._states: Counter[int] = Counter()
        self._running: Counter[TaskLabels] = Counter()
        self._queued: Counter[tuple[TaskLabels, str]] = Counter()
        self._oldest: dict[TaskLabels, int] = {}  # µs

    def look_at(self, live: LiveJob) -> None:
        job = live.job
        self._states[job.state] += 1
        if job.claimed_by:
            for kind, number in Counter(map(job.graph.spec.__getitem__, job.claimed_by)).items():
                self._running[self._known.of(job.specs[kind])] += number

    def add(self, live: LiveJob, found: dict[int, Queued]) -> None:
        for kind, queued in found.items():
            spec = live.job.specs[kind]
            labels = self._known.of(spec)
            self._queued[labels, "ready"] += queued.ready
            self._queued[labels, "held"] += queued.held
            self._queued[labels, "waiting"] += queued.waiting
            if queued.ready:
                age = self._now - live.ready_since(spec, queued.first)
                self._oldest[labels] = max(age, self._oldest.get(labels, 0))

    def samples(self) -> Samples:
        tasks = list(self._known)
        return {
            "jobledger_live_jobs": [
                Sample((state.name.lower(),), float(self._states[state.value])) for state in _LIVE
            ],
            "jobledger_running_tasks": [Sample(labels, float(self._running[labels])) for labels in tasks],
            "jobledger_queue_tasks": [
                Sample((*labels, status), float(self._queued[labels, status]))
                for labels in tasks
                for status in ("ready", "held", "waiting")
            ],
            "jobledger_queue_oldest_seconds": [
                Sample(labels, self._oldest.get(labels, 0) / 1e6) for labels in tasks
            ],
        }
