"""Where everything starts: `Client()`, or `AsyncClient()` in a program that has an event loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from jobledger.core.clusters import DEFAULT_CLUSTER

from ..portal import shared_portal
from . import arguments
from .arguments import ClusterOrSlug
from .auditing import AsyncAuditClient, AuditClient
from .clusters import AsyncClusterClient, ClusterClient, require
from .connecting import PATIENCE, URL_VARIABLE, Connected
from .doctoring import doctor
from .facade import awaited, blocking, same
from .feed import AsyncFeedClient, FeedClient
from .jobs import AsyncJobClient, JobClient

if TYPE_CHECKING:
    from jobledger.core.context import JobCache
    from jobledger.core.task import TaskClass

    from ..runner.runner import Pool, TaskRunner
    from .async_runner import AsyncTaskRunner
    from .session import Session

__all__ = ["PATIENCE", "URL_VARIABLE", "AsyncClient", "Client"]


class Client(Connected):
    """A connection to a server, made when it is first needed. May be used from several threads, and after a fork.

    Shape:  `Client()` uses the embedded server of the default data folder, starting it if it does not run: the folder
            of JOBLEDGER_HOME, or one in the user's home. If JOBLEDGER_URL is set, it uses the server of that address
            instead, with the login and the namespace that other variables say (docs/security.md).
            `Client("nats://host:port")` uses a server, or a cluster (several addresses, in a list or separated by
            commas), that runs already, and on it the engine of `namespace`. The other arguments are how to log in.
            `Client(data_folder=…)` uses the embedded server of that folder.
            `name` labels the connection in the server's own listings.
            `encrypt` seals every job that is submitted, unless `submit(…, encrypt=False)` says otherwise: inputs, results
            and error texts are encrypted with a key for each job, which is destroyed when the job is deleted. `keys` keeps
            the keys (a `jobledger.sealing.KeyStore`; None: a bucket on the NATS server).
    Units:  `patience` is how many seconds a request outlasts a server that is away before it raises.
    Errors: ArgumentError at once for arguments that cannot be used. A server that does not answer shows in the first
            request: ServerUnavailable, or ServerUnsuitable if it is too old or has no JetStream.

    >>> with Client() as client:
    ...     job = client.jobs().submit("greetings", Greet("world"))
    """

    def jobs(self) -> JobClient:
        """Return what submits, finds, cancels and retries jobs.

        >>> job = client.jobs().submit("greetings", Greet("world"))
        """
        return JobClient(self._session)

    def clusters(self) -> ClusterClient:
        """Return what creates, finds, changes and deletes clusters.

        >>> [cluster.slug for cluster in client.clusters().all() if not cluster.deletable]
        ['default']
        """
        return ClusterClient(self._session)

    def feed(self) -> FeedClient:
        """Return what turns the feed on, and says how it stands.

        >>> client.feed().status().stream
        'jobledger-default-feed'
        """
        return FeedClient(self._session)

    def audit(self) -> AuditClient:
        """Return what exports and verifies the log.

        >>> client.audit().verify().ok
        True
        """
        return AuditClient(self._session)

    doctor = blocking(doctor, same)

    def runner(
        self,
        cluster: ClusterOrSlug | None = None,
        tasks: Iterable[TaskClass] | None = None,
        cache: JobCache | None = None,
        context: type[Any] | Any | None = None,
        *,
        concurrency: int = 1,
        pool: Pool = "threads",
    ) -> TaskRunner:
        """Return a runner, which runs tasks in this process once its `run_all` or `run_forever` is called.

        Shape:  `tasks` are the classes it can run; `cluster` is where it takes tasks from (None: the default cluster);
                `cache` is what its tasks find as `context.job_cache` (None: one on the NATS server, which all runners
                of a job share), `context` makes their `context.runner_context`;
                `concurrency` is how many tasks it runs at a time, each on a thread of its own.
                `pool="processes"` has each of them run in a process of its own: for tasks that compute, which threads of
                one process do in turns. Their classes, and that of `context`, of which each process makes one, are
                imported there by name; a script that defines them needs `if __name__ == "__main__":`.
        Errors: ArgumentError or TypeError for arguments that cannot be used; NotFoundError for a cluster there is not.
                No server is needed before it runs, unless to look for a cluster other than the default one.

        >>> client.runner(tasks=[Greet], concurrency=4).run_all()
        """
        slug = arguments.cluster_name(cluster)
        if slug != DEFAULT_CLUSTER:
            shared_portal().run(require(self._session, slug))
        return _runner(self._session, cluster, tasks, cache, context, concurrency, pool)

    def close(self) -> None:
        """Close the connection, and the subscriptions on it. Jobs of this client can then not be read any more;
        running jobs go on.

        >>> client = Client()
        >>> job = client.jobs().submit("greetings", Greet("world"))
        >>> client.close()
        >>> job.state
        Traceback (most recent call last):
        ServerUnavailable: this client was closed: make a new Client()
        """
        shared_portal().run(self._session.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class AsyncClient(Connected):
    """A `Client` to be awaited. It belongs to the event loop on which it is first used; a runner has threads of its own.

    Arguments and errors are those of `Client`; RuntimeError when it is used on another loop.

    >>> async def greet() -> None:
    ...     async with AsyncClient() as client:
    ...         job = await client.jobs().submit("greetings", Greet("world"))
    ...         await client.runner(tasks=[Greet]).run_all()
    ...         async for job in job.watch():
    ...             print(job.state.name)
    >>> asyncio.run(greet())
    COMPLETED
    """

    _for_runners: Session | None = None

    def jobs(self) -> AsyncJobClient:
        """Return what submits, finds, cancels and retries jobs.

        >>> async def submit() -> str:
        ...     async with AsyncClient() as client:
        ...         job = await client.jobs().submit("greetings", Greet("world"))
        ...         return job.state.name
        >>> asyncio.run(submit())
        'SUBMITTED'
        """
        return AsyncJobClient(self._session)

    def clusters(self) -> AsyncClusterClient:
        """Return what creates, finds, changes and deletes clusters.

        >>> async def undeletable() -> list[str]:
        ...     async with AsyncClient() as client:
        ...         return [cluster.slug for cluster in await client.clusters().all() if not cluster.deletable]
        >>> asyncio.run(undeletable())
        ['default']
        """
        return AsyncClusterClient(self._session)

    def feed(self) -> AsyncFeedClient:
        """Return what turns the feed on, and says how it stands.

        >>> async def stream() -> str:
        ...     async with AsyncClient() as client:
        ...         return (await client.feed().status()).stream
        >>> asyncio.run(stream())
        'jobledger-default-feed'
        """
        return AsyncFeedClient(self._session)

    def audit(self) -> AsyncAuditClient:
        """Return what exports and verifies the log.

        >>> async def sound() -> bool:
        ...     async with AsyncClient() as client:
        ...         return (await client.audit().verify()).ok
        >>> asyncio.run(sound())
        True
        """
        return AsyncAuditClient(self._session)

    doctor = awaited(doctor, same)

    def runner(
        self,
        cluster: ClusterOrSlug | None = None,
        tasks: Iterable[TaskClass] | None = None,
        cache: JobCache | None = None,
        context: type[Any] | Any | None = None,
        *,
        concurrency: int = 1,
        pool: Pool = "threads",
    ) -> AsyncTaskRunner:
        """Return a runner, which runs tasks in this process while its `run_all` or `run_forever` is awaited.

        Arguments and errors are those of `Client.runner`. Its tasks run on threads or in processes, never on this event
        loop: none of them holds it up.

        >>> async def work() -> None:
        ...     async with AsyncClient() as client:
        ...         await client.runner(tasks=[Greet], concurrency=4).run_all()
        >>> asyncio.run(work())
        """
        from .async_runner import AsyncTaskRunner

        # Runners live on the shared loop: they must not wait for what else runs on the caller's.
        if self._for_runners is None:
            self._for_runners = self._new_session()
        return AsyncTaskRunner(_runner(self._for_runners, cluster, tasks, cache, context, concurrency, pool))

    async def close(self) -> None:
        """Close the connection, and the subscriptions on it. Running jobs go on.

        >>> async def submit() -> AsyncJob:
        ...     client = AsyncClient()
        ...     try:
        ...         return await client.jobs().submit("greetings", Greet("world"))
        ...     finally:
        ...         await client.close()
        >>> asyncio.run(submit()).name
        'greetings'
        """
        await self._session.close()
        if self._for_runners is not None:
            closing = asyncio.run_coroutine_threadsafe(self._for_runners.close(), shared_portal().loop)
            await asyncio.wrap_future(closing)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


def _runner(
    session: Session,
    cluster: ClusterOrSlug | None,
    tasks: Iterable[TaskClass] | None,
    cache: JobCache | None,
    context: type[Any] | Any | None,
    concurrency: int,
    pool: Pool,
) -> TaskRunner:
    from ..runner.runner import TaskRunner

    return TaskRunner(
        tasks,
        link=session.link,
        cluster=arguments.cluster_name(cluster),
        cache=cache,
        context=context,
        concurrency=concurrency,
        pool=pool,
        keyring=session.keyring,
    )
