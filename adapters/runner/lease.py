"""For how long what this runner was handed out is its own for certain."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..clocks import clock


class Lease:
    """The runner's side of its lease. The engine's ends later: it begins when a request arrives, this one as it leaves."""

    def __init__(self) -> None:
        self.until = -math.inf  #: by `clock`
        self._since = -math.inf  #: by `clock`: when it was last renewed after it had been over
        self.on_renewed: Callable[[float], None] | None = None  #: called with `until`

    def renewed(self, asked: float, length: float, *, uncounted: bool) -> None:
        """A request that left at `asked` was answered by an engine whose leases have this length, in seconds.

        Once a lease is over, the engine begins another, which does not cover what was held under the old one. So an
        answer to what was asked too late renews nothing while something is `uncounted`: held, without the answer saying
        whether it is lost.
        """
        if not uncounted or asked <= self.until:
            if asked > self.until:
                self._since = clock()
            self.until = max(self.until, asked + length)
            if self.on_renewed is not None:
                self.on_renewed(self.until)

    def handed_out(self, asked: float, length: float) -> None:
        """An answer to a request that left at `asked` handed something out.

        If that answer took so long that the lease was over meanwhile, and is another one by now, it does not cover that: it is
        over again, until the engine was told of all that is held and has said what of it is lost.
        """
        if asked + length < self._since:
            self.follow(-math.inf)

    def follow(self, until: float) -> None:
        """It is made up of others, the first of which ends then."""
        self.until = until
        if self.on_renewed is not None:
            self.on_renewed(until)

    @property
    def over(self) -> bool:
        """Whether others may have been handed what this runner holds: it, or the machine, may have been suspended."""
        return clock() > self.until
