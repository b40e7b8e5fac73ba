"""Which runners are alive. A lease belongs to a runner: one sign of life extends all of its claims.

Signs of life are not in the log; that a lease expired is. After a restart of the engine every runner that holds a
claim gets a fresh lease.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .live import LiveJob


class Leases:
    """Deadlines of runners, and the live jobs in which each of them has claims."""

    def __init__(self, length: float, clock: Callable[[], float]) -> None:
        self.length = length  #: seconds
        self._clock = clock  # monotonic
        self._deadlines: dict[str, float] = {}
        self._jobs: dict[str, set[str]] = {}  #: runner -> ids of jobs it claimed from; pruned as it is read

    @property
    def runners(self) -> int:
        """How many runners are alive."""
        return len(self._deadlines)

    def extend(self, runner: str) -> None:
        self._deadlines[runner] = self._clock() + self.length

    def claimed(self, runner: str, live: LiveJob) -> None:
        """The runner holds tasks of this job."""
        if runner not in self._deadlines:
            self.extend(runner)
        self._jobs.setdefault(runner, set()).add(live.job.id)

    def expired(self) -> Iterator[str]:
        """Yield, and forget, the runners that gave no sign of life in time."""
        now = self._clock()
        for runner in [runner for runner, deadline in self._deadlines.items() if deadline <= now]:
            del self._deadlines[runner]
            yield runner

    def held(self, runner: str, find: Callable[[str], LiveJob | None]) -> Iterator[tuple[LiveJob, list[int]]]:
        """Yield the runner's running tasks, by job."""
        for job_id in list(self._jobs.get(runner, ())):
            live = find(job_id)
            tasks = [task for task, by in live.job.claimed_by.items() if by == runner] if live else []
            if live and tasks:
                yield live, tasks
            else:
                self._jobs[runner].discard(job_id)
        if not self._jobs.get(runner, True):
            del self._jobs[runner]
