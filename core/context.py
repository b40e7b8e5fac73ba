"""What a task sees of the system while it runs: the context handed to `Task.execute`. The runner implements it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

if TYPE_CHECKING:
    from .task import Task


class FutureTask:
    """A subtask that will exist once the task that submitted it has finished: a handle to name dependencies with.

    It is equal only to itself, so a handle of another execution is never mistaken for one of this one.
    """

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index  #: place among the subtasks of this execution, from 0

    def __repr__(self) -> str:
        return f"FutureTask(index={self.index})"


class CurrentJob(Protocol):
    """The job the running task belongs to."""

    @property
    def id(self) -> UUID: ...

    @property
    def name(self) -> str: ...


class CurrentTask(Protocol):
    """The running task."""

    display: str
    """Text that stands for the task in diagrams; its class name unless set. May hold line breaks; cut to 1024
    characters."""

    @property
    def id(self) -> Any:
        """Identifies the task across jobs; the same for every attempt."""

    @property
    def job(self) -> CurrentJob: ...

    @property
    def attempt(self) -> int:
        """Which run of this task this is, from 1."""


class Progress(Protocol):
    """One labelled count of work. A job shows, per label, the sum over the last attempt of each of its tasks."""

    def add(self, count: int) -> None:
        """Announce that there are `count` more units of work."""

    def done(self, count: int) -> None:
        """Report that `count` units are finished."""


class Logger(Protocol):
    """Writes lines that carry the job, the task and the attempt. `args` fill `%s` in the message."""

    def debug(self, message: str, *args: Any, **attributes: Any) -> Any: ...

    def info(self, message: str, *args: Any, **attributes: Any) -> Any: ...

    def warning(self, message: str, *args: Any, **attributes: Any) -> Any: ...

    def error(self, message: str, *args: Any, **attributes: Any) -> Any: ...

    def exception(self, message: str, *args: Any, **attributes: Any) -> Any:
        """Write an error line with the traceback of the exception being handled."""

    def critical(self, message: str, *args: Any, **attributes: Any) -> Any: ...

    def bind(self, **attributes: Any) -> Logger:
        """Return a logger whose every line carries these attributes too."""


class Tracer(Protocol):
    """Opens spans below the span of the running task."""

    def span(self, name: str) -> AbstractContextManager[Any]:
        """Return a context manager that is a span; inside it, `set_attribute` and `add_event` describe it."""

    def current_span(self) -> Any: ...


class JobCache(ABC):
    """Bytes shared by the tasks of one job, by key. This is how a task hands data to those that depend on it.

    A `/` in a key is a group: `cache["a/b"]` is `cache.group("a")["b"]`. Iterating gives the keys directly in this
    group, sorted, and not those of the groups inside it. A key and a group may have the same name.
    Errors: KeyError for a missing key; ArgumentError for an unusable key or value (see `adapters.runner.cache`).
    """

    @abstractmethod
    def __contains__(self, key: object) -> bool: ...

    @abstractmethod
    def __getitem__(self, key: str) -> bytes: ...

    @abstractmethod
    def __setitem__(self, key: str, value: bytes) -> None:
        """Store the value; readers see the old one or the new one whole, never a part."""

    @abstractmethod
    def __delitem__(self, key: str) -> None: ...

    @abstractmethod
    def __iter__(self) -> Iterator[str]: ...

    @abstractmethod
    def group(self, key: str) -> JobCache:
        """Return the cache of the keys below `key`. It need not hold anything yet."""

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Yield the keys directly in this group with their values. A key deleted meanwhile is left out."""
        for key in self:
            try:
                value = self[key]
            except KeyError:
                continue
            yield key, value


class ExecutionContext(ABC):
    """Handed to `execute`, fresh for every attempt.

    Subtasks are recorded here and submitted together with the news that this task has finished, in one atomic step:
    if the task fails, or its runner is lost, none of them exist, and the next attempt submits its own. They start
    after this task has finished.
    """

    @abstractmethod
    def submit_subtask(
        self,
        task: Task,
        depends_on: FutureTask | Sequence[FutureTask] | None = None,
        cluster: str | None = None,
        max_retries: int = 0,
        optional: bool = False,
    ) -> FutureTask:
        """Have `task` run after the running task.

        Shape:  `depends_on` are subtasks this execution submitted before. The new one starts when each of them and
                all of their own subtasks have finished.
                `cluster` says which runners may take it; None means the cluster of this runner.
                `max_retries` is how many failed attempts are tried again.
                `optional`: if it fails, or anything below it, the job goes on, and so do those that depend on it.
        Errors: ArgumentError when the input does not fit the fields of the task, or the number of retries is
                negative; ValueError for a dependency of another execution, TypeError for one that is no FutureTask.
        """

    @abstractmethod
    def submit_subtasks(
        self,
        tasks: Sequence[Task],
        depends_on: FutureTask | Sequence[FutureTask] | None = None,
        cluster: str | None = None,
        max_retries: int = 0,
        optional: bool = False,
    ) -> list[FutureTask]:
        """Have each of `tasks` run, with the same options. As `submit_subtask` for each, and cheaper for thousands."""

    @abstractmethod
    def progress(self, label: str | None = None) -> Progress:
        """Return the count of that label; the same object for the same label. None and "" are the unnamed one."""

    @property
    @abstractmethod
    def current_task(self) -> CurrentTask:
        """The running task: `id`, `attempt`, `job.id`, `job.name`, and the writable `display`."""

    @property
    @abstractmethod
    def job_cache(self) -> JobCache:
        """Bytes shared by all tasks of this job. The runner says where they are kept."""

    @property
    @abstractmethod
    def logger(self) -> Logger:
        """Writes lines that belong to this attempt."""

    @property
    @abstractmethod
    def tracer(self) -> Tracer:
        """Opens spans that belong to this attempt."""

    @property
    @abstractmethod
    def runner_context(self) -> Any:
        """The object the runner was given to share among its tasks, such as clients and pools; None if it has none."""
