"""A job as users hold it: `Job` for programs that block, `AsyncJob` for those that await."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from jobledger.projections.history import History
from jobledger.projections.job_view import JobView

from ..portal import shared_portal
from .facade import (
    awaited_each,
    awaited_of_job,
    awaited_on_job,
    blocking_each,
    blocking_of_job,
    blocking_on_job,
    same,
)
from .follow import following
from .history import past, replays
from .history.past import PastJob
from .read.facts import JobFacts
from .read.reading import read_after

T = TypeVar("T")


class Job(JobFacts):
    """A submitted job, live: reading a property fetches what was committed since the last reading, and no more.

    Jobs come from `client.jobs().submit(…)` and `client.jobs().find(id)`. Two are equal if their ids are.
    Errors of every property and method: NotFoundError if the log does not know the job or it was deleted, DamagedLog if
    its history cannot be read, ServerUnavailable if the server stays away.

    >>> job = client.jobs().submit("greetings", Greet("world"))
    >>> client.runner(tasks=[Greet]).run_all()
    >>> job.wait().state
    <JobState.COMPLETED: 4>
    >>> [task.state.name for task in job.tasks]
    ['COMPUTED']
    >>> job.history[-1].text
    'job completed'
    """

    wait = blocking_on_job(following.wait)
    watch = blocking_each(following.watch)
    refresh = blocking_on_job(following.refresh)
    at = blocking_of_job(past.past, PastJob)
    replay = blocking_of_job(replays.replay, same)

    @property
    def history(self) -> History:
        """Everything that happened to it, in order; `str(job.history)` is the timeline, one line per event (of
        more than a thousand: the first and the last).

        Read from the log as a whole each time: keep it in a variable while looking at it.

        >>> for entry in job.history:
        ...     print(entry.at.year, entry.text)  # doctest: +ELLIPSIS
        2... job 'greetings' submitted by ... with 1 root task
        2... task 0 (Greet) claimed by runner ..., attempt 1
        2... task 0 (Greet) computed by attempt 1 in ...
        2... job completed
        """
        return shared_portal().run(self._reading.history())

    @property
    def result(self) -> Any:
        """What its root task returned, as JSON data; a list of what each returned where there are several.

        >>> class Add(Task):
        ...     left: int
        ...     right: int
        ...
        ...     def execute(self, context: ExecutionContext) -> int:
        ...         return self.left + self.right
        >>> job = client.jobs().submit("adding", [Add(1, 2), Add(3, 4)])
        >>> client.runner(tasks=[Add]).run_all()
        >>> job.result
        [3, 7]
        """
        return shared_portal().run(self._reading.result())

    def _look(self, at: Callable[[JobView], T]) -> T:
        return shared_portal().run(self._reading.look(at))


class AsyncJob(JobFacts):
    """A submitted job whose properties show its latest reading: `await job.refresh()` reads what came after.

    Jobs come from `await client.jobs().submit(…)` and `await client.jobs().find(id)`, and belong to the event loop they
    were made on. Errors of every method: as those of `Job`.

    >>> async def greet() -> JobState:
    ...     async with AsyncClient() as client:
    ...         job = await client.jobs().submit("greetings", Greet("world"))
    ...         await client.runner(tasks=[Greet]).run_all()
    ...         await job.wait()
    ...         return job.state
    >>> asyncio.run(greet())
    <JobState.COMPLETED: 4>
    """

    wait = awaited_on_job(read_after(following.wait, patience=following.PATIENCE))
    watch = awaited_each(following.watch)
    refresh = awaited_on_job(following.refresh)
    at = awaited_of_job(past.past, PastJob)
    replay = awaited_of_job(replays.replay, same)

    async def history(self) -> History:
        """Return everything that happened to it, in order, read from the log as a whole. As `Job.history`.

        >>> async def last_words() -> str:
        ...     async with AsyncClient() as client:
        ...         history = await (await client.jobs().find(job.id)).history()
        ...         return history[-1].text
        >>> asyncio.run(last_words())
        'job completed'
        """
        return await self._reading.history()

    async def result(self) -> Any:
        """Return what its root task returned, read afresh. As `Job.result`.

        >>> async def result() -> object:
        ...     async with AsyncClient() as client:
        ...         return await (await client.jobs().find(job.id)).result()
        >>> asyncio.run(result()) is None
        True
        """
        return await self._reading.result()

    def _look(self, at: Callable[[JobView], T]) -> T:
        return at(self._reading.view)
