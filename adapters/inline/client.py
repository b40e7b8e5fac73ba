"""The client of inline jobs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from jobledger.core.events import Event, UnknownEvent
from jobledger.core.task import Task, TaskClass

from ..client import arguments
from ..client.job import Job
from ..client.jobs import JobClient
from ..client.read.reading import Reading
from ..client.session import Sealing
from ..nats.endpoint import Endpoint
from ..nats.names import Names
from ..sealing.keys import Keyring, KeyStore, MemoryKeys, checked_store
from .clock import VirtualClock
from .engine import InlineEngine
from .log import Log, MemoryLog, ServerLog
from .runner import InlineRunner
from .session import InlineSession

if TYPE_CHECKING:
    from jobledger.core.context import JobCache


class InlineClient:
    """A `Client` for tests: jobs run in this process, when told to, one task after another, on a virtual clock.

    Shape:  the log is in memory, or that of `namespace` on the real server at `url`, on which no engine may serve.
            `clock` is what time it is; delays, deadlines and time limits go by it. `encrypt` and `keys` are those of
            `Client`; without `keys`, those of sealed jobs are in memory.
    Tasks run depth first, siblings in order of submission: two runs of a test write the same history, but for ids.

    >>> client = InlineClient()
    >>> job = client.run(Greet("world"))
    >>> job.state.name
    'COMPLETED'
    >>> [type(event).__name__ for event in client.events(job)]
    ['JobSubmitted', 'TasksClaimed', 'TaskComputed', 'JobCompleted']
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        namespace: str = "inline",
        clock: VirtualClock | None = None,
        encrypt: bool = False,
        keys: KeyStore | None = None,
    ) -> None:
        names = Names(namespace)
        self.clock = clock or VirtualClock()
        self._log: Log = MemoryLog() if url is None else ServerLog(Endpoint(url), names)
        store = MemoryKeys() if keys is None else checked_store(keys)
        self._keyring = Keyring([store])
        self._engine = InlineEngine(self._log, self.clock, self._keyring)
        sealing = Sealing(arguments.flag("encrypt", encrypt), store)
        self._session = InlineSession(self._engine, names, sealing, self._keyring)

    def jobs(self) -> JobClient:
        """Return what submits, finds, cancels, retries and deletes jobs, as `Client.jobs` does.

        >>> client = InlineClient()
        >>> job = client.jobs().submit("greetings", Greet("world"))
        >>> client.jobs().find(job.id) == job
        True
        """
        return JobClient(self._session)

    def runner(
        self,
        cluster: str | None = None,
        tasks: Iterable[TaskClass] | None = None,
        cache: JobCache | None = None,
        context: type[Any] | Any | None = None,
    ) -> InlineRunner:
        """Return what runs tasks, as `Client.runner` does: on this thread, when its `run_all` or `run_one` is called.

        Without a `cache` the tasks share one in memory.

        >>> client = InlineClient()
        >>> job = client.jobs().submit("greetings", Greet("world"))
        >>> client.runner(tasks=[Greet]).run_all()
        1
        """
        return InlineRunner(
            self._engine,
            tasks or (),
            arguments.cluster_name(cluster),
            cache=cache,
            context=context,
            keyring=self._keyring,
        )

    def run(self, task: Task, *tasks: TaskClass, name: str = "test", **options: Any) -> Job:
        """Submit a job of this task, run it as far as it goes, and return it, whatever became of it.

        Shape:  `tasks` are the classes it needs besides its own; `options` are those of `JobClient.submit`.
        Errors: as `JobClient.submit`. A task that fails does not raise here: look at `job.error`.

        >>> job = InlineClient().run(Greet("world"), labels={"tone": "kind"})
        >>> job.state.name, job.labels, [task.display for task in job.tasks]
        ('COMPLETED', {'tone': 'kind'}, ['Hello, world'])
        """
        job = self.jobs().submit(name, task, **options)
        self.runner(tasks=dict.fromkeys((type(task), *tasks))).run_all()
        return job

    @property
    def submitted(self) -> list[Job]:
        """The jobs that were submitted so far, in order.

        >>> client = InlineClient()
        >>> job = client.run(Greet("world"), name="greetings")
        >>> [job.name for job in client.submitted]
        ['greetings']
        """
        return [Job(Reading(self._session, job_id)) for job_id in self._engine.job_ids]

    def events(self, job: Job) -> list[Event | UnknownEvent]:
        """Return everything that happened to a job, in order: what a test asserts on.

        >>> client = InlineClient()
        >>> [type(event).__name__ for event in client.events(client.run(Greet("world")))]
        ['JobSubmitted', 'TasksClaimed', 'TaskComputed', 'JobCompleted']
        """
        return [event for stored in self._engine.read(str(job.id)) for event in stored.commit.events]

    def close(self) -> None:
        """Close the connection to the server, if there is one.

        >>> client = InlineClient()
        >>> client.close()
        """
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
