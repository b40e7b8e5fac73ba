"""An event loop without a clock and without I/O: time jumps to the next thing that is due, and everything runs in one thread.

Each handle belongs to a `Process`, a simulated one, and what it schedules belongs to the same. So a process can be ended
or stopped between any two handles, as a kill or a SIGSTOP can end or stop a real one between any two turns.

Handles run in the order in which they were scheduled: within a process asyncio promises that, and between two processes
order shows only in what they send each other, whose delays are drawn from the seed.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import sys
import warnings
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from .process import Callback, Future, Handle, Process, Task, forget


class VirtualLoop(asyncio.AbstractEventLoop):
    """Virtual time, in seconds from 0. `failed` is called with what nobody caught."""

    def __init__(self) -> None:
        self.now = 0.0
        self.current: Process | None = None  #: whose handle runs
        self.steps = 0  #: handles that ran
        self.after_step: Callable[[], None] | None = None
        self.failed: Callable[[dict[str, Any]], None] = _print_failure
        self._ready: deque[Handle] = deque()
        self._timers: list[tuple[float, int, Handle]] = []
        self._numbers = 0
        self._closed = False
        self._orphans: list[asyncio.Task[Any]] = []  # tasks of no process

    # -- running --------------------------------------------------------------------------------------------------

    def run_until(self, over: Callable[[], bool], limit: float) -> bool:
        """Run until `over` says so, asked after every handle, and return True; or until the time is `limit`: False."""
        ready, timers = self._ready, self._timers
        pop = heapq.heappop
        with self._running():
            while not over():
                if ready:
                    handle = ready.popleft()
                else:
                    while timers and timers[0][2].callback is None:
                        pop(timers)
                    if not timers or timers[0][0] > limit:
                        self.now = max(self.now, limit)
                        return False
                    when, _, handle = pop(timers)
                    self.now = max(self.now, when)
                self._run(handle)
            return True

    def _run(self, handle: Handle) -> None:
        callback = handle.callback
        if callback is None:
            return
        process = handle.process
        if process is not None:
            if process.dead:
                return
            if process.suspended:
                process.parked.append(handle)
                return
            process.steps += 1
            if process.steps == process.fuse:
                process.blown()
                if process.dead:
                    return
                if process.suspended:
                    process.parked.append(handle)
                    return
        self.current = process
        try:
            handle.context.run(callback, *handle.args)
        except Exception as error:  # noqa: BLE001  as every event loop
            self.call_exception_handler({"message": f"{callback} failed", "exception": error})
        self.current = None
        self.steps += 1
        if self.after_step is not None:
            self.after_step()

    @contextmanager
    def _running(self) -> Iterator[None]:
        hooks = sys.get_asyncgen_hooks()
        asyncio._set_running_loop(self)
        sys.set_asyncgen_hooks(finalizer=self._finalize)
        try:
            yield
        finally:
            sys.set_asyncgen_hooks(*hooks)
            asyncio._set_running_loop(None)

    def _finalize(self, generator: AsyncGenerator[Any, Any]) -> None:
        if not self._closed:
            self.create_task(generator.aclose())

    # -- processes ------------------------------------------------------------------------------------------------

    @contextmanager
    def acting_as(self, process: Process | None) -> Iterator[None]:
        """Have what is scheduled here belong to a process."""
        before, self.current = self.current, process
        running = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            yield
        finally:
            asyncio._set_running_loop(running)
            self.current = before

    def at(self, when: float, process: Process | None, callback: Callback, *args: Any) -> Handle:
        """Have `callback` called at a time, as part of a process; None: of the world."""
        handle = Handle(callback, args, process, _CONTEXT, when)
        self._push(when, handle)
        return handle

    def resume(self, process: Process) -> None:
        """Let a suspended process go on with what came up meanwhile."""
        process.suspended = False
        self._ready.extend(process.parked)
        process.parked.clear()

    # -- what asyncio needs of a loop -----------------------------------------------------------------------------

    def time(self) -> float:
        return self.now

    def call_soon(  # type: ignore[override]
        self, callback: Callback, *args: Any, context: contextvars.Context | None = None
    ) -> Handle:
        handle = Handle(callback, args, self.current, context or contextvars.copy_context())
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callback, *args: Any, context: contextvars.Context | None = None
    ) -> Handle:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callback, *args: Any, context: contextvars.Context | None = None
    ) -> Handle:
        handle = Handle(callback, args, self.current, context or contextvars.copy_context(), when)
        self._push(when, handle)
        return handle

    def _push(self, when: float, handle: Handle) -> None:
        self._numbers += 1
        heapq.heappush(self._timers, (when, self._numbers, handle))

    def create_future(self) -> asyncio.Future[Any]:
        self._numbers += 1
        return Future(self._numbers, self)

    def create_task(self, coro: Coroutine[Any, Any, Any], **options: Any) -> asyncio.Task[Any]:  # type: ignore[override]
        self._numbers += 1
        task = Task(coro, self._numbers, loop=self, **options)
        if self.current is None:
            self._orphans.append(task)
        else:
            self.current.adopt(task)
        return task

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Run it here and now: there is one thread."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  it is for whoever asked
            future.set_exception(error)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self._closed and (self.current is None or not self.current.dead):
            self.failed(context)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return self._closed

    # -- the end --------------------------------------------------------------------------------------------------

    def close_with(self, processes: list[Process]) -> None:
        """Close every coroutine that is left, of these processes and of none: quietly, whatever it would still do."""
        self._closed = True
        self._ready.clear()
        self._timers.clear()
        grave = Process("grave")
        hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
        try:
            with warnings.catch_warnings(), self.acting_as(grave):
                warnings.simplefilter("ignore")
                tasks = [task for process in processes for task in process.tasks] + self._orphans
                while tasks:
                    for task in tasks:
                        _close(task)
                    for process in processes:
                        process.tasks.clear()
                    tasks, grave.tasks = grave.tasks, []
                    self._ready.clear()
        finally:
            sys.unraisablehook = hook


def _close(task: asyncio.Task[Any]) -> None:
    forget(task)
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    coroutine = task.get_coro()
    if task.done() or coroutine is None:
        return
    for _ in range(32):  # it may wait for something more, again and again, as it is closed
        try:
            coroutine.close()
        except BaseException:  # noqa: BLE001, S112
            continue
        return


_CONTEXT = contextvars.Context()


def _print_failure(context: dict[str, Any]) -> NoReturn:
    raise RuntimeError(context["message"]) from context.get("exception")
