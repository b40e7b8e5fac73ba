"""A time without answers: told in the program's log once it lasts, with the reason, and again when it is over."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable

from jobledger.core.errors import ServerUnavailable

from .clocks import clock

log = logging.getLogger(__name__)

_WORD = 5.0  # seconds without an answer after which a word is said: longer than an engine takes over from another one
_APART = 30.0  #: seconds between two tries of one outage: no try takes longer


class Outage:
    """What one connection knows of it. `find` finds out whether the server is the reason; None: it does not seem to be."""

    def __init__(self, who: str, find: Callable[[], Awaitable[ServerUnavailable | None]]) -> None:
        self._who = who
        self._find = find
        self._since = self._last = -math.inf
        self.told = ""  #: what is wrong, while that lasts

    def over(self) -> None:
        """There was an answer."""
        if self.told:
            log.warning("%s: answered again after %.0f s", self._who, clock() - self._since)
        self._last, self.told = -math.inf, ""

    async def lasts(self, problem: str) -> None:
        """There was no answer once more."""
        now = clock()
        if now - self._last > _APART:
            self._since = now
        self._last = now
        if now - self._since > _WORD and not self.told:
            self.told = problem
            found = await self._find()
            if self.told:  # still
                self.told = problem if found is None else str(found)
                log.warning(
                    "%s: no answer for %.0f s: %s. Asking on", self._who, now - self._since, self.told
                )
