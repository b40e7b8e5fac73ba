"""Columns and ranges spelled out, one by one: the definition of what they mean, apart from the code that makes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jobledger.core.submission import NO_DEPENDENCIES, NewTask, Submission


def packed(numbers: Iterable[int]) -> list[int]:
    ranges: list[int] = []
    for number in sorted(numbers):
        if ranges and ranges[-1] == number:
            ranges[-1] = number + 1
        else:
            ranges += [number, number + 1]
    return ranges


def unpacked(ranges: list[int]) -> list[int]:
    return [n for start, stop in zip(ranges[::2], ranges[1::2], strict=True) for n in range(start, stop)]


def well_formed(ranges: list[int], limit: int) -> bool:
    if len(ranges) % 2 or any(start >= stop for start, stop in _pairs(ranges)):
        return False
    ascending = all(stop <= start for stop, start in zip(ranges[1::2], ranges[2::2], strict=False))
    return ascending and (not ranges or (ranges[0] >= 0 and ranges[-1] <= limit))


def rows(chunk: Submission) -> list[NewTask]:
    """Return the tasks of these columns."""
    specs = [index for index, count in _pairs(chunk.spec_runs) for _ in range(count)]
    waits = [index for index, count in _pairs(chunk.dependency_runs) for _ in range(count)]
    waits = waits or [NO_DEPENDENCIES] * len(specs)
    sets = [frozenset(unpacked(members)) for members in chunk.dependency_sets]
    return [
        NewTask(chunk.specs[spec], data, frozenset() if index == NO_DEPENDENCIES else sets[index])
        for spec, data, index in zip(specs, chunk.inputs, waits, strict=True)
    ]


def sound(tasks: Submission, start: int) -> bool:
    """Whether these are well-formed tasks to follow `start` others."""
    try:
        tasks.check()  # has a test of its own
    except ValueError:
        return False
    return tasks.start == start


def _pairs(flat: list[int]) -> Iterator[tuple[int, int]]:
    return zip(flat[::2], flat[1::2], strict=True)
