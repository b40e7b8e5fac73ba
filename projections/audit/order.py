"""Which of several numbered things stand out of order, or twice."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


def displaced(numbers: Sequence[int]) -> list[int]:
    """Return the indices of the fewest elements without which these numbers ascend.

    Two that stand in each other's place are these two, even where one of them would be enough.

    >>> displaced([1, 5, 3, 4, 2]), displaced([1, 4, 2, 3, 5]), displaced([1, 3, 2, 3])
    ([1, 4], [1], [1])
    """
    wrong = [
        index for index, pair in enumerate(zip(numbers, sorted(numbers), strict=True)) if pair[0] != pair[1]
    ]
    if len(wrong) <= 2 and len(set(numbers)) == len(numbers):
        return wrong
    tails: list[int] = []  # the smallest last number of an ascending run of each length
    ends: list[int] = []  # where it stands
    before = [-1] * len(numbers)
    for index, number in enumerate(numbers):
        length = bisect_left(tails, number)
        if length == len(tails):
            tails.append(number)
            ends.append(index)
        else:
            tails[length], ends[length] = number, index
        before[index] = ends[length - 1] if length else -1
    kept = bytearray(len(numbers))
    index = ends[-1] if ends else -1
    while index >= 0:
        kept[index] = 1
        index = before[index]
    return [index for index, keep in enumerate(kept) if not keep]


def out_of_order(numbers: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the numbers of which a second one stands somewhere, and those that stand at another place.

    >>> out_of_order([1, 3, 2, 3]), out_of_order([1, 3, 2, 4])
    (([3], []), ([], [3, 2]))
    """
    places = displaced(numbers)
    wrong = set(places)
    kept = {number for index, number in enumerate(numbers) if index not in wrong}
    found = dict.fromkeys(numbers[index] for index in places)
    return [one for one in found if one in kept], [one for one in found if one not in kept]
