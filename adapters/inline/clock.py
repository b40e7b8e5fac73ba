"""A clock that stands still until it is told to go on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jobledger.core.options import Seconds, micros
from jobledger.projections.utc import utc

_START = datetime(2026, 1, 1, tzinfo=UTC)


class VirtualClock:
    """The time of an inline client.

    >>> clock = VirtualClock()
    >>> clock.advance(seconds=90)
    >>> clock.now
    datetime.datetime(2026, 1, 1, 0, 1, 30, tzinfo=datetime.timezone.utc)
    """

    def __init__(self, start: datetime = _START) -> None:
        self._micros = (start - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)

    @property
    def now(self) -> datetime:
        """What time it is (aware UTC).

        >>> print(VirtualClock(datetime(2030, 1, 1, tzinfo=UTC)).now)
        2030-01-01 00:00:00+00:00
        """
        return utc(self._micros)

    @property
    def micros(self) -> int:
        """The same, in µs since 1970 UTC.

        >>> VirtualClock(datetime(1970, 1, 1, tzinfo=UTC)).micros
        0
        """
        return self._micros

    def advance(self, seconds: Seconds) -> None:
        """Let time pass: a task that calls this takes that long. Errors: ArgumentError for a negative time.

        >>> class Slow(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         clock.advance(90)
        >>> clock = VirtualClock()
        >>> InlineClient(clock=clock).run(Slow()).tasks[0].execution_duration
        90.0
        """
        self._micros += micros("seconds", seconds)

    def reach(self, at: int) -> None:
        """Let time pass up to `at` (µs), if that is not over already.

        >>> clock = VirtualClock(datetime(1970, 1, 1, tzinfo=UTC))
        >>> clock.reach(5_000_000)
        >>> clock.now.second
        5
        """
        self._micros = max(self._micros, at)
