"""For how long what this runner was handed out is its own for certain."""

from __future__ import annotations

import math
import time
from functools import partial

#: seconds since some moment in the past; goes on while the machine sleeps, as a lease does, where there is such a clock
clock = partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Lease:
    """The runner's side of its lease. The engine's ends later: it begins when a request arrives, this one as it leaves."""

    def __init__(self) -> None:
        self.until = -math.inf  #: by `clock`

    def renewed(self, asked: float, length: float, *, uncounted: bool) -> None:
        """A request that left at `asked` was answered by an engine whose leases have this length, in seconds.

        Once a lease is over, the engine begins another, which does not cover what was held under the old one. So an
        answer to what was asked too late renews nothing while something is `uncounted`: held, without the answer saying
        whether it is lost.
        """
        if not uncounted or asked <= self.until:
            self.until = max(self.until, asked + length)

    @property
    def over(self) -> bool:
        """Whether others may have been handed what this runner holds: it, or the machine, may have been suspended."""
        return clock() > self.until
