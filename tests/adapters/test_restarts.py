"""Processes that are started again: those that were killed soon, those that fail later and later."""

from __future__ import annotations

import signal

import pytest

from jobledger.adapters.restarts import Restarts


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_one_that_is_killed_again_and_again_is_always_back_soon(sign: signal.Signals) -> None:
    restarts = Restarts()
    pauses = {restarts.pause(-sign, lasted=0.5) for _ in range(100)}
    assert len(pauses) == 1
    assert pauses.pop() < 1


@pytest.mark.parametrize("code", [1, 0, -signal.SIGSEGV, None])
def test_one_that_goes_on_failing_is_started_less_and_less_often_and_after_a_long_life_soon_again(
    code: int | None,
) -> None:
    restarts = Restarts()
    pauses = [restarts.pause(code, lasted=0.1) for _ in range(20)]
    assert pauses[:4] == [0.5, 1.0, 2.0, 4.0]
    assert pauses[-1] == 30.0
    assert restarts.pause(code, lasted=3600.0) == 0.5


def test_a_kill_in_between_changes_nothing_about_that() -> None:
    restarts = Restarts()
    assert [restarts.pause(code, lasted=0.1) for code in (1, -signal.SIGKILL, 1)] == [0.5, 0.2, 1.0]
