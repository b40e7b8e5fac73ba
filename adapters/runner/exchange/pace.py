"""How many tasks to have at hand, from how long they take: hundreds that last microseconds, one that lasts minutes."""

from __future__ import annotations

#: seconds of work a worker should have at hand: hides the way to the engine and back, and delays nobody
AT_HAND = 0.05
#: tasks a runner has at hand at most, and asks for at most in one exchange. Python lets the event loop run only every 5 ms while
#: a thread is busy, and the engine needs 4 µs a task, so that an exchange takes 10 to 25 ms: a fan-out of 100,000 runs at 104 k/s
#: with these, at 96 k/s with half, and its worker waits for tasks a quarter of the time then. With twice as many it is no faster
MOST_AT_HAND = 10000
MOST_ASKED = 4096
#: seconds a task may run before what waits behind it is offered to other runners
SLOW = 0.25
#: Seconds finished work waits for company while there is more to do, and a demand for a report to go with it. An exchange
#: costs server, engine and runner together 1.5 ms: a task of 1 ms costs them 100 µs less where 20 ms of work go together than
#: where 5 ms do. Where tasks take longer there is little to gain, and somebody may wait for each.
_COMPANY, _COMPANY_OF_SHORT = 0.005, 0.02
_SHORT = 0.005
#: seconds a task costs at least, its way through the runner included
_LEAST = 5e-6
#: how much of the average one more task replaces
_WEIGHT = 0.1


class Pace:
    """The moving average of how long tasks take, and what follows from it. Without a measurement: one at a time.

    It is a mean of ratios, not of seconds: the one task that submits 10,000 short ones takes as long as 500 of them, and by a
    mean of seconds the runner would ask for few of them then, and need four exchanges to find out (10,000 tasks: 92 k/s, not
    103). One that takes longer than all there should be at hand counts by its seconds: others like it may follow.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._seconds: float | None = None
        #: how many tasks one worker should have at hand, the running one included
        self.per_worker = 1

    def measured(self, seconds: float, tasks: int) -> None:
        """`tasks` of them took `seconds` in all."""
        mean = max(seconds / tasks, _LEAST)
        if self._seconds is None:
            self._seconds = mean
        else:
            weight = 1 - (1 - _WEIGHT) ** tasks
            if mean > AT_HAND:
                self._seconds += (mean - self._seconds) * weight
            else:
                self._seconds *= (mean / self._seconds) ** weight
        self.per_worker = max(1, min(MOST_AT_HAND // self._workers, int(AT_HAND / self._seconds)))

    @property
    def company(self) -> float:
        """How many seconds finished work should wait for more, while there is more to do."""
        short = self._seconds is not None and self._seconds < _SHORT
        return _COMPANY_OF_SHORT if short else _COMPANY

    def target(self, slow: int = 0) -> int:
        """How many tasks to have, where `slow` of the workers are busy with one that takes long."""
        return slow + (self._workers - slow) * self.per_worker
