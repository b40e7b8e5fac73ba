"""Which commits a moment covers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from jobledger.core.codec import Commit
from jobledger.core.errors import ArgumentError
from jobledger.projections.moments import Moment
from jobledger.projections.utc import utc
from support.random_history import Placed


def log(*times: int) -> list[Placed]:
    """Return a history of commits at these times, at positions 2, 4, 6, …"""
    return [
        Placed(2 * version, version, Commit(bytes(16), bytes(32), at, "engine", False, []))
        for version, at in enumerate(times, 1)
    ]


def covered(at: int | datetime, history: list[Placed]) -> int:
    return len(Moment.of(at).prefix(history))


def test_a_position_covers_what_is_there_and_before_it() -> None:
    history = log(10, 20, 30)
    assert [covered(position, history) for position in range(1, 8)] == [0, 1, 1, 2, 2, 3, 3]


def test_a_time_covers_what_was_decided_then_and_before_it() -> None:
    history = log(10, 20, 30)
    assert [covered(utc(at), history) for at in (9, 10, 19, 20, 30, 99)] == [0, 1, 1, 2, 3, 3]


def test_a_time_means_the_same_in_every_zone() -> None:
    at = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=5)))
    assert Moment.of(at) == Moment.of(datetime(2026, 1, 1, 7, tzinfo=UTC))


def test_a_history_has_no_holes_where_an_engine_with_a_slower_clock_took_over() -> None:
    history = log(10, 30, 20, 40)
    assert covered(utc(25), history) == 1
    assert covered(utc(30), history) == 3


def test_before_a_moment_is_what_it_covers_beyond_all_others() -> None:
    history = log(10, 20, 20, 30)
    for at in (2, 5, 8, utc(10), utc(20), utc(30)):
        assert len(Moment.of(at).before.prefix(history)) < len(Moment.of(at).prefix(history)) or at == 5
    assert len(Moment.of(utc(20)).before.prefix(history)) == 1


@pytest.mark.parametrize(
    ("at", "told"),
    [
        (0, "at=0 is no position"),
        (-1, "at=-1 is no position"),
        (True, "at=True is neither"),
        (1.5, "at=1.5 is neither"),
        ("2026-01-01", "at='2026-01-01' is neither"),
        (datetime(2026, 1, 1), "has no time zone"),
    ],
)
def test_what_is_no_moment_is_refused(at: object, told: str) -> None:
    with pytest.raises(ArgumentError, match=told):
        Moment.of(at)  # type: ignore[arg-type]
