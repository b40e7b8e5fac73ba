"""How many tasks a runner asks for, and how many it gives back, from what it has and how long tasks take."""

from __future__ import annotations

from ..running.crew import Crew
from ..running.todo import Todo
from .pace import MOST_AT_HAND, SLOW, Pace

#: assignments that wait behind barriers, from which on few more are asked for at a time
_MANY_WAITING = 4 * MOST_AT_HAND
_FEW = 16


class Demand:
    """The demand of one session."""

    held_elsewhere = 0  #: how much of other engines it holds, where it has one: see `Traffic`

    def __init__(self, todo: Todo, workers: Crew) -> None:
        self._todo = todo
        self._workers = workers
        self._pace = Pace(workers.size)

    def measured(self, seconds: float, tasks: int) -> None:
        """`tasks` of them took `seconds` in all."""
        if tasks:
            self._pace.measured(seconds, tasks)
            self._workers.low = self._pace.target() // 4

    @property
    def held_up(self) -> bool:
        """Whether something can only go on once an exchange is answered."""
        return self._todo.exact and self._todo.held_up

    @property
    def company(self) -> float:
        """How many seconds finished work, or a demand, should wait for company."""
        return self._pace.company

    def wanted(self, asked: int) -> int:
        """Return how many more tasks it would be good to have, where `asked` may be on their way."""
        todo = self._todo
        running, slow = self._workers.load(SLOW)
        target = self._pace.target(slow)
        if not todo.exact:
            return target - todo.waiting - running - asked
        # What waits behind a barrier is no work at hand: what comes before it may still have to be asked for.
        wanted = target - todo.open - running - asked
        if todo.held_up:
            wanted = max(wanted, self._pace.per_worker)
        return wanted if todo.waiting < _MANY_WAITING else min(wanted, _FEW)

    def surplus(self) -> int:
        """Return how many assignments wait behind tasks that take long: an idle runner may have them."""
        _, slow = self._workers.load(SLOW)
        return self._todo.waiting - (self._workers.size - slow) * self._pace.per_worker if slow else 0
