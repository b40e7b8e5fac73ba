"""The policy of a task as it travels: what is refused on arrival, and when a failed attempt is tried again."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.core.policy import CONTINUE, HALT, INHERIT, NO_POLICY, Policy, retry_at
from jobledger.core.submission import Submission, TaskSpec
from support.histories import submission, task

SECOND = 1_000_000
NOW = 1_700_000_000 * SECOND


def delays(policy: Policy, failures: int, seed: str = "") -> list[int]:
    return [retry_at(policy, failure, NOW, seed=seed) - NOW for failure in range(1, failures + 1)]


# -- delays -----------------------------------------------------------------------------------------------------------


def test_without_a_delay_a_task_is_tried_again_at_once() -> None:
    assert retry_at(NO_POLICY, 1, NOW, seed="") == 0
    assert retry_at(Policy(backoff=2.0, jitter=0.5, cap=SECOND), 7, NOW, seed="") == 0


def test_each_delay_is_longer_by_the_backoff_up_to_the_cap() -> None:
    assert delays(Policy(delay=SECOND), 3) == [SECOND] * 3
    assert delays(Policy(delay=SECOND, backoff=2.0), 5) == [SECOND * n for n in (1, 2, 4, 8, 16)]
    assert delays(Policy(delay=SECOND, backoff=2.0, cap=5 * SECOND), 5) == [
        SECOND * n for n in (1, 2, 4, 5, 5)
    ]
    assert delays(Policy(delay=9 * SECOND, cap=5 * SECOND), 2) == [5 * SECOND] * 2


def test_no_delay_is_longer_than_a_hundred_years() -> None:
    assert max(delays(Policy(delay=SECOND, backoff=1000.0), 2000)) <= 100 * 366 * 86400 * SECOND


@given(
    delay=st.integers(1, 10**12),
    backoff=st.floats(1, 10),
    cap=st.integers(0, 10**13),
    jitter=st.floats(0, 1),
    failures=st.integers(1, 50),
    seed=st.text(max_size=5),
)
def test_jitter_keeps_within_its_bounds_and_the_cap(
    delay: int, backoff: float, cap: int, jitter: float, failures: int, seed: str
) -> None:
    policy = Policy(delay=delay, backoff=backoff, cap=cap, jitter=jitter)
    spread = retry_at(policy, failures, NOW, seed=seed) - NOW
    middle = min(delay * backoff ** (failures - 1), (cap or 10**18) / (1 + jitter), 3.2e15 / (1 + jitter))
    assert middle * (1 - jitter) * 0.98 - 1 <= spread <= middle * (1 + jitter) * 1.02 + 1
    assert not cap or spread <= cap + 1
    assert spread == retry_at(policy, failures, NOW, seed=seed) - NOW


def test_jitter_spreads_what_failed_together() -> None:
    policy = Policy(delay=100 * SECOND, jitter=0.1)
    found = sorted(retry_at(policy, 1, NOW, seed=f"job/{task}/1") - NOW for task in range(1000))
    assert len(set(found)) == 1000
    assert (found[0] // SECOND, found[-1] // SECOND) == (90, 109)
    assert found[500] // SECOND in range(98, 103)


def test_delays_at_the_cap_are_spread_too() -> None:
    policy = Policy(delay=SECOND, backoff=10.0, cap=60 * SECOND, jitter=0.2)
    found = [retry_at(policy, 9, NOW, seed=str(task)) - NOW for task in range(1000)]
    assert len(set(found)) == 1000
    assert 39 * SECOND < min(found) < max(found) <= 60 * SECOND


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"not_before": -1},
        {"timeout": -1},
        {"delay": -1},
        {"cap": -1},
        {"backoff": 0.5},
        {"backoff": 1001.0},
        {"backoff": float("nan")},
        {"jitter": -0.1},
        {"jitter": 1.5},
        {"on_failure": 3},
        {"key": "api"},
        {"limit": 3},
        {"key": "api", "limit": -1},
    ],
    ids=str,
)
def test_a_policy_that_makes_no_sense_is_refused_on_arrival(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"negative time|needs a backoff|unknown on_failure"):
        Policy(**wrong).check()
    with pytest.raises(ValueError, match="Policy"):
        submission(task(**wrong)).check()


def test_a_policy_that_makes_sense_is_taken() -> None:
    for on_failure in (INHERIT, HALT, CONTINUE):
        Policy(-5, 1, on_failure, 1, 1, 2.0, 1, 1.0, ("A",), ("B",), "api", 2, True).check()


# -- on the wire ------------------------------------------------------------------------------------------------------


def test_tasks_of_one_policy_are_of_one_kind() -> None:
    chunk = submission(*[task(priority=1, retry_on=("A",)) for _ in range(3)], task(), task(priority=2))
    assert len(chunk.specs) == 3
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(chunk), type=Submission)
    assert again == chunk
    assert len({*again.specs}) == 3  # they can still be told apart, and found


def test_what_was_not_asked_for_is_plain() -> None:
    assert TaskSpec("A", 0, 0, "default").asked == NO_POLICY == Policy()
    assert TaskSpec("A", 0, 0, "default", policy=Policy(priority=3)).asked.priority == 3
