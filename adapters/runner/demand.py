"""How many tasks a runner asks for, and how many it gives back, from what it has and how long tasks take."""

from __future__ import annotations

from .pace import MOST_AT_HAND, SLOW, Pace
from .todo import Todo
from .workers import Workers

#: assignments that wait behind barriers, from which on few more are asked for at a time
_MANY_WAITING = 4 * MOST_AT_HAND
_FEW = 16


class Demand:
    """The demand of one session."""

    def __init__(self, todo: Todo, workers: Workers) -> None:
        self._todo = todo
        self._workers = workers
        self._pace = Pace(workers.size)

    def measured(self, seconds: float, tasks: int) -> None:
        """`tasks` of them took `seconds` in all."""
        if tasks:
            self._pace.measured(seconds, tasks)
            self._workers.low = self._pace.target() // 4

    def wanted(self, asked: int) -> int:
        """Return how many more tasks it would be good to have, where `asked` may be on their way."""
        todo, workers = self._todo, self._workers
        running = len(workers.running)
        target = self._pace.target(workers.slow(SLOW))
        if not todo.exact:
            return target - todo.waiting - running - asked
        # What waits behind a barrier is no work at hand: what comes before it may still have to be asked for.
        wanted = target - todo.open - running - asked
        if todo.held_up:
            wanted = max(wanted, self._pace.per_worker)
        return wanted if todo.waiting < _MANY_WAITING else min(wanted, _FEW)

    def surplus(self) -> int:
        """Return how many assignments wait behind tasks that take long: an idle runner may have them."""
        workers = self._workers
        slow = workers.slow(SLOW) if self._todo.waiting else 0
        return self._todo.waiting - (workers.size - slow) * self._pace.per_worker if slow else 0
