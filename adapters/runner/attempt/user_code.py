"""Where a worker thread runs the user's code, so that it can be stopped from outside.

A coroutine is canceled, as asyncio does it. In other code an exception is raised, in the middle of whatever it does.
That reaches Python code only: while the thread waits or computes in native code (a `time.sleep`, a query, a product of
matrices) the exception waits too, until that returns. Who cannot wait for so long leaves the thread behind.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Any

from jobledger.core.context import TaskCanceled


class LeftBehind(Exception):
    """Nobody waits for this thread any more: what it ran has been reported by somebody else."""


class UserCode:
    """The user's code of one thread. What is not said to be for others is for that thread."""

    def __init__(self) -> None:
        self.stopped = False  #: the code that runs, or ran last, was told to stop while it ran
        self.left_behind = False
        self._whose: object = None  #: who has asked to run what runs now
        self._thread = 0
        self._lock = threading.Lock()  #: held to leave, and by others who count on it that nobody leaves
        self._coroutines = _Coroutines()

    def run(self, whose: object, work: Callable[..., Any], *args: Any) -> Any:
        """Return what `work` returns for these, after awaiting it if it is awaitable. Others know it by `whose` it is.

        Errors: whatever it raises; LeftBehind.
        """
        result: Any = None
        try:
            # An exception from outside may strike anywhere in here, once, even on the way out: so that is gone twice.
            try:
                self._thread = threading.get_ident()
                self.stopped = False
                self._whose = whose
                result = work(*args)
                if result is not None and inspect.isawaitable(result):
                    result = self._coroutines.run(result)
            finally:
                self._leave()
        except BaseException:
            self._leave()
            if inspect.iscoroutine(result) and inspect.getcoroutinestate(result) == inspect.CORO_CREATED:
                result.close()  # it was stopped before it began, and would complain
            if self.left_behind:
                raise LeftBehind from None
            raise
        if self.left_behind:
            raise LeftBehind
        return result

    def close(self) -> None:
        self._coroutines.close()

    def _leave(self) -> None:
        with self._lock:
            self._whose = None
            self._coroutines.awaiting = False
            if self.stopped:
                raise_in(self._thread, None)

    # -- for other threads ------------------------------------------------------------------------------------------

    def stop(self, whose: object) -> bool:
        """Have the code end, by TaskCanceled or CancelledError. Return False if it has ended already."""
        with self._lock:
            inside = self._whose is whose
            if inside and not self.stopped:
                self.stopped = True
                if not self._coroutines.cancel():
                    raise_in(self._thread, TaskCanceled)
            return inside

    def leave_behind(self, whose: object) -> bool:
        """Give up on the code; it is told to stop once more. Return False if it has ended already."""
        with self._lock:
            inside = self._whose is whose
            if inside:
                self.left_behind = self.stopped = True
                raise_in(self._thread, TaskCanceled)
            return inside


class _Coroutines:
    """Runs the awaitables of one thread, on one event loop, one after another."""

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None
        self._lock = threading.Lock()
        self.awaiting = False  #: one was begun, and may have ended since
        self._canceled = False
        self._task: asyncio.Task[Any] | None = None

    def run(self, work: Awaitable[Any]) -> Any:
        """Run `work` to its end, and what it left running to its cancellation. Return what it returns.

        Errors: whatever `work` raises.
        """
        with self._lock:
            self.awaiting, self._canceled = True, False
        if self._runner is None:
            # With a factory, the loop does not become the thread's: asyncio.run in another task works as ever.
            self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        try:
            result, error = self._runner.run(self._alone(work), context=copy_context())
        except BaseException:
            # It tore through the loop, from a task beside it or from outside, and may have left it in any state.
            self.close()
            raise
        if error is not None:
            raise error
        return result

    def cancel(self) -> bool:
        """Cancel what is awaited; called by another thread. Return False if nothing is."""
        with self._lock:
            self._canceled = self.awaiting
            if self._task is not None:
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)
            return self.awaiting

    def close(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.close()

    async def _alone(self, work: Awaitable[Any]) -> tuple[Any, BaseException | None]:
        """Await `work` and end what it left running. What it raised is returned: asyncio would look into it."""
        result: Any = None
        error: BaseException | None = None
        try:
            with self._lock:
                self._task = asyncio.current_task()
                if self._canceled and self._task is not None:
                    self._task.cancel()
            result = await work
        except BaseException as raised:  # noqa: BLE001  raised again outside of the loop
            error = raised
        with self._lock:
            self._task = None
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        return result, error


def raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Have this raised in a thread, at the next step its Python code takes; None: what is to be raised is not."""
    import ctypes  # as much as it is rarely needed, it is slow to import

    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), ctypes.py_object(error) if error else None
    )
