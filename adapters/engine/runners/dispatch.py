"""Which live jobs have a task ready for whom, and which runners wait for one.

The most urgent kinds come first. Jobs with ready tasks of one kind take turns, so that a job of 100,000 tasks does not
hold up one of three.

A job is listed where it has ready tasks, whether there are slots for them or not: when one becomes free, nothing has to
be listed anew, however many jobs wait for it.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import NamedTuple, Self

from jobledger.core.limits import LONGEST_WAIT
from jobledger.core.task import TaskIdentifier

from ...protocol import Exchange
from ..live import LiveJob, SpecKey
from .slots import Slots

#: kinds beyond twice those that were ready when they were looked through last: then they are looked through again
_SPARE = 1024
#: capabilities of which is kept what they cover: a runner that changes its own with every request does not fill the memory
_MOST_COVERED = 1024
_NOTHING: OrderedDict[str, LiveJob] = OrderedDict()
#: runners that wait at a time: of more, those that have waited longest are answered, and ask again
_MOST_WAITERS = 100_000


class Capability(NamedTuple):
    """What a runner can run."""

    cluster: str
    identifiers: tuple[TaskIdentifier, ...]

    @classmethod
    def of(cls, request: Exchange) -> Self:
        return cls(request.cluster, tuple(TaskIdentifier(*identifier) for identifier in request.identifiers))

    def covers(self, key: SpecKey) -> bool:
        submitted = TaskIdentifier(key.name, key.major, key.minor)
        return key.cluster == self.cluster and any(
            identifier.runs(submitted) for identifier in self.identifiers
        )


class Waiter:
    """A runner's exchange that is held open until a task is ready, its time is up, or the runner asks anew.

    `answer` is called once, with whether something is ready.
    """

    def __init__(self, runner: str, capability: Capability, answer: Callable[[bool], None]) -> None:
        self.runner = runner
        self.capability = capability
        self.answer = answer
        self.timer: asyncio.TimerHandle | None = None


class Dispatcher:
    """The index of ready tasks over all live jobs.

    `wake` has `match` called soon.
    """

    def __init__(self, slots: Slots, *, wake: Callable[[], None] = lambda: None) -> None:
        self._slots = slots
        self._wake = wake
        self._ready: dict[SpecKey, OrderedDict[str, LiveJob]] = {}  #: the first one has its turn
        self._covered: dict[Capability, list[SpecKey]] = {}  #: cache, dropped whenever a new kind shows up
        self._waiters: dict[str, Waiter] = {}
        self._alike: dict[Capability, dict[str, Waiter]] = {}  #: the same ones, by what they can run
        self._news = False  #: something became ready since `match`
        self._most = _SPARE  #: kinds after which those that nothing is ready of are dropped

    def refresh(self, live: LiveJob) -> None:
        """List the job where it has ready tasks now, and nowhere else."""
        idle = live.dead or live.halted or live.parked is not None
        # in order, and not in that of a set, which is another one in every process: whoever has its turn should not be chance
        keys = {} if idle else {live.key_of(i): None for i in live.job.graph.ready_specs()}
        if keys == live.keys:
            if keys:
                self.look_again()
            return
        for key in live.keys.keys() - keys.keys():
            self._ready[key].pop(live.job.id, None)
            live.listed_since.pop(key, None)
        for key in keys:
            if key in live.keys:
                continue
            live.listed_since.setdefault(key, live.read_as_of or time.time_ns() // 1000)
            if key not in self._ready:
                if len(self._ready) >= self._most:
                    self._drop_kinds()
                self._ready[key] = OrderedDict()
                self._covered.clear()
            self._ready[key][live.job.id] = live
        live.keys = keys
        if keys:
            self.look_again()

    def _drop_kinds(self) -> None:
        self._ready = {key: jobs for key, jobs in self._ready.items() if jobs}
        self._most = 2 * len(self._ready) + _SPARE

    def look_again(self) -> None:
        """There may be something for those who wait: a task became ready, or a slot free."""
        if self._waiters:
            self._news = True
            self._wake()

    def forget(self, live: LiveJob) -> None:
        for key in live.keys:
            self._ready[key].pop(live.job.id, None)
        live.keys = {}

    def jobs_for(self, capability: Capability) -> Iterator[tuple[LiveJob, list[int]]]:
        """Yield the jobs with a ready task for this runner, each with the kinds it may take, and let them take turns.

        A job comes once for each priority it has, the highest first.
        """
        for key in self._keys(capability):
            for live in self._turns(key):
                yield (
                    live,
                    [i for i in live.job.graph.ready_specs() if self._fits(live.key_of(i), key, capability)],
                )

    def _turns(self, key: SpecKey) -> Iterator[LiveJob]:
        """Yield the jobs that are listed there, each once, and put each at the end of the queue.

        It costs what is taken of it: an exchange that claims one task does not look at 10,000 jobs.
        """
        jobs = self._ready.get(key, _NOTHING)  # it may have been dropped since it was found
        for _ in range(len(jobs)):
            if not jobs or self._slots.full(key.slot, key.limit):
                break
            job_id = next(iter(jobs))
            self._ready[key].move_to_end(job_id)
            yield jobs[job_id]
        yield from self._with_room(key)

    def _with_room(self, key: SpecKey) -> list[LiveJob]:
        """Return the jobs listed there that have a slot of their own left, though the key has none."""
        if not self._slots.full(key.slot, key.limit):
            return []
        jobs = self._ready.get(key, _NOTHING)
        return [live for live in self._slots.with_room(key.slot).values() if live.job.id in jobs]

    def _offers(self, key: SpecKey) -> bool:
        """Whether a task that is listed there may run."""
        if not self._slots.full(key.slot, key.limit):
            return bool(self._ready.get(key))
        return bool(self._with_room(key))

    def _fits(self, own: SpecKey, key: SpecKey, capability: Capability) -> bool:
        return own.priority == key.priority and capability.covers(own)

    def _keys(self, capability: Capability) -> list[SpecKey]:
        keys = self._covered.get(capability)
        if keys is None:
            keys = [key for key in self._ready if capability.covers(key)]
            keys.sort(key=lambda key: -key.priority)
            if len(self._covered) >= _MOST_COVERED:
                self._covered.clear()
            self._covered[capability] = keys
        return keys

    # -- waiting runners ------------------------------------------------------------------------------------------

    def hold(self, waiter: Waiter, seconds: float) -> None:
        """Answer the waiter as soon as a task is ready for it; in so many seconds at the latest."""
        if len(self._waiters) >= _MOST_WAITERS:
            self._answer(next(iter(self._waiters.values())), False)
        self._waiters[waiter.runner] = waiter
        self._alike.setdefault(waiter.capability, {})[waiter.runner] = waiter
        waiter.timer = asyncio.get_running_loop().call_later(
            min(LONGEST_WAIT, seconds), self._answer, waiter, False
        )

    def supersede(self, runner: str) -> None:
        """A new exchange of the runner arrived: the one that is held open is answered at once."""
        waiter = self._waiters.get(runner)
        if waiter is not None:
            self._answer(waiter, False)

    @property
    def waiting(self) -> int:
        """How many runners wait."""
        return len(self._waiters)

    def waiting_alike(self, capability: Capability) -> int:
        """How many runners wait that can run the same."""
        return len(self._alike.get(capability, ()))

    def answer_all(self) -> None:
        for waiter in list(self._waiters.values()):
            self._answer(waiter, False)

    def match(self) -> None:
        """Answer waiting runners while there is something for them. To be called as a turn ends.

        The newest first: one that has not said anything for long may have been killed, and would keep what it is
        handed for the length of a lease.
        """
        if not self._news:
            return
        self._news = False
        # 200 runners that wait alike are one question: asked for each, they cost every hop of a chain 150 µs (Python 3.11).
        for capability in list(self._alike):
            while capability in self._alike and any(map(self._offers, self._keys(capability))):
                # An answer claims at once: what the next one finds is still ready.
                self._answer(next(reversed(self._alike[capability].values())), True)

    def _answer(self, waiter: Waiter, ready: bool) -> None:
        if self._waiters.get(waiter.runner) is waiter:
            del self._waiters[waiter.runner]
            alike = self._alike[waiter.capability]
            del alike[waiter.runner]
            if not alike:
                del self._alike[waiter.capability]
            assert waiter.timer is not None
            waiter.timer.cancel()
            waiter.answer(ready)
