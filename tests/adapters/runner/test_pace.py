"""How many tasks to have at hand."""

from __future__ import annotations

import pytest

from jobledger.adapters.runner.exchange.pace import MOST_AT_HAND, Pace


def test_before_anything_is_measured_each_worker_gets_one() -> None:
    assert Pace(4).target() == 4


@pytest.mark.parametrize(
    ("seconds", "workers", "target"),
    [
        (60.0, 1, 1),
        (60.0, 8, 8),
        (0.01, 1, 5),
        (0.01, 4, 20),
        (1e-6, 1, MOST_AT_HAND),
        (0.0, 4, MOST_AT_HAND),
    ],
)
def test_short_tasks_are_had_by_the_dozen_and_long_ones_singly(
    seconds: float, workers: int, target: int
) -> None:
    pace = Pace(workers)
    pace.measured(seconds * 10, 10)
    assert pace.target() == target


def test_the_pace_follows_the_tasks() -> None:
    pace = Pace(1)
    pace.measured(0.001, 100)
    assert pace.target() > 100
    pace.measured(60.0, 1)
    assert pace.target() == 1
    pace.measured(0.002, 200)
    assert pace.target() > 100


def test_a_slow_worker_counts_for_one_task() -> None:
    pace = Pace(4)
    pace.measured(0.1, 10)
    assert (pace.per_worker, pace.target(), pace.target(slow=3), pace.target(slow=4)) == (5, 20, 8, 4)
