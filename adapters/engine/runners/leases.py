"""Which runners are alive. A lease belongs to a runner: one sign of life extends all of its claims.

Signs of life are not in the log; that a lease expired is. After a restart of the engine every runner that holds a
claim gets a fresh lease, but for what the engine before has noted of its silence (`silences`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from ..live import LiveJob

#: jobs of a runner beyond twice those it had when they were looked through last: then they are looked through again
_SPARE = 64


class Silent(NamedTuple):
    """A runner that gave no sign of life in time."""

    runner: str
    heard: bool  #: whether it ever gave one to this engine: of others the log says that they hold something


class Leases:
    """Deadlines of runners, and the live jobs in which each of them has claims. `find` returns a job that is live."""

    def __init__(
        self, length: float, clock: Callable[[], float], find: Callable[[str], LiveJob | None]
    ) -> None:
        self.length = length  #: seconds
        self._clock = clock  # monotonic
        self._find = find
        self._deadlines: dict[str, float] = {}
        self._unheard: set[str] = set()  #: those of them that only the log knows
        self._carried: dict[
            str, float
        ] = {}  #: for how many seconds a runner had been silent when the engine before ended
        self._jobs: dict[str, _Claimed] = {}

    @property
    def now(self) -> float:
        return self._clock()

    @property
    def runners(self) -> int:
        """How many runners are alive."""
        return len(self._deadlines)

    @property
    def noted(self) -> int:
        """How many jobs are kept in mind, over all runners: no more than about twice what they have claims in."""
        return sum(len(jobs.ids) for jobs in self._jobs.values())

    def carry(self, seconds: Mapping[str, float]) -> None:
        """For so long have runners been silent, before anything is known of them here."""
        self._carried = dict(seconds)

    def silent(self) -> dict[str, float]:
        """Return the runners that hold something and are silent, and for how many seconds.

        Who was heard, and holds anything, speaks three times in a lease: it counts as silent after half of one.
        """
        now = self._clock()
        found = {
            runner: self.length - (deadline - now)
            for runner, deadline in self._deadlines.items()
            if runner in self._jobs
        }
        return {
            runner: seconds
            for runner, seconds in found.items()
            if runner in self._unheard or seconds > self.length / 2
        }

    def extend(self, runner: str) -> None:
        self._deadlines[runner] = self._clock() + self.length
        if self._unheard:
            self._unheard.discard(runner)
        if self._carried:
            self._carried.pop(runner, None)

    def claimed(self, runner: str, live: LiveJob) -> None:
        """The runner holds tasks of this job."""
        if runner not in self._deadlines:
            self._deadlines[runner] = self._clock() + self.length - self._carried.pop(runner, 0.0)
            self._unheard.add(runner)
        jobs = self._jobs.get(runner)
        if jobs is None:
            jobs = self._jobs[runner] = _Claimed()
        jobs.ids[live.job.id] = None
        if len(jobs.ids) > jobs.most:
            jobs.ids = {
                job_id: None for job_id in jobs.ids if (job := self._find(job_id)) and job.job.claimed_by
            }
            jobs.most = 2 * len(jobs.ids) + _SPARE

    def expired(self) -> list[Silent]:
        """Return the runners that gave no sign of life in time: each once. What they hold is theirs until `forget`."""
        now = self._clock()
        silent = [runner for runner, deadline in self._deadlines.items() if deadline <= now]
        for runner in silent:
            del self._deadlines[runner]
        found = [Silent(runner, runner not in self._unheard) for runner in silent]
        self._unheard.difference_update(silent)
        return found

    def overdue(self) -> Iterator[str]:
        """Yield the runners that have been silent for half a lease: who holds anything speaks three times in one."""
        soon = self._clock() + self.length / 2
        return (runner for runner, deadline in self._deadlines.items() if deadline < soon)

    def forget(self, runner: str) -> None:
        """Nothing is the runner's any more: without this, each that was ever lost would be kept in mind."""
        if runner not in self._deadlines:
            self._jobs.pop(runner, None)

    def is_free(self, runner: str) -> bool:
        """Whether the runner holds nothing."""
        return next(self.held(runner), None) is None

    def held(self, runner: str) -> Iterator[tuple[LiveJob, list[int]]]:
        """Yield the runner's running tasks, by job."""
        jobs = self._jobs.get(runner)
        if jobs is None:
            return
        for job_id in list(jobs.ids):
            live = self._find(job_id)
            tasks = [task for task, by in live.job.claimed_by.items() if by == runner] if live else []
            if live and tasks:
                yield live, tasks
            else:
                jobs.ids.pop(job_id, None)
        if not jobs.ids:
            self._jobs.pop(runner, None)


class _Claimed:
    """Ids of the jobs one runner claimed from; those in which it holds nothing any more are dropped now and then."""

    __slots__ = ("ids", "most")

    def __init__(self) -> None:
        self.ids: dict[str, None] = {}  #: in the order in which it did
        self.most = _SPARE  #: ids after which it is time for that
