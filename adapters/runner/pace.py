"""How many tasks to have at hand, from how long they take: hundreds that last microseconds, one that lasts minutes."""

from __future__ import annotations

#: seconds of work a worker should have at hand: hides the way to the engine and back, and delays nobody
AT_HAND = 0.05
#: tasks a runner has at hand at most, and asks for at most in one exchange
MOST_AT_HAND = 3072
MOST_ASKED = 1024
#: seconds a task may run before what waits behind it is offered to other runners
SLOW = 0.25
#: seconds a task costs at least, its way through the runner included
_LEAST = 10e-6
#: how much of the average one more task replaces
_WEIGHT = 0.1


class Pace:
    """The moving average of how long tasks take, and what follows from it. Without a measurement: one at a time."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._seconds: float | None = None

    def measured(self, seconds: float, tasks: int) -> None:
        """`tasks` of them took `seconds` in all."""
        mean = max(seconds / tasks, _LEAST)
        if self._seconds is None:
            self._seconds = mean
        else:
            self._seconds += (mean - self._seconds) * (1 - (1 - _WEIGHT) ** tasks)

    @property
    def per_worker(self) -> int:
        """How many tasks one worker should have at hand, the running one included."""
        if self._seconds is None:
            return 1
        return max(1, min(MOST_AT_HAND // self._workers, int(AT_HAND / self._seconds)))

    def target(self, slow: int = 0) -> int:
        """How many tasks to have, where `slow` of the workers are busy with one that takes long."""
        return slow + (self._workers - slow) * self.per_worker
