"""Sets of numbers as ranges."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.core import ranges

numbers = st.sets(st.integers(0, 40))


@given(numbers)
def test_packing_loses_nothing(members: set[int]) -> None:
    packed = ranges.pack(members)
    ranges.check(packed, 41)
    assert [*ranges.numbers(packed)] == sorted(members)
    assert ranges.count(packed) == len(members)


@given(numbers)
def test_packed_ranges_never_touch(members: set[int]) -> None:
    packed = ranges.pack(members)
    assert all(stop < start for stop, start in zip(packed[1::2], packed[2::2], strict=False))


def test_packing_takes_numbers_in_any_order_and_repeated() -> None:
    assert ranges.pack([7, 0, 2, 1, 0, 7]) == [0, 3, 7, 8]
    assert ranges.pack([]) == []


@pytest.mark.parametrize(
    "malformed",
    [[0], [0, 0], [3, 1], [-1, 2], [0, 2, 1, 3], [4, 5, 0, 1], [0, 11], [2**64, 2**64 + 1]],
    ids=str,
)
def test_malformed_ranges_are_found(malformed: list[int]) -> None:
    with pytest.raises(ValueError, match=r"range|task"):
        ranges.check(malformed, 10)


@pytest.mark.parametrize("sound", [[], [0, 10], [0, 1, 1, 2], [3, 4, 9, 10]], ids=str)
def test_sound_ranges_pass(sound: list[int]) -> None:
    ranges.check(sound, 10)
