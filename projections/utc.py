"""Times as events hold them, microseconds since 1970 UTC, as times people can read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc(microseconds: int) -> datetime:
    """Return the aware UTC time.

    A time that no calendar has, such as a runner with a broken clock could report, becomes the nearest one that has.

    >>> utc(1_500_000)
    datetime.datetime(1970, 1, 1, 0, 0, 1, 500000, tzinfo=datetime.timezone.utc)
    """
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return (datetime.max if microseconds > 0 else datetime.min).replace(tzinfo=UTC)


def utc_or_none(microseconds: int) -> datetime | None:
    """Return the aware UTC time; None for 0, which stands for "not yet" and "not known"."""
    return utc(microseconds) if microseconds else None


def stamp(at: datetime) -> str:
    """Return a time of one fixed width, to the millisecond: what a column of times is made of.

    >>> stamp(utc(1_500_000))
    '1970-01-01 00:00:01.500Z'
    """
    return f"{at.isoformat(' ', 'milliseconds').removesuffix('+00:00')}Z"


def micros(length: timedelta) -> int:
    """Return a length of time in microseconds.

    >>> micros(timedelta(milliseconds=2))
    2000
    """
    return length // timedelta(microseconds=1)
