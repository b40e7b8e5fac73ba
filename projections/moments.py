"""Moments: which part of a history is meant by a position of the log, or by a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar

from jobledger.core.codec import Commit, Int64
from jobledger.core.errors import ArgumentError

from .utc import micros, stamp, utc


class Placed(Protocol):
    """A commit that knows where it stands."""

    @property
    def position(self) -> int: ...

    @property
    def commit(self) -> Commit: ...


P = TypeVar("P", bound=Placed)


class Moment(NamedTuple):
    """The end of a part of the log: everything up to a position, or up to a time, both included."""

    position: Int64 | None = None
    time: Int64 | None = None  #: µs since 1970 UTC, by the clocks of the engines that wrote

    @staticmethod
    def of(at: int | datetime) -> Moment:
        """Return the moment that a position or an aware time stands for.

        Errors: ArgumentError for a position below 1, a time without a time zone, and anything else.

        >>> Moment.of(7)
        Moment(position=7, time=None)
        """
        if isinstance(at, datetime):
            if at.tzinfo is None:
                raise ArgumentError(f"at={at!r} has no time zone: write {at.isoformat()}+00:00 if it is UTC")
            return Moment(time=micros(at - utc(0)))
        if isinstance(at, bool) or not isinstance(at, int):
            raise ArgumentError(f"at={at!r} is neither a position of the log (int) nor a time (datetime)")
        if at < 1:
            raise ArgumentError(f"at={at} is no position of the log: positions count from 1")
        return Moment(position=at)

    @property
    def before(self) -> Moment:
        """The moment just before this one.

        >>> Moment.of(7).before
        Moment(position=6, time=None)
        """
        if self.position is not None:
            return Moment(position=self.position - 1)
        return Moment(time=(self.time or 0) - 1)

    def covers(self, placed: Placed) -> bool:
        """Whether the commit had been written at that moment."""
        if self.position is not None:
            return placed.position <= self.position
        return self.time is not None and placed.commit.at <= self.time

    def prefix(self, commits: Sequence[P]) -> list[P]:
        """Return the commits of one job that had been written at that moment: those before the first that had not.

        Engines write with their own clocks, so that times may step back where one took over from another. A history is
        never taken with holes: it ends where the first commit lies behind the moment.
        """
        kept: list[P] = []
        for placed in commits:
            if not self.covers(placed):
                break
            kept.append(placed)
        return kept

    def __str__(self) -> str:
        return f"position {self.position}" if self.position is not None else stamp(utc(self.time or 0))
