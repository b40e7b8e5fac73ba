"""The one event loop on which the coroutines of a runner run, all at once: hundreds of tasks that wait cost no threads.

It is not that of the portal, which keeps the leases: code that blocks holds up other coroutines, but nothing else. Each
attempt is an asyncio task with context variables of its own. What it leaves running is canceled with it: tasks are known
by the attempt in whose context they were created.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar
from typing import Any

from jobledger.core.context import TaskCanceled

from ..assignment import Assignment
from ..attempt.user_code import LeftBehind, raise_in
from ..failure import stack_of, stack_of_coroutine

log = logging.getLogger(__name__)

#: runs an attempt from its input to its reports, and raises nothing
Work = Callable[[Assignment, "LoopTask"], Coroutine[Any, Any, None]]

_attempt: ContextVar[LoopTask | None] = ContextVar("_attempt", default=None)


class LoopTask:
    """An attempt on the loop. What is not said to be for others is for the loop's thread."""

    def __init__(self, assignment: Assignment, loop: Loop) -> None:
        self.assignment = assignment
        self.stopped = False  #: the user's code was told to stop while it ran
        self.left_behind = False
        self.children: set[asyncio.Task[Any]] = set()
        self.exit: BaseException | None = None  #: what a child raised that was to end the program
        self._loop = loop
        self._inside = False  #: the user's code was begun, and has not ended
        self._lock = threading.Lock()
        self._task: asyncio.Task[None] | None = None

    async def run(self, code: Coroutine[Any, Any, Any]) -> Any:
        """Await the user's code, and end what it left running. Return what it returns.

        Errors: whatever it raises; LeftBehind.
        """
        try:
            try:
                with self._lock:
                    self._inside = True
                result = await code
            finally:
                try:
                    await self._end_children()
                finally:
                    with self._lock:
                        self._inside = False
        except BaseException:
            if self.left_behind:
                raise LeftBehind from None
            if self.exit is not None:
                raise self.exit from None
            raise
        if self.left_behind:
            raise LeftBehind
        return result

    async def _end_children(self) -> None:
        while left := [child for child in self.children if not child.done()]:
            for child in left:
                child.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    def begin(self, work: Work) -> None:
        self._task = asyncio.Task(self._begin(work), loop=asyncio.get_running_loop())

    async def _begin(self, work: Work) -> None:
        _attempt.set(self)
        try:
            await work(self.assignment, self)
        finally:
            self._loop.over(self)

    def exited(self, error: BaseException) -> bool:
        """A child may have raised this, which tore through the loop. Return whether it did."""
        if not any(
            child.done() and not child.cancelled() and child.exception() is error for child in self.children
        ):
            return False
        self.exit = error
        if self._task is not None:
            self._task.cancel()
        return True

    # -- for other threads ------------------------------------------------------------------------------------------

    def stop(self, assignment: Assignment) -> bool:
        """Have the code end, by CancelledError. Return False if it has ended already, or was not begun."""
        with self._lock:
            if not self._inside or self.assignment is not assignment:
                return False
            if not self.stopped:
                self.stopped = True
                if self._task is not None:
                    self._loop.call(self._task.cancel)
            return True

    def leave(self) -> str | None:
        """Give up on the code, which was told to stop. Return where it was; None if it has ended already."""
        with self._lock:
            if not self._inside:
                return None
            self.left_behind, self._inside = True, False
        current = self._loop.current
        if current is not None and (current is self._task or current in self.children):
            return self._loop.give_up()  # it has kept the loop to itself ever since it was told to stop
        return stack_of_coroutine(self._task)

    @property
    def goes_on(self) -> bool:
        """Whether the code still runs."""
        return self._task is not None and not self._task.done()


class Loop:
    """An event loop on a thread of its own, from the first attempt until it is closed and the last one is over."""

    def __init__(self, work: Work, ended: Callable[[LoopTask], None]) -> None:
        """`ended` is called on the loop's thread with each attempt that is over, but for those left behind."""
        self._work = work
        self._ended = ended
        self._members: set[LoopTask] = set()
        self._new: deque[LoopTask] = deque()
        self._closed = False
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._loop.set_task_factory(_child)
        self.thread = threading.Thread(target=self._serve, name="jobledger-coroutines", daemon=True)
        self.thread.start()

    def begin(self, assignment: Assignment) -> LoopTask | None:
        """Begin an attempt, unless it is closed; called on any thread."""
        with self._lock:
            if self._closed:
                return None
            member = LoopTask(assignment, self)
            self._new.append(member)
            if len(self._new) == 1:  # otherwise a wake-up is on its way: one costs as much as a short task
                self.call(self._begin)
            return member

    def close(self) -> None:
        """End once the attempts are over; called on any thread."""
        with self._lock:
            self._closed = True
        self.call(self._end)

    def call(self, callback: Callable[[], object]) -> None:
        """Have this called on the loop's thread, if it has not ended."""
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:
            log.debug("the event loop of the tasks has ended")

    @property
    def current(self) -> asyncio.Task[Any] | None:
        """What it does at this moment."""
        return asyncio.current_task(self._loop)

    @property
    def held_up(self) -> bool:
        """Whether it goes on for what was left behind."""
        return any(member.left_behind for member in list(self._members))

    def give_up(self) -> str:
        """The code it is in does not end. Raise an exception in there, should it be Python code; return where it is."""
        stack = stack_of(self.thread.ident or 0)
        self.close()
        raise_in(self.thread.ident or 0, TaskCanceled)
        return stack

    # -- on its thread ----------------------------------------------------------------------------------------------

    def over(self, member: LoopTask) -> None:
        """This attempt is over."""
        self._members.discard(member)
        if not member.left_behind:
            self._ended(member)
        self._end()

    def _begin(self) -> None:
        while self._new:  # until it is empty: only then does the next one to come wake this up
            member = self._new.popleft()
            self._members.add(member)
            member.begin(self._work)

    def _end(self) -> None:
        if self._closed and not (self._members or self._new):
            self._loop.stop()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        while True:
            try:
                self._loop.run_forever()
                break
            except BaseException as error:  # noqa: BLE001  SystemExit of a child: it ends its attempt, not the runner
                if not any(member.exited(error) for member in self._members):
                    log.warning("a callback of a task raised %r: it is ignored", error)
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


def _child(
    loop: asyncio.AbstractEventLoop,
    work: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
    context: Context | None = None,
) -> asyncio.Task[Any]:
    """Make a task of the loop, and have the attempt in whose context that happens know it as its own."""
    task = asyncio.Task(work, loop=loop, context=context)
    member = _attempt.get() if context is None else context.get(_attempt)
    if member is not None:
        member.children.add(task)
        task.add_done_callback(member.children.discard)
    return task
