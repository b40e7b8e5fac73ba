"""Code that is stopped from outside, at any moment of its life."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from jobledger.adapters.runner.attempt.user_code import LeftBehind, UserCode
from jobledger.core.context import TaskCanceled
from support.waiting import eventually


def spin() -> None:
    while True:
        time.sleep(0.0001)


async def wait() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(("work", "error"), [(spin, TaskCanceled), (wait, asyncio.CancelledError)])
def test_it_ends_by_an_exception_of_its_own_kind(work: Callable[[], Any], error: type[BaseException]) -> None:
    code = UserCode()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(code.run, "mine", work)
        eventually(lambda: code.stop("mine"))
        assert isinstance(running.exception(10), error)
        assert code.stopped
        assert pool.submit(code.run, "next", lambda: 7).result(10) == 7
        assert not code.stopped
        pool.submit(code.close).result(10)


def test_what_has_ended_or_belongs_to_another_is_not_stopped() -> None:
    code, go_on = UserCode(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(code.run, "first", lambda: 1).result(10) == 1
        assert not code.stop("first")
        running = pool.submit(code.run, "second", lambda: go_on.wait(10))
        assert not code.stop("first")
        assert not code.leave_behind("first")
        go_on.set()
        assert running.result(10) is True


def test_what_is_left_behind_says_nothing_any_more() -> None:
    code, entered, go_on = UserCode(), threading.Event(), threading.Event()

    def hang() -> str:
        entered.set()
        while not go_on.is_set():
            try:
                go_on.wait(10)
            except TaskCanceled:
                continue
        return "a result nobody wants"

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(code.run, "mine", hang)
        assert entered.wait(10)
        assert code.stop("mine")
        assert code.leave_behind("mine")
        go_on.set()
        with pytest.raises(LeftBehind):
            running.result(10)


def test_whenever_it_is_stopped_nothing_else_is() -> None:
    """The exception strikes at any moment: while it begins, runs, or ends; and never before or after."""
    code = UserCode()
    rounds = 400
    now: list[int] = [-1]
    ends: Counter[str] = Counter()
    damaged: list[BaseException] = []

    def short() -> None:
        for _ in range(200):
            pass

    async def nap() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0.0001)

    def work() -> None:
        try:
            for number in range(rounds):
                now[0] = number
                try:
                    code.run(number, nap if number % 2 else short)
                    ends["ended"] += 1
                except (TaskCanceled, asyncio.CancelledError):
                    ends["stopped"] += 1
            code.close()
        except BaseException as error:  # noqa: BLE001  that is what must not be
            damaged.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        code.stop(now[0])
    thread.join(10)
    assert damaged == []
    assert ends["ended"] + ends["stopped"] == rounds
    assert ends["stopped"]
