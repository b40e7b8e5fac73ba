"""Blocking calls into an event loop on another thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import gc
import signal
import threading
import weakref
from collections.abc import Iterator

import pytest

from jobledger.adapters.portal import Portal

PATIENCE = 10.0  # seconds


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    portal = Portal()
    yield portal
    portal.loop.call_soon_threadsafe(portal.loop.stop)


class Endless:
    """Work that ends only by being canceled."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.canceled = threading.Event()

    async def run(self) -> None:
        self.began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.canceled.set()
            raise


def test_a_call_returns_what_its_work_returns(portal: Portal) -> None:
    async def where() -> str:
        await asyncio.sleep(0)
        return threading.current_thread().name

    assert portal.run(where()) == "jobledger-io"


def test_it_raises_what_its_work_raises(portal: Portal) -> None:
    async def fail() -> None:
        raise LookupError("not here")

    with pytest.raises(LookupError, match="not here"):
        portal.run(fail())


def test_work_sees_the_context_of_the_caller(portal: Portal) -> None:
    asked = contextvars.ContextVar("asked", default="nobody")
    asked.set("somebody")

    async def who() -> str:
        return asked.get()

    assert portal.run(who()) == "somebody"


def test_a_call_that_takes_too_long_is_given_up(portal: Portal) -> None:
    work = Endless()
    with pytest.raises(TimeoutError):
        portal.run(work.run(), timeout=0.05)
    assert work.canceled.wait(PATIENCE)


def test_an_interrupted_call_is_given_up(portal: Portal) -> None:
    work = Endless()

    def interrupt() -> None:
        assert work.began.wait(PATIENCE)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        portal.run(work.run(), timeout=PATIENCE)
    assert work.canceled.wait(PATIENCE)


def test_work_that_is_canceled_on_the_loop_is_an_error_for_the_caller(portal: Portal) -> None:
    async def give_up() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    with pytest.raises(concurrent.futures.CancelledError):
        portal.run(give_up())


def test_the_loop_does_not_wait_for_itself(portal: Portal) -> None:
    async def outer() -> None:
        portal.run(asyncio.sleep(0))

    with pytest.raises(RuntimeError, match="cannot be made from jobledger's own event loop"):
        portal.run(outer())


def test_a_failed_call_leaves_nothing_for_the_garbage_collector(portal: Portal) -> None:
    class Large:
        pass

    kept: list[weakref.ref[Large]] = []

    async def fail() -> None:
        large = Large()
        kept.append(weakref.ref(large))
        raise LookupError

    gc.disable()
    try:
        with pytest.raises(LookupError):
            portal.run(fail())
        assert kept[0]() is None
    finally:
        gc.enable()


def test_a_closed_loop_is_told() -> None:
    portal = Portal()
    portal.loop.call_soon_threadsafe(portal.loop.stop)
    portal._thread.join(PATIENCE)
    portal.loop.close()
    with pytest.raises(RuntimeError):
        portal.run(asyncio.sleep(0))
