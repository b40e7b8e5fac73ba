"""What a program runs its tasks with: `client.runner(tasks=[…]).run_all()`, or a `Runner` defined before any client."""

from __future__ import annotations

import asyncio
import inspect
import logging
import operator
import signal
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from uuid import uuid4

from jobledger.core.context import JobCache
from jobledger.core.errors import ArgumentError, ServerAway
from jobledger.core.task import TaskClass, TaskIdentifier

from ..link import Link
from ..nats.names import Speaker
from ..portal import Portal, shared_portal
from ..sealing.keys import Keyring
from ..sealing.nats_keys import keys_over
from ..telemetry.exports import configured
from ..telemetry.telemetry import Telemetry
from .attempt.context import Equipment
from .attempt.values import ServerValues
from .caches.nats_cache import NatsCache, connected
from .exchange.flight import Flight
from .processes.loading import refuse_while_loading
from .registry import TaskRegistry
from .session import Session
from .signals import StopSignals, wait_for
from .telemetry.log_level import log_level

if TYPE_CHECKING:
    from ..client.client import Client

__all__ = ["Runner", "RunnerContext", "TaskRunner"]

#: what runs tasks at the same time
Pool: TypeAlias = Literal["threads", "processes"]

#: seconds running tasks have to finish after the first SIGTERM or Ctrl-C
GRACE = 10.0
#: seconds for which run_all puts up with a server that is away
PATIENCE = 60.0
_MOST_THREADS = 1024
#: seconds between two looks for a server that is away when a run begins
_LOOK = 0.5

log = logging.getLogger(__name__)


class RunnerContext:
    """Base for what the tasks of one runner share, such as clients and pools: `context.runner_context`.

    Subclass it and pass the subclass as `context=`: each runner makes one instance, without arguments, when it is
    created. Tasks that run at the same time use it from several threads; those that are coroutines all from one, and on
    one event loop, so that they can share what belongs to a loop, such as an HTTP session.

    >>> class Settings(RunnerContext):
    ...     def __init__(self) -> None:
    ...         self.greeting = "Hello"
    >>> class Polite(Task):
    ...     def execute(self, context: ExecutionContext) -> str:
    ...         return context.runner_context.greeting
    >>> job = client.jobs().submit("politeness", Polite())
    >>> client.runner(tasks=[Polite], context=Settings).run_all()
    >>> job.result
    'Hello'
    """


class Runner:
    """Tasks, a cache and a context, defined once and connected to a client where they are to run.

    >>> runner = Runner(tasks=[Greet], cache=InMemoryCache())
    >>> job = client.jobs().submit("greetings", Greet("world"))
    >>> runner.connect_to(client).run_all()
    >>> job.state
    <JobState.COMPLETED: 4>
    """

    def __init__(
        self,
        *,
        tasks: Iterable[TaskClass] | None = None,
        cache: JobCache | None = None,
        context: type[Any] | Any | None = None,
    ) -> None:
        self.cache = cache
        self.context = context
        self._tasks = TaskRegistry(tasks or ())

    def register(self, task: TaskClass) -> None:
        """Add a task class. Errors: ArgumentError or TypeError for what cannot be run, or not beside the others.

        >>> runner = Runner()
        >>> runner.register(Greet)
        >>> runner.task_identifiers
        [TaskIdentifier(name='Greet', major=0, minor=0)]
        """
        self._tasks.register(task)

    @property
    def task_identifiers(self) -> list[TaskIdentifier]:
        """What runners made of it take.

        >>> Runner(tasks=[Greet]).task_identifiers
        [TaskIdentifier(name='Greet', major=0, minor=0)]
        """
        return self._tasks.identifiers

    def connect_to(
        self,
        client: Client,
        cluster: str | None = None,
        concurrency: int = 1,
        pool: Pool = "threads",
    ) -> TaskRunner:
        """Return a runner of these tasks that takes work from this client's server; arguments as `Client.runner`.

        >>> Runner(tasks=[Greet]).connect_to(client, concurrency=4).run_all()
        """
        return client.runner(
            tasks=self._tasks.classes,
            cluster=cluster,
            cache=self.cache,
            context=self.context,
            concurrency=concurrency,
            pool=pool,
        )


class TaskRunner:
    """Runs tasks of its classes and its cluster, `concurrency` at a time: each on a thread of this process, those that
    are coroutines on one event loop together, or, with `pool="processes"`, each in a process of its own.

    >>> runner = client.runner(tasks=[Greet], concurrency=4)
    >>> runner.concurrency, runner.cluster
    (4, 'default')
    >>> job = client.jobs().submit("greetings", [Greet("you"), Greet("me")])
    >>> runner.run_all()
    >>> job.state
    <JobState.COMPLETED: 4>
    """

    def __init__(
        self,
        tasks: Iterable[TaskClass] | None = None,
        *,
        link: Callable[[], Awaitable[Link]],
        cluster: str,
        cache: JobCache | None = None,
        context: type[Any] | Any | None = None,
        concurrency: int = 1,
        pool: Pool = "threads",
        keyring: Keyring | None = None,
    ) -> None:
        """`link` returns the open connection, on the shared portal's loop; it is asked for whenever a run begins.
        `keyring` has the keys of sealed jobs; None: those on the server.

        Errors: ArgumentError or TypeError saying which argument cannot be used.
        """
        if cache is not None and not isinstance(cache, JobCache):
            raise TypeError(
                f"cache is a JobCache, such as jobledger.cache.InMemoryCache(), not {cache!r:.100}"
            )
        self.cluster = cluster
        self.concurrency = _checked_concurrency(concurrency)
        self.pool = _checked_pool(pool)
        self._tasks = TaskRegistry(tasks or ())
        self._link = link
        self._keyring = keyring or Keyring([keys_over(link, PATIENCE)])
        self._cache = connected(NatsCache() if cache is None else cache, link)
        if pool == "processes":
            from .processes.set_up import check

            check(self._tasks.classes, context)
        self._context = context() if inspect.isclass(context) and pool == "threads" else context
        self._log_level = log_level()
        self._sessions: dict[Session, Portal] = {}
        self._starting = threading.Lock()

    def register(self, task: TaskClass) -> None:
        """Add a task class; a run in progress takes tasks of it from its next request on.

        Errors: ArgumentError or TypeError for what cannot be run, or not beside the others.

        >>> runner = client.runner()
        >>> runner.register(Greet)
        >>> runner.tasks_to_run
        [TaskIdentifier(name='Greet', major=0, minor=0)]
        """
        if self.pool == "processes":
            from .processes.set_up import check

            check([task], None)
        self._tasks.register(task)

    @property
    def tasks_to_run(self) -> list[TaskIdentifier]:
        """What this runner takes.

        >>> client.runner(tasks=[Greet]).tasks_to_run
        [TaskIdentifier(name='Greet', major=0, minor=0)]
        """
        return self._tasks.identifiers

    def run_all(self, *, grace: float = GRACE) -> None:
        """Run until no task is ready for this runner and none of its own is running.

        It does not wait for what other runners are doing: tasks that become ready by that are left to them.
        SIGTERM and Ctrl-C let running tasks finish for `grace` seconds, give the others back, and then take their
        usual effect.
        Errors: ServerUnavailable when there was no answer for a minute.

        >>> job = client.jobs().submit("greetings", Greet("world"))
        >>> client.runner(tasks=[Greet]).run_all()
        >>> job.state
        <JobState.COMPLETED: 4>
        """
        received = self._run(forever=False, grace=grace, patience=PATIENCE)
        if received is not None:
            signal.raise_signal(received)

    def run_forever(self, *, grace: float = GRACE) -> None:
        """Run until SIGTERM, Ctrl-C or `stop`: then running tasks finish for `grace` seconds, others are given back.

        A server that is away, at the start or later, is waited for. A second signal ends the run at once. After SIGTERM and `stop` this
        returns, after Ctrl-C it raises KeyboardInterrupt.

        >>> class Last(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         runner.stop()
        >>> runner = client.runner(tasks=[Greet, Last])
        >>> job = client.jobs().submit("greetings", [Greet("world"), Last()])
        >>> runner.run_forever()
        >>> job.state
        <JobState.COMPLETED: 4>
        """
        received = self._run(forever=True, grace=grace, patience=float("inf"))
        if received is signal.SIGINT:
            raise KeyboardInterrupt

    def stop(self) -> None:
        """End the runs in progress, from another thread or from a task, as SIGTERM does; do not wait for it.

        >>> runner = client.runner(tasks=[Greet])
        >>> serving = threading.Thread(target=runner.run_forever)
        >>> serving.start()
        >>> job = client.jobs().submit("greetings", Greet("world")).wait()
        >>> runner.stop()
        >>> serving.join()
        """
        self._each(Session.drain)

    def _run(self, *, forever: bool, grace: float, patience: float) -> signal.Signals | None:
        refuse_while_loading("starts a runner")
        if not self._tasks.classes:
            raise ArgumentError("this runner has no tasks: pass tasks=[…] or register one before running it")
        portal = (
            shared_portal()
        )  # asked for here: a process forked after this runner was made has one of its own
        link = portal.run(self._open(patiently=forever))

        def check_cluster(slug: str) -> None:
            portal.run(link.clusters.check(slug, patience))

        check_cluster(self.cluster)
        speaker = Speaker(self.cluster, link.user, uuid4().hex)
        equipment = Equipment(
            self._tasks,
            self._cache,
            self.cluster,
            self._context,
            self._log_level,
            Flight.room(link.nc.max_payload),
            telemetry=Telemetry(configured()),
            values=ServerValues(
                link, portal, speaker, max_input=Flight.room(link.nc.max_payload), patience=patience
            ),
            check_cluster=check_cluster,
            seal=lambda job_id, key: (
                self._keyring.at_hand(job_id, key) or portal.run(self._keyring.seal(job_id, key))
            ),
            key_of=lambda job_id, key: portal.run(self._keyring.secret(job_id, key)),
            forget=self._keyring.forget,
            in_processes=self.pool == "processes",
        )
        session = Session(
            link,
            equipment,
            self.concurrency,
            forever=forever,
            grace=grace,
            patience=patience,
            speaker=speaker,
        )
        with self._starting:
            self._sessions[session] = portal
        try:
            with StopSignals(self.stop, lambda: self._each(Session.abort)) as signals:
                wait_for(asyncio.run_coroutine_threadsafe(session.run(), portal.loop))
        finally:
            session.join()
            with self._starting:
                del self._sessions[session]
        return signals.received

    async def _open(self, *, patiently: bool) -> Link:
        """Return the connection; `patiently` waits for a server that is away."""
        told = False
        while True:
            try:
                return await self._link()
            except ServerAway as error:
                if not patiently:
                    raise
                if not told:
                    log.warning("%s. Waiting for it", error)
                    told = True
                await asyncio.sleep(_LOOK)

    def _each(self, order: Callable[[Session], None]) -> None:
        # No lock: this runs in signal handlers, which may interrupt its holder.
        for session, portal in tuple(self._sessions.items()):
            portal.loop.call_soon_threadsafe(order, session)


def _checked_pool(pool: Any) -> Pool:
    if pool not in ("threads", "processes"):
        raise ArgumentError(f'pool is "threads" or "processes", not {pool!r:.100}')
    return "processes" if pool == "processes" else "threads"


def _checked_concurrency(concurrency: Any) -> int:
    try:
        if isinstance(concurrency, bool):
            raise TypeError
        number = operator.index(concurrency)
    except TypeError:
        raise TypeError(f"concurrency is a whole number, not {concurrency!r:.100}") from None
    if not 1 <= number <= _MOST_THREADS:
        raise ArgumentError(
            f"concurrency is 1 to {_MOST_THREADS} threads or processes, not {number}: start more runners for more"
        )
    return number
