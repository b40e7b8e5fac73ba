"""What a task sees of the system while it runs: the context handed to `Task.execute`. The runner implements it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, Unpack, overload
from uuid import UUID

import msgspec

if TYPE_CHECKING:
    from .options import PolicyOptions
    from .task import Task


T = TypeVar("T")


class TaskCanceled(BaseException):
    """Ends a task that was asked to stop: `context.check_canceled()` raises it.

    It is also raised inside a task that is stopped by force, at its time limit or when the grace of a cancel is over;
    a coroutine gets asyncio.CancelledError there, as coroutines do. Like that one it is no `Exception`, so that an
    `except Exception:` around a failing download does not swallow it. Catch it to clean up, and raise it again.

    >>> class Export(Task):
    ...     def execute(self, context: ExecutionContext) -> None:
    ...         client.jobs().cancel(context.current_task.job.id, reason="wrong input")
    ...         try:
    ...             while True:
    ...                 time.sleep(0.01)  # a part of the work
    ...                 context.check_canceled()
    ...         except TaskCanceled as canceled:
    ...             print(f"removing what was exported: {canceled}")
    ...             raise
    >>> job = client.jobs().submit("exporting", Export())
    >>> client.runner(tasks=[Export]).run_all()
    removing what was exported: wrong input
    Task Export was canceled
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason or "the task was asked to stop")


class FutureTask(msgspec.Struct, eq=False, gc=False):
    """A subtask that will exist once the task that submitted it has finished: a handle to name dependencies with.

    It is equal only to itself, so a handle of another execution is never mistaken for one of this one.

    >>> class Greetings(Task):
    ...     def execute(self, context: ExecutionContext) -> None:
    ...         first = context.submit_subtask(Greet("first"))
    ...         context.submit_subtask(Greet("second"), depends_on=first)
    ...         print(first, first.index)
    >>> job = InlineClient().run(Greetings(), Greet)
    FutureTask(index=0) 0
    >>> [len(task.depends_on) for task in job.tasks]
    [0, 0, 1]
    """

    index: int  #: place among the subtasks of this execution, from 0


class CurrentJob(Protocol):
    """The job the running task belongs to.

    >>> class Sign(Task):
    ...     def execute(self, context: ExecutionContext) -> str:
    ...         return f"written by {context.current_task.job.name}"
    >>> InlineClient().run(Sign(), name="nightly").result
    'written by nightly'
    """

    @property
    def id(self) -> UUID:
        """Names the job for ever: `client.jobs().find(id)` finds it.

        >>> class File(Task):
        ...     def execute(self, context: ExecutionContext) -> str:
        ...         return f"exports/{context.current_task.job.id}.csv"
        >>> InlineClient().run(File()).result
        'exports/...-...-7...-...-....csv'
        """

    @property
    def name(self) -> str:
        """The name it was submitted under.

        >>> class Title(Task):
        ...     def execute(self, context: ExecutionContext) -> str:
        ...         return context.current_task.job.name.title()
        >>> InlineClient().run(Title(), name="nightly import").result
        'Nightly Import'
        """


class CurrentTask(Protocol):
    """The running task.

    >>> class Resize(Task):
    ...     image: str
    ...
    ...     def execute(self, context: ExecutionContext) -> None:
    ...         context.current_task.display = f"Resize {self.image}"
    >>> [task.display for task in InlineClient().run(Resize("cat.png")).tasks]
    ['Resize cat.png']
    """

    display: str
    """Text that stands for the task in diagrams; its class name unless set. May hold line breaks; cut to 1024
    characters."""

    @property
    def id(self) -> Any:
        """Identifies the task across jobs; the same for every attempt: a key for what must be done once only.

        >>> class Pay(Task, retry=Retry(3)):
        ...     def execute(self, context: ExecutionContext) -> str:
        ...         return f"payment {context.current_task.id}"
        >>> job = InlineClient().run(Pay())
        >>> job.result == f"payment {job.tasks[0].id}"
        True
        """

    @property
    def job(self) -> CurrentJob:
        """The job it belongs to.

        >>> class Name(Task):
        ...     def execute(self, context: ExecutionContext) -> str:
        ...         return context.current_task.job.name
        >>> InlineClient().run(Name(), name="nightly").result
        'nightly'
        """

    @property
    def attempt(self) -> int:
        """Which run of this task this is, from 1.

        >>> class Stubborn(Task, retry=Retry(3, on=(OSError,))):
        ...     def execute(self, context: ExecutionContext) -> str:
        ...         if context.current_task.attempt < 3:
        ...             raise OSError("not yet")
        ...         return "at last"
        >>> InlineClient().run(Stubborn()).result
        ERROR: Task Stubborn failed with exception: OSError('not yet') ... attempt=1
        ERROR: Task Stubborn failed with exception: OSError('not yet') ... attempt=2
        'at last'
        """


class Progress(Protocol):
    """One labelled count of work. A job shows, per label, the sum over the last attempt of each of its tasks.

    >>> class Import(Task):
    ...     rows: int
    ...
    ...     def execute(self, context: ExecutionContext) -> None:
    ...         rows = context.progress("rows")
    ...         rows.add(self.rows)
    ...         for _ in range(self.rows):
    ...             rows.done(1)
    >>> InlineClient().run(Import(3)).progress
    [ProgressIndicator(label='rows', total=3, done=3)]
    """

    def add(self, count: int) -> None:
        """Announce that there are `count` more units of work.

        >>> class Count(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         context.progress().add(10)
        >>> InlineClient().run(Count()).progress
        [ProgressIndicator(label=None, total=10, done=0)]
        """

    def done(self, count: int) -> None:
        """Report that `count` units are finished.

        >>> class Count(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         context.progress().add(10)
        ...         context.progress().done(4)
        >>> InlineClient().run(Count()).progress
        [ProgressIndicator(label=None, total=10, done=4)]
        """


class Logger(Protocol):
    """Writes lines that carry the job, the task and the attempt. `args` fill `%s` in the message.

    `client.jobs().query_logs(job)` returns them; they are printed as well, from the level JOBLEDGER_LOG_LEVEL on.

    >>> class Load(Task):
    ...     def execute(self, context: ExecutionContext) -> None:
    ...         context.logger.info("loaded %s rows", 3, table="orders")
    >>> job = client.jobs().submit("loading", Load())
    >>> client.runner(tasks=[Load]).run_all()
    loaded 3 rows table="orders"
    >>> [(line.body, line.severity, line.task, line.attributes) for line in client.jobs().query_logs(job)]
    [('loaded 3 rows', 'INFO', 0, {'table': 'orders'})]
    """

    def debug(self, message: str, *args: Any, **attributes: Any) -> Any:
        """Write a line for whoever looks for a mistake: printed only if the level is set to DEBUG.

        >>> class Load(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         context.logger.debug("opened the file")
        >>> job = InlineClient().run(Load())
        """

    def info(self, message: str, *args: Any, **attributes: Any) -> Any:
        """Write a line about the ordinary course of things.

        >>> class Load(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         context.logger.info("loaded", rows=3)
        >>> job = InlineClient().run(Load())
        loaded rows=3
        """

    def warning(self, message: str, *args: Any, **attributes: Any) -> Any:
        """Write a line about something that is not as it should be, though the task goes on.

        >>> class Load(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         context.logger.warning("left out %s rows", 2)
        >>> job = InlineClient().run(Load())
        WARNING: left out 2 rows job_id=... task_id=... attempt=1
        """

    def error(self, message: str, *args: Any, **attributes: Any) -> Any:
        """Write a line about something that went wrong. The task has failed only if it raises as well.

        >>> class Load(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         context.logger.error("no such table", table="orders")
        >>> job = InlineClient().run(Load())
        ERROR: no such table table="orders" job_id=... task_id=... attempt=1
        """

    def exception(self, message: str, *args: Any, **attributes: Any) -> Any:
        """Write an error line with the traceback of the exception being handled.

        >>> class Load(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         try:
        ...             open("missing.csv")
        ...         except OSError:
        ...             context.logger.exception("going on without it")
        >>> job = InlineClient().run(Load())
        ERROR: going on without it job_id=... task_id=... attempt=1
        Traceback (most recent call last): ...
        FileNotFoundError: [Errno 2] No such file or directory: 'missing.csv'
        """

    def critical(self, message: str, *args: Any, **attributes: Any) -> Any:
        """Write a line about something that somebody must see to at once.

        >>> class Load(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         context.logger.critical("the disk is full")
        >>> job = InlineClient().run(Load())
        CRITICAL: the disk is full job_id=... task_id=... attempt=1
        """

    def bind(self, **attributes: Any) -> Logger:
        """Return a logger whose every line carries these attributes too.

        >>> class Load(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         logger = context.logger.bind(table="orders")
        ...         logger.info("begun")
        ...         logger.info("loaded", rows=3)
        >>> job = InlineClient().run(Load())
        begun table="orders"
        loaded table="orders" rows=3
        """


class Tracer(Protocol):
    """Opens spans below the span of the running task. `client.jobs().query_spans(job)` returns them.

    >>> class Load(Task):
    ...     def execute(self, context: ExecutionContext) -> None:
    ...         with context.tracer.span("download", url="https://example.org") as download:
    ...             download.set_attribute("bytes", 512)
    >>> job = client.jobs().submit("loading", Load())
    >>> client.runner(tasks=[Load]).run_all()
    >>> download = client.jobs().query_spans(job)[-1]
    >>> download.name, download.attributes
    ('download', {'url': 'https://example.org', 'bytes': 512})
    """

    def span(self, name: str, **attributes: Any) -> AbstractContextManager[Any]:
        """Return a context manager that is a span; inside it, `set_attribute` and `add_event` describe it.

        What is raised inside ends it with an error, and goes on.

        >>> class Load(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         with context.tracer.span("download") as download:
        ...             download.add_event("connected", {"host": "example.org"})
        >>> job = client.jobs().submit("loading", Load())
        >>> client.runner(tasks=[Load]).run_all()
        >>> [event.name for event in client.jobs().query_spans(job, name="download")[0].events]
        ['connected']
        """

    def current_span(self) -> Any:
        """Return the innermost span that is open; outside of any, that of the attempt for those who export it with
        OpenTelemetry, and one that records nothing for others.

        >>> class Load(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         with context.tracer.span("download"):
        ...             self.receive(context)
        ...
        ...     def receive(self, context: ExecutionContext) -> None:
        ...         context.tracer.current_span().set_attribute("bytes", 512)
        >>> job = client.jobs().submit("loading", Load())
        >>> client.runner(tasks=[Load]).run_all()
        >>> [span.attributes for span in client.jobs().query_spans(job, name="download")]
        [{'bytes': 512}]
        """


class JobCache(ABC):
    """Bytes shared by the tasks of one job, by key. This is how a task hands data to those that depend on it.

    A `/` in a key is a group: `cache["a/b"]` is `cache.group("a")["b"]`. Iterating gives the keys directly in this
    group, sorted, and not those of the groups inside it. A key and a group may have the same name.
    Errors: KeyError for a missing key; ArgumentError for an unusable key or value (see `adapters.runner.caches.cache`).

    >>> class Fetch(Task):
    ...     def execute(self, context: ExecutionContext) -> None:
    ...         context.job_cache["raw/orders"] = b"1,2,3"
    ...         context.submit_subtask(Sum())
    >>> class Sum(Task):
    ...     def execute(self, context: ExecutionContext) -> int:
    ...         return sum(map(int, context.job_cache["raw/orders"].split(b",")))
    >>> InlineClient().run(Fetch(), Sum).tasks[1].result
    6
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
        """Return the cache of the keys below `key`, which keeps them in the same place. It need not hold anything yet.

        >>> cache = InMemoryCache()
        >>> cache.group("raw")["orders"] = b"1,2,3"
        >>> cache["raw/orders"], list(cache), list(cache.group("raw"))
        (b'1,2,3', [], ['orders'])
        """

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Yield the keys directly in this group with their values. A key deleted meanwhile is left out.

        >>> cache = InMemoryCache()
        >>> cache["raw/orders"] = b"1,2,3"
        >>> cache["raw/prices"] = b"4,5"
        >>> dict(cache.group("raw").items())
        {'orders': b'1,2,3', 'prices': b'4,5'}
        """
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

    >>> class Words(Task):
    ...     text: str
    ...
    ...     def execute(self, context: ExecutionContext) -> None:
    ...         counts = context.submit_subtasks([Length(word) for word in self.text.split()])
    ...         context.submit_subtask(Total(), depends_on=counts)
    >>> class Length(Task):
    ...     word: str
    ...
    ...     def execute(self, context: ExecutionContext) -> int:
    ...         context.current_task.display = self.word
    ...         return len(self.word)
    >>> class Total(Task):
    ...     def execute(self, context: ExecutionContext) -> int:
    ...         return sum(context.results(as_type=int))
    >>> job = InlineClient().run(Words("to be or not to be"), Length, Total)
    >>> job.tasks[-1].result
    13
    """

    @abstractmethod
    def submit_subtask(
        self,
        task: Task,
        depends_on: FutureTask | Sequence[FutureTask] | None = None,
        cluster: str | None = None,
        max_retries: int = 0,
        optional: bool = False,
        **policy: Unpack[PolicyOptions],
    ) -> FutureTask:
        """Have `task` run after the running task.

        Shape:  `depends_on` are subtasks this execution submitted before. The new one starts when each of them and
                all of their own subtasks have finished.
                `cluster` says which runners may take it; None means the cluster of this runner.
                `max_retries` is how many failed attempts are tried again.
                `optional`: if it fails, or anything below it, the job goes on, and so do those that depend on it.
                `policy`: the words of `PolicyOptions`, over those in the class line of the task. The priority is that
                of the running task unless either says otherwise; `max_retries` above 0 replaces `Retry.max`; a `start`
                in seconds counts from this call on.
        Errors: ArgumentError when the input does not fit the fields of the task, the number of retries is negative,
                or an option is unknown or cannot be used; NotFoundError for a cluster there is not; ValueError for a
                dependency of another execution, TypeError for one that is no FutureTask.

        >>> class Twice(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         first = context.submit_subtask(Greet("first"), timeout=30, priority=5)
        ...         context.submit_subtask(Greet("second"), depends_on=first)
        >>> [task.display for task in InlineClient().run(Twice(), Greet).tasks]
        ['Twice', 'Hello, first', 'Hello, second']
        """

    @abstractmethod
    def submit_subtasks(
        self,
        tasks: Sequence[Task],
        depends_on: FutureTask | Sequence[FutureTask] | None = None,
        cluster: str | None = None,
        max_retries: int = 0,
        optional: bool = False,
        **policy: Unpack[PolicyOptions],
    ) -> list[FutureTask]:
        """Have each of `tasks` run, with the same options. As `submit_subtask` for each, and cheaper for thousands.

        >>> class Everybody(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         context.submit_subtasks([Greet(name) for name in ("you", "me")], max_retries=2)
        >>> [task.display for task in InlineClient().run(Everybody(), Greet).tasks]
        ['Everybody', 'Hello, you', 'Hello, me']
        """

    @abstractmethod
    def progress(self, label: str | None = None) -> Progress:
        """Return the count of that label; the same object for the same label. None and "" are the unnamed one.

        >>> class Import(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         context.progress("rows").add(10)
        ...         context.progress("rows").done(10)
        >>> InlineClient().run(Import()).progress
        [ProgressIndicator(label='rows', total=10, done=10)]
        """

    @overload
    def results(self) -> list[Any]: ...

    @overload
    def results(self, as_type: type[T]) -> list[T | None]: ...

    @overload
    def results(self, as_type: Any) -> list[Any]: ...

    @abstractmethod
    def results(self, as_type: Any = Any) -> list[Any]:
        """Return what the tasks returned that this one depends on, in the order in which those were submitted.

        Shape:  None stands for a task that returned nothing, or was allowed to fail and did. Values are as JSON has
                them, unless `as_type` says what each of them was: a dataclass, `list[Path]`, `datetime` and so on.
        Errors: ArgumentError for a type that JSON cannot carry; ResultError (an ArgumentError and a TypeError) for a
                value that does not fit it; NotFoundError if a large value was removed from the server.

        >>> class Square(Task):
        ...     number: int
        ...
        ...     def execute(self, context: ExecutionContext) -> int:
        ...         return self.number**2
        >>> class Sum(Task):
        ...     def execute(self, context: ExecutionContext) -> int:
        ...         return sum(filter(None, context.results(as_type=int)))
        >>> class Squares(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         squares = context.submit_subtasks([Square(number) for number in (1, 2, 3)])
        ...         context.submit_subtask(Sum(), depends_on=squares)
        >>> InlineClient().run(Squares(), Square, Sum).tasks[-1].result
        14
        """

    @property
    @abstractmethod
    def canceled(self) -> bool:
        """Whether this attempt was asked to stop: somebody canceled it or its job, a limit of time has passed, or the
        engine says that it is over. Cheap enough for a tight loop.

        >>> class Export(Task):
        ...     def execute(self, context: ExecutionContext) -> int:
        ...         rows = 0
        ...         while not context.canceled and rows < 1000:
        ...             rows += 1
        ...         return rows
        >>> InlineClient().run(Export()).result
        1000
        """

    @property
    @abstractmethod
    def cancel_reason(self) -> str:
        """Why it was asked to stop, in words; "" while it was not, or where nobody gave a reason.

        >>> class Export(Task):
        ...     def execute(self, context: ExecutionContext) -> str:
        ...         client.jobs().cancel(context.current_task.job.id, reason="wrong input")
        ...         while not context.canceled:
        ...             time.sleep(0.01)  # a part of the work
        ...         return context.cancel_reason
        >>> job = client.jobs().submit("exporting", Export())
        >>> client.runner(tasks=[Export]).run_all()
        >>> job.result
        'wrong input'
        """

    def check_canceled(self) -> None:
        """Raise TaskCanceled if this attempt was asked to stop.

        An attempt that ends by it is canceled, and not failed; its subtasks are not submitted.

        >>> class Export(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         client.jobs().cancel(context.current_task.job.id)
        ...         while True:
        ...             time.sleep(0.01)  # a part of the work
        ...             context.check_canceled()
        >>> job = client.jobs().submit("exporting", Export())
        >>> client.runner(tasks=[Export]).run_all()
        Task Export was canceled
        >>> job.state.name, [task.state.name for task in job.tasks]
        ('CANCELED', ['QUEUED'])
        """
        if self.canceled:
            raise TaskCanceled(self.cancel_reason)

    @property
    @abstractmethod
    def current_task(self) -> CurrentTask:
        """The running task: `id`, `attempt`, `job.id`, `job.name`, and the writable `display`.

        >>> class Crop(Task):
        ...     image: str
        ...
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         context.current_task.display = f"Crop {self.image} (attempt {context.current_task.attempt})"
        >>> InlineClient().run(Crop("cat.png")).tasks[0].display
        'Crop cat.png (attempt 1)'
        """

    @property
    @abstractmethod
    def job_cache(self) -> JobCache:
        """Bytes shared by all tasks of this job: on the NATS server, unless the runner was given another cache.

        >>> class Store(Task):
        ...     def execute(self, context: ExecutionContext) -> list[str]:
        ...         context.job_cache["orders"] = b"1,2,3"
        ...         return list(context.job_cache)
        >>> InlineClient().run(Store()).result
        ['orders']
        """

    @property
    @abstractmethod
    def logger(self) -> Logger:
        """Writes lines that belong to this attempt.

        >>> class Load(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         context.logger.info("loaded %s rows", 3)
        >>> job = InlineClient().run(Load())
        loaded 3 rows
        """

    @property
    @abstractmethod
    def tracer(self) -> Tracer:
        """Opens spans that belong to this attempt.

        >>> class Load(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         with context.tracer.span("download"):
        ...             pass
        >>> job = client.jobs().submit("loading", Load())
        >>> client.runner(tasks=[Load]).run_all()
        >>> [span.name for span in client.jobs().query_spans(job)]
        ['job/loading', 'task/Load', 'download']
        """

    @property
    @abstractmethod
    def runner_context(self) -> Any:
        """The object the runner was given to share among its tasks, such as clients and pools; None if it has none.

        >>> class Settings(RunnerContext):
        ...     greeting = "Hello"
        >>> class Polite(Task):
        ...     def execute(self, context: ExecutionContext) -> str:
        ...         return context.runner_context.greeting
        >>> job = client.jobs().submit("politeness", Polite())
        >>> client.runner(tasks=[Polite], context=Settings).run_all()
        >>> job.result
        'Hello'
        """
