"""Which runners are alive. A lease belongs to a runner: one sign of life extends all of its claims.

Signs of life are not in the log; that a lease expired is. After a restart of the engine every runner that holds a
claim gets a fresh lease.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .live import LiveJob

#: jobs of a runner beyond twice those it had when they were looked through last: then they are looked through again
_SPARE = 64


class Leases:
    """Deadlines of runners, and the live jobs in which each of them has claims. `find` returns a job that is live."""

    def __init__(
        self, length: float, clock: Callable[[], float], find: Callable[[str], LiveJob | None]
    ) -> None:
        self.length = length  #: seconds
        self._clock = clock  # monotonic
        self._find = find
        self._deadlines: dict[str, float] = {}
        self._jobs: dict[str, _Claimed] = {}

    @property
    def runners(self) -> int:
        """How many runners are alive."""
        return len(self._deadlines)

    @property
    def noted(self) -> int:
        """How many jobs are kept in mind, over all runners: no more than about twice what they have claims in."""
        return sum(len(jobs.ids) for jobs in self._jobs.values())

    def extend(self, runner: str) -> None:
        self._deadlines[runner] = self._clock() + self.length

    def claimed(self, runner: str, live: LiveJob) -> None:
        """The runner holds tasks of this job."""
        if runner not in self._deadlines:
            self.extend(runner)
        jobs = self._jobs.get(runner)
        if jobs is None:
            jobs = self._jobs[runner] = _Claimed()
        jobs.ids.add(live.job.id)
        if len(jobs.ids) > jobs.most:
            jobs.ids = {job_id for job_id in jobs.ids if (job := self._find(job_id)) and job.job.claimed_by}
            jobs.most = 2 * len(jobs.ids) + _SPARE

    def expired(self) -> Iterator[str]:
        """Yield, and forget, the runners that gave no sign of life in time."""
        now = self._clock()
        for runner in [runner for runner, deadline in self._deadlines.items() if deadline <= now]:
            del self._deadlines[runner]
            yield runner

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
                jobs.ids.discard(job_id)
        if not jobs.ids:
            self._jobs.pop(runner, None)


class _Claimed:
    """Ids of the jobs one runner claimed from; those in which it holds nothing any more are dropped now and then."""

    __slots__ = ("ids", "most")

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.most = _SPARE  #: ids after which it is time for that
