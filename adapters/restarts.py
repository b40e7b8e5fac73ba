"""When a process that has ended is started again: soon if it was killed, later and later if it goes on failing."""

from __future__ import annotations

import signal

#: seconds before the next start of a process that failed; doubled each time
_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
#: the same for one that somebody killed: that says nothing against it, however often it happens
_AFTER_KILL = 0.2
_LASTED = 60.0  #: seconds after which a process that ends is no failed start
_KILLS = (-signal.SIGKILL, -signal.SIGTERM)


class Restarts:
    """The pauses between the starts of one process.

    >>> restarts = Restarts()
    >>> [restarts.pause(1, lasted=0.1) for _ in range(3)]
    [0.5, 1.0, 2.0]
    >>> restarts.pause(-9, lasted=0.1), restarts.pause(1, lasted=0.1), restarts.pause(1, lasted=100.0)
    (0.2, 4.0, 0.5)
    """

    def __init__(self) -> None:
        self._next = _PAUSE

    def pause(self, code: int | None, *, lasted: float) -> float:
        """Return how many seconds to wait before the next start.

        Shape:  `code` is how it ended: as an exit code, or minus the number of a signal; None where that is not known.
        Units:  `lasted` is for how many seconds it ran.
        """
        if code in _KILLS:
            return _AFTER_KILL
        pause = _PAUSE if lasted > _LASTED else self._next
        self._next = min(2 * pause, _LONGEST_PAUSE)
        return pause
