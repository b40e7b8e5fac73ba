"""What belongs to one simulated process, and what an event loop is given to do for it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any

Callback = Callable[..., object]


class Process:
    """What a kill ends: tasks, timers, and connections. One start of a node."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self.suspended = False
        self.parked: list[Handle] = []  #: what came up while it was suspended
        self.tasks: list[asyncio.Task[Any]] = []
        self._many = 64  # tasks among which to look for those that are done
        self.steps = 0  #: handles that ran
        self.fuse = 0  #: the handle before which `blown` is called; 0: none
        self.blown: Callable[[], object] = lambda: None
        #: it is suspended before it sends next, and this is called
        self.before_write: Callable[[], None] | None = None

    def __repr__(self) -> str:
        return self.name

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Keep a task, as no loop does: what was killed is not to be closed by the garbage collector."""
        self.tasks.append(task)
        if len(self.tasks) > self._many:
            self.tasks = [task for task in self.tasks if not (task.done() and forget(task))]
            self._many = 2 * len(self.tasks) + 64


class Handle:
    """One call to come."""

    __slots__ = ("args", "callback", "context", "process", "when")

    def __init__(
        self,
        callback: Callback,
        args: tuple[Any, ...],
        process: Process | None,
        context: contextvars.Context,
        when: float = 0.0,
    ) -> None:
        self.callback: Callback | None = callback
        self.args = args
        self.process = process
        self.context = context
        self.when = when

    def cancel(self) -> None:
        self.callback = None
        self.args = ()

    def cancelled(self) -> bool:
        return self.callback is None

    def __lt__(self, other: Handle) -> bool:
        return self.when < other.when


class Task(asyncio.Task[Any]):
    """A task that is hashed by its number: sets of tasks are in the same order in every run."""

    def __init__(self, coro: Coroutine[Any, Any, Any], number: int, **options: Any) -> None:
        self.number = number  # first: asyncio notes the task in a set as it is made
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self.number


class Future(asyncio.Future[Any]):
    """As `Task`."""

    def __init__(self, number: int, loop: asyncio.AbstractEventLoop) -> None:
        self.number = number
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self.number


def forget(task: asyncio.Task[Any]) -> bool:
    """Take a task from asyncio's own list: tasks of other worlds have the same hash, and would make it slow."""
    asyncio._unregister_task(task)
    return True
