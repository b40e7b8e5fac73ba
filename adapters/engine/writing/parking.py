"""What the log has no room for: kept as it is, and tried again until it has.

One at a time while the log takes nothing, so that a full log costs a message a second, however much waits; many together once
it has taken one. In turn: one that never fits holds up no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from ..live import LiveJob, NotWritten

log = logging.getLogger(__name__)

#: seconds between two tries
_AGAIN = 1.0
#: how many are tried together once one was taken
_TOGETHER = 64

T = TypeVar("T")


class Parking(Generic[T]):
    """The refused commits, one of each job. `retry` puts one of them again; what comes of that is told to `refused`, `taken`
    or `dropped`."""

    def __init__(self, retry: Callable[[T], None]) -> None:
        self._retry = retry
        self._waiting: dict[LiveJob, T] = {}  #: in the order of the next tries
        self._trying: dict[LiveJob, None] = {}
        self._at_once = 1
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiting) + len(self._trying)

    @property
    def reason(self) -> str | None:
        """Why something cannot be written just now, if anything."""
        return next((str(live.parked) for live in (*self._waiting, *self._trying)), None)

    def refused(self, live: LiveJob, commit: T, reason: str) -> None:
        """The log did not take the commit, which is kept. Who waits for it is told to ask again."""
        if not len(self):
            log.error("what is decided waits for room in the log, and is tried again: %s", reason)
        self._trying.pop(live, None)
        self._waiting[live] = commit
        live.writing = True
        live.park(NotWritten(reason))
        self._at_once = 1
        self._look(_AGAIN)

    def taken(self, live: LiveJob) -> bool:
        """The log has taken it after all. Return whether nothing is left that waits."""
        self._trying.pop(live, None)
        live.parked = None
        self._at_once = _TOGETHER
        if self._waiting:
            self._look(0.0)
        elif not self._trying:
            log.warning("the log takes commits again")
        return not len(self)

    def dropped(self, live: LiveJob) -> None:
        """The job's memory is thrown away, and what was decided with it."""
        self._waiting.pop(live, None)
        self._trying.pop(live, None)

    def close(self) -> None:
        """Try no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self, seconds: float) -> None:
        self.close()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._try)

    def _try(self) -> None:
        for live in list(self._waiting)[: self._at_once]:
            commit = self._waiting.pop(live)
            self._trying[live] = None
            self._retry(commit)
