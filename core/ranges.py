"""Sets of task numbers as flat lists of half-open ranges: ``[0, 3, 7, 8]`` is tasks 0, 1, 2 and 7.

Tasks that are submitted, claimed or skipped together are mostly neighbours, so that a list of ranges says in two
integers what would be thousands. Ranges are ascending, not empty, and do not overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence


def pack(numbers: Iterable[int]) -> list[int]:
    """Return the ranges of these numbers, in any order, repetitions aside.

    >>> pack([7, 0, 1, 2])
    [0, 3, 7, 8]
    """
    ranges: list[int] = []
    for number in sorted(numbers):
        if ranges and number <= ranges[-1]:
            ranges[-1] = max(ranges[-1], number + 1)
        else:
            ranges += (number, number + 1)
    return ranges


def pairs(ranges: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield each (start, stop)."""
    return zip(ranges[::2], ranges[1::2], strict=True)


def numbers(ranges: Sequence[int]) -> Iterator[int]:
    """Yield each number.

    >>> list(numbers([0, 3, 7, 8]))
    [0, 1, 2, 7]
    """
    for start, stop in pairs(ranges):
        yield from range(start, stop)


def count(ranges: Sequence[int]) -> int:
    """Return how many numbers the ranges hold.

    >>> count([0, 3, 7, 8])
    4
    """
    return sum(ranges[1::2]) - sum(ranges[::2])


def check(ranges: Sequence[int], limit: int) -> None:
    """Raise ValueError unless these are well-formed ranges of numbers below `limit`."""
    if len(ranges) % 2:
        raise ValueError(f"ranges {list(ranges)!r:.80} have no end for their last start")
    last = -1
    for start, stop in pairs(ranges):
        if start <= last or stop <= start:
            raise ValueError(f"range [{start}, {stop}) is empty, or not after the one before it")
        last = stop - 1
    if last >= limit:
        raise ValueError(f"task {last} is not among the first {limit}")
