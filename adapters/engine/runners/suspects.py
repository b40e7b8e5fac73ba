"""Tasks that may be what their runners are lost by: they are handed out in ever smaller groups, to runners that hold nothing.

A runner claims hundreds of tasks at a time, and when it is lost nobody knows which of them it was running. So what was
lost twice is suspected (`core.decisions.is_suspect`), and begins only beside few others that are, at last by itself
(`together`). One that kills its process then takes no other with it, and is the only one its losses count against. Most of
those that were only beside it are cleared at the first try.

A runner that holds something is handed out nothing more while a suspect is next for it, until it has ended what it has.
Neither this nor what a suspect keeps from its runner's other workers goes on for longer than a lease: tasks that take
hours must not keep a runner of many workers idle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from jobledger.core.decisions import is_suspect, together
from jobledger.core.graph import READY

from ..live import LiveJob
from .dispatch import Capability, Dispatcher
from .leases import Leases

#: seconds after which a runner that is handed out nothing for the sake of a suspect may ask again
LOOK_AGAIN = 1.0
#: what a runner can run that is not to be handed out anything
NOTHING = Capability("", ())


class _Noted(NamedTuple):
    """Suspects that a runner holds, or one that it is to be handed out next."""

    live: LiveJob
    tasks: list[int]
    since: float  #: by the clock of leases


class Suspects:
    """Which runner holds a suspect, and which one is to get one next."""

    def __init__(self, leases: Leases, dispatcher: Dispatcher, clock: Callable[[], float]) -> None:
        self._leases = leases
        self._dispatcher = dispatcher
        self._clock = clock
        self._held: dict[str, _Noted] = {}  #: by runner
        self._next: dict[str, _Noted] = {}  #: by runner
        self._busy: set[str] = set()  #: runners that did not end within a lease what they hold

    @property
    def noted(self) -> int:
        """How many runners are kept in mind."""
        return len(self._held.keys() | self._next.keys() | self._busy)

    def blocks(self, runner: str) -> bool:
        """Whether the runner is to be handed out nothing just now."""
        if not self._held and not self._next:
            return False
        held = self._held.get(runner)
        if held is not None:
            if held.live.dead or all(held.live.job.claimed_by.get(task) != runner for task in held.tasks):
                del self._held[runner]
            elif self._young(held):
                return True
        waits = self._next.get(runner)
        if waits is not None and not _may_run(waits):
            del self._next[runner]
            waits = None
        return waits is not None and self._young(waits) and not self._is_free(runner)

    def turns(self, runner: str, capability: Capability) -> Iterator[tuple[LiveJob, list[int]]]:
        """As `Dispatcher.jobs_for`; the job whose suspect the runner was kept free for comes first."""
        waits = self._next.get(runner) if self._next else None
        if waits is not None:
            live, graph = waits.live, waits.live.job.graph
            kinds = [kind for kind in graph.ready_specs() if capability.covers(live.key_of(kind))]
            if kinds and live.keys:
                yield live, kinds
        yield from self._dispatcher.jobs_for(capability)

    def cut(self, runner: str, live: LiveJob, tasks: list[int], *, first: bool) -> bool:
        """Leave of these tasks, which are the job's next, what may be claimed now. Return whether that is all for now.

        Shape:  `first`: the runner is handed out nothing else with them.
        """
        if runner in self._held:  # one that takes long: what else is suspected is for others
            tasks[:] = [task for task in tasks if not is_suspect(live.job, task)]
            return False
        place = next((place for place, task in enumerate(tasks) if is_suspect(live.job, task)), None)
        if place is None:
            return False
        suspect = tasks[place]
        if place:
            del tasks[place:]
        elif not first:
            tasks.clear()
        elif self._is_free(runner) or self._is_busy(runner):
            del tasks[1 if runner in self._busy else _size_of_group(live, tasks) :]
            self._next.pop(runner, None)
            self._held[runner] = _Noted(live, list(tasks), self._clock())
        else:
            self._next.setdefault(runner, _Noted(live, [suspect], self._clock()))
            tasks.clear()
        return True

    def forget(self, runner: str) -> None:
        """The runner is not there any more."""
        self._held.pop(runner, None)
        self._next.pop(runner, None)
        self._busy.discard(runner)

    def _is_free(self, runner: str) -> bool:
        free = self._leases.is_free(runner)
        if free:
            self._busy.discard(runner)
        return free

    def _is_busy(self, runner: str) -> bool:
        """Whether the runner has had a lease's time to end what it holds, and has not."""
        waits = self._next.get(runner)
        if waits is not None and not self._young(waits):
            self._busy.add(runner)
        return runner in self._busy

    def _young(self, noted: _Noted) -> bool:
        return self._clock() < noted.since + self._leases.length


def _may_run(noted: _Noted) -> bool:
    live = noted.live
    return not live.dead and not live.halted and live.job.graph.ready[noted.tasks[0]] == READY


def _size_of_group(live: LiveJob, tasks: list[int]) -> int:
    """Return how many of these tasks, from the first on, are suspects that may be handed out together."""
    most = len(tasks)
    for count, task in enumerate(tasks):
        if count >= most or not is_suspect(live.job, task):
            return count
        most = min(most, together(live.job, task))
        if count >= most:
            return count
    return most
