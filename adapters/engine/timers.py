"""What the clock brings about: a task is due, or a job has reached its deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .live import LiveJob

#: The wall clock may be set meanwhile: nothing is slept for longer than this many seconds without a look at it.
_LONGEST = 60.0


class Timers:
    """One alarm for each live job that waits for a time. `ring` is called with the job; it sets the next alarm."""

    def __init__(self, clock: Callable[[], int], ring: Callable[[LiveJob], None]) -> None:
        self._clock = clock  # µs since 1970 UTC
        self._ring = ring

    def set(self, live: LiveJob) -> None:
        """Have the alarm of this job ring when it has to be looked at again, if ever."""
        at = _next(live)
        if at == live.alarm_at:
            return
        self.clear(live)
        if at is not None:
            seconds = min(max(0.0, (at - self._clock()) / 1e6), _LONGEST)
            live.alarm_at = at
            live.alarm = asyncio.get_running_loop().call_later(seconds, self._fire, live)

    def clear(self, live: LiveJob) -> None:
        if live.alarm is not None:
            live.alarm.cancel()
        live.alarm, live.alarm_at = None, None

    def _fire(self, live: LiveJob) -> None:
        live.alarm, live.alarm_at = None, None
        if not live.dead:
            self._ring(live)


def _next(live: LiveJob) -> int | None:
    job = live.job
    wake, deadline = job.graph.next_wake, job.deadline or None
    if (wake is None and deadline is None) or live.halted:
        return None
    return min(time for time in (wake, deadline) if time is not None)
