"""SIGTERM and SIGINT while a runner runs: the first one lets it finish what it began, the second one does not."""

from __future__ import annotations

import concurrent.futures
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

#: seconds after which to look for signals that did not interrupt the wait
_LOOK = 0.5
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Handles both signals inside a `with` block, and puts back the handlers that were there.

    Only the main thread of a program may handle signals: on another one this does nothing.
    """

    def __init__(self, first: Callable[[], None], second: Callable[[], None]) -> None:
        self.received: signal.Signals | None = None  #: the first one
        self._first = first
        self._second = second
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            # None: it was installed by something other than Python, and can only be given back as the default
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received = signal.Signals(number)
            self._first()
        else:
            self._second()


def wait_for(future: concurrent.futures.Future[None]) -> None:
    """Wait for the end of what runs on another thread, letting signal handlers run. Errors: those of the future.

    A signal that arrives while the main thread has not yet got to an earlier one is given to another thread by the
    kernel: it interrupts nothing, and its handler would wait for as long as the main thread does.
    """
    try:
        while True:
            done, _ = concurrent.futures.wait((future,), timeout=_LOOK)
            if done:
                return future.result()
    except BaseException:
        future.cancel()
        raise
