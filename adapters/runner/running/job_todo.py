"""What a runner has to do of one job, in the order of the engine, and how much of it may begin."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from operator import attrgetter

from ...protocol import ClaimedJob
from ..assignment import Assignment, Order, order_of

NOTHING: Order = (-math.inf, 0, 0)
EVERYTHING: Order = (math.inf, 0, 0)
#: bytes of inputs from which on an answer may have been cut short by its size
_HEAVY = 64 * 1024

_order = attrgetter("order")


class JobTodo:
    """The assignments of one job that have not begun."""

    __slots__ = ("barriers", "id", "known", "open", "tasks")

    def __init__(self, job_id: str) -> None:
        self.id = job_id
        self.tasks: deque[Assignment] = deque()  #: in order
        self.barriers: set[Assignment] = set()  #: not answered yet
        self.known = EVERYTHING  #: up to here, no ready task is missing in `tasks`
        self.open = 0  #: how many of `tasks` may begin, as of the last `count`

    def add(self, new: list[Assignment]) -> None:
        """Add assignments, which are in order."""
        if not self.tasks or self.tasks[-1].order < new[0].order:
            self.tasks.extend(new)
        elif new[-1].order < self.tasks[0].order:
            self.tasks.extendleft(reversed(new))
        else:
            self.tasks = deque(sorted([*self.tasks, *new], key=_order))

    def next_after(self, place: Order) -> bool:
        """Whether a task at this place would come before what is next here."""
        return not self.tasks or self.tasks[0].order > place

    def count(self) -> int:
        """Return how many of the tasks may begin as things stand."""
        if self.barriers:
            return 0
        if self.known == EVERYTHING:
            return len(self.tasks)
        return bisect_right(self.tasks, self.known, key=_order)


def known_after(limit: int, handed_out: Sequence[ClaimedJob], jobs: Iterable[str]) -> dict[str, Order]:
    """Return up to where nothing is missing any more, by job, once this is what an exchange was answered with.

    Shape:  `limit` is how many tasks it asked for; `jobs` are those this runner has something of.
    """
    if sum(len(job.tasks) for job in handed_out) < limit and _weight(handed_out) < _HEAVY:
        return dict.fromkeys(jobs, EVERYTHING)
    # The engine went from job to job, and stopped within the last one.
    known = {job.job_id: EVERYTHING for job in handed_out}
    last, task = handed_out[-1], handed_out[-1].tasks[-1]
    known[last.job_id] = order_of(last.specs[task.spec], task.depth, task.task)
    return known


def _weight(jobs: Iterable[ClaimedJob]) -> int:
    return sum(len(task.input) for job in jobs for task in job.tasks)
