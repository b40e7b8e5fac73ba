"""What the demo concludes from a history."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jobledger.adapters.cli.demo.evidence import Evidence, fold
from jobledger.core import events as e
from jobledger.data import HistoryEntry


def _fold(*happened: e.Event) -> Evidence:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return fold(HistoryEntry(number, number, 0, at, event, str) for number, event in enumerate(happened, 1))


def _computed(task: int, attempt: int = 1) -> e.TaskComputed:
    return e.TaskComputed(task, attempt, 0, 0)


_RETRIED = e.JobRetried("", [1, 2], 1)


def test_every_run_is_counted() -> None:
    seen = _fold(
        e.TasksClaimed("a", 1, [0, 4]),
        _computed(0),
        e.TaskFailed(1, 1, 0, 0, e.Error("ValueError", "no")),
        e.TaskReleased(2, 1, "stopping"),
        e.LeaseExpired(3, 1, "a"),
        _RETRIED,
        e.TasksClaimed("b", 2, [1, 4]),
        *(_computed(task, 2) for task in (1, 2, 3)),
    )
    assert (seen.computed_before, seen.computed_after) == ({0}, {1, 2, 3})
    assert (seen.failed, seen.ran_twice, seen.ran_again) == ({1}, {1, 3}, set())
    assert (seen.runs.total(), seen.given_back, seen.events) == (6, 1, 10)


@pytest.mark.parametrize("again", [e.TasksClaimed("b", 2, [0, 1]), _computed(0, 2)])
@pytest.mark.parametrize("between", [[], [_RETRIED]])
def test_a_computed_task_that_ran_again_is_found(again: e.Event, between: list[e.Event]) -> None:
    assert _fold(_computed(0), *between, again).ran_again == {0}
