"""Durable jobs and workflows whose only truth is an event log.

Tasks are classes; a job is one execution of a root task and of whatever it submits. What happens to it is written to
a log on NATS JetStream before anyone is told, so that it goes on wherever its processes were interrupted.

>>> from jobledger import Client, ExecutionContext, Task
>>> class Greet(Task):
...     name: str
...
...     def execute(self, context: ExecutionContext) -> None:
...         context.current_task.display = f"Hello, {self.name}"
>>> client = Client()
>>> job = client.jobs().submit("greetings", Greet("world"))
>>> client.runner(tasks=[Greet]).run_all()
>>> job.wait().state
<JobState.COMPLETED: 4>

The examples elsewhere take these for granted: `Greet`, the `client`, the `job` that is completed, and its only `task`.

`jobledger.data` has what jobs are described with, `jobledger.cache` the caches for tasks, `jobledger.errors` what can
be raised, `jobledger.testing` what tests run tasks with.

>>> import jobledger
>>> jobledger.__version__
'...'
"""

from __future__ import annotations

from ._lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .adapters.client.async_runner import AsyncTaskRunner
    from .adapters.client.client import AsyncClient, Client
    from .adapters.client.clusters import AsyncClusterClient, ClusterClient
    from .adapters.client.feed import AsyncFeedClient, FeedClient
    from .adapters.client.job import AsyncJob, Job
    from .adapters.client.jobs import AsyncJobClient, JobClient
    from .adapters.client.submit.many import NewJob
    from .adapters.runner.runner import Runner, RunnerContext, TaskRunner
    from .core.context import ExecutionContext, TaskCanceled
    from .core.errors import (
        ArgumentError,
        DamagedLog,
        JobCanceled,
        JobFailed,
        JobLedgerError,
        JobNotDeletable,
        JobNotRetryable,
        NotFoundError,
        ServerUnavailable,
        ServerUnsuitable,
    )
    from .core.lifecycle import JobState, TaskState
    from .core.options import Concurrency, Retry
    from .core.task import Task

    __version__: str

_HOMES = {
    "ArgumentError": "jobledger.core.errors",
    "AsyncClient": "jobledger.adapters.client.client",
    "AsyncClusterClient": "jobledger.adapters.client.clusters",
    "AsyncFeedClient": "jobledger.adapters.client.feed",
    "AsyncJob": "jobledger.adapters.client.job",
    "AsyncJobClient": "jobledger.adapters.client.jobs",
    "AsyncTaskRunner": "jobledger.adapters.client.async_runner",
    "Client": "jobledger.adapters.client.client",
    "ClusterClient": "jobledger.adapters.client.clusters",
    "Concurrency": "jobledger.core.options",
    "DamagedLog": "jobledger.core.errors",
    "ExecutionContext": "jobledger.core.context",
    "FeedClient": "jobledger.adapters.client.feed",
    "Job": "jobledger.adapters.client.job",
    "JobCanceled": "jobledger.core.errors",
    "JobClient": "jobledger.adapters.client.jobs",
    "JobFailed": "jobledger.core.errors",
    "JobLedgerError": "jobledger.core.errors",
    "JobNotDeletable": "jobledger.core.errors",
    "JobNotRetryable": "jobledger.core.errors",
    "JobState": "jobledger.core.lifecycle",
    "NewJob": "jobledger.adapters.client.submit.many",
    "NotFoundError": "jobledger.core.errors",
    "Retry": "jobledger.core.options",
    "Runner": "jobledger.adapters.runner.runner",
    "RunnerContext": "jobledger.adapters.runner.runner",
    "ServerUnavailable": "jobledger.core.errors",
    "ServerUnsuitable": "jobledger.core.errors",
    "Task": "jobledger.core.task",
    "TaskCanceled": "jobledger.core.context",
    "TaskRunner": "jobledger.adapters.runner.runner",
    "TaskState": "jobledger.core.lifecycle",
}
_from_home = lazy_names(globals(), _HOMES)

__all__ = [
    "ArgumentError",
    "AsyncClient",
    "AsyncClusterClient",
    "AsyncFeedClient",
    "AsyncJob",
    "AsyncJobClient",
    "AsyncTaskRunner",
    "Client",
    "ClusterClient",
    "Concurrency",
    "DamagedLog",
    "ExecutionContext",
    "FeedClient",
    "Job",
    "JobCanceled",
    "JobClient",
    "JobFailed",
    "JobLedgerError",
    "JobNotDeletable",
    "JobNotRetryable",
    "JobState",
    "NewJob",
    "NotFoundError",
    "Retry",
    "Runner",
    "RunnerContext",
    "ServerUnavailable",
    "ServerUnsuitable",
    "Task",
    "TaskCanceled",
    "TaskRunner",
    "TaskState",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from .adapters.version import installed_version

        version = globals()[name] = installed_version()
        return version
    return _from_home(name)


def __dir__() -> list[str]:
    return __all__
