"""What can be done with jobs, as two classes: `JobClient` blocks, `AsyncJobClient` is awaited.

The operations themselves are in the modules that are listed here.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from .facade import awaited, awaited_iteration, blocking, blocking_iteration, same
from .follow import subscribing
from .history import comparing, forking, replays, what_if
from .history.past import PastJob, PastReading
from .intervene import bulk, intervening
from .job import AsyncJob, Job
from .logs import log_feed, telemetry
from .query import finding, queries, viewing
from .query.finds import Finds
from .read.reading import Reading, read_first
from .session import Session
from .show import drawing
from .show.pictures import Picture
from .submit import many, submitting


class _Operations:
    """What both have in common."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of namespace {self._session.names.namespace!r}>"


def _found(reading: Reading) -> Job | PastJob:
    return PastJob(reading) if isinstance(reading, PastReading) else Job(reading)


def _jobs(readings: list[Reading]) -> list[Job | PastJob]:
    return [_found(reading) for reading in readings]


def _live_jobs(readings: list[Reading]) -> list[Job]:
    return [Job(reading) for reading in readings]


def _job(reading: Reading | None) -> Job | None:
    return None if reading is None else Job(reading)


def _async_found(reading: Reading) -> AsyncJob | PastJob:
    return PastJob(reading) if isinstance(reading, PastReading) else AsyncJob(reading)


def _async_jobs(readings: list[Reading]) -> list[AsyncJob | PastJob]:
    return [_async_found(reading) for reading in readings]


def _async_live_jobs(readings: list[Reading]) -> list[AsyncJob]:
    return [AsyncJob(reading) for reading in readings]


def _async_job(reading: Reading | None) -> AsyncJob | None:
    return None if reading is None else AsyncJob(reading)


class JobClient(_Operations, Finds[Job, PastJob, list[Job], list[PastJob]]):
    """What can be done with jobs; from `client.jobs()`. May be used from several threads.

    Errors of every method: ServerUnavailable if no server or no engine answers, ServerUnsuitable if the server cannot
    hold a log.

    >>> jobs = client.jobs()
    >>> job = jobs.submit("greetings", Greet("world"))
    >>> jobs.find(job.id) == job, jobs.cancel(job), jobs.retry(job)
    (True, True, 1)
    """

    submit = blocking(submitting.submit, Job)
    submit_many = blocking(many.submit_many, _live_jobs)
    wait_all = blocking(many.wait_all, _live_jobs)
    fork = blocking(forking.fork, Job)
    diff = blocking(comparing.diff, same)
    what_if = blocking(what_if.fold_again, same)
    if not TYPE_CHECKING:  # see `Finds`
        find = blocking(finding.find, _found)
        query = blocking(queries.query, _jobs)
    replay = blocking(replays.replay_of, same)
    rows = blocking(queries.rows, same)
    count = blocking(queries.count, same)
    latest = blocking(queries.latest, _job)
    cancel = blocking(intervening.cancel, same)
    retry = blocking(intervening.retry, same)
    delete = blocking(intervening.delete, same)
    deletable = blocking(intervening.deletable, same)
    cancel_all = blocking(bulk.cancel_all, same)
    retry_all = blocking(bulk.retry_all, same)
    delete_all = blocking(bulk.delete_all, same)
    views = blocking(viewing.views, same)
    rebuild_views = blocking(viewing.rebuild_views, same)
    subscribe = blocking(subscribing.subscribe, subscribing.started)
    unsubscribe = blocking(subscribing.unsubscribe, same)
    visualize = blocking(drawing.visualize, same)
    display = blocking(drawing.display, Picture.show)
    query_logs = blocking(telemetry.query_logs, same)
    query_spans = blocking(telemetry.query_spans, same)
    follow_logs = blocking_iteration(log_feed.follow_logs)
    limit_telemetry = blocking(telemetry.limit_telemetry, same)


class AsyncJobClient(
    _Operations,
    Finds[
        Coroutine[Any, Any, AsyncJob],
        Coroutine[Any, Any, PastJob],
        Coroutine[Any, Any, list[AsyncJob]],
        Coroutine[Any, Any, list[PastJob]],
    ],
):
    """What can be done with jobs; from `client.jobs()` of an `AsyncClient`. Every method is awaited, on one event loop.

    Methods and errors are those of `JobClient`; their jobs are `AsyncJob`s.

    >>> async def canceled() -> str:
    ...     async with AsyncClient() as client:
    ...         job = await client.jobs().submit("greetings", Greet("world"))
    ...         await client.jobs().cancel(job)
    ...         await job.refresh()
    ...         return job.state.name
    >>> asyncio.run(canceled())
    'CANCELED'
    """

    submit = awaited(read_first(submitting.submit), AsyncJob)
    submit_many = awaited(read_first(many.submit_many), _async_live_jobs)
    wait_all = awaited(read_first(many.wait_all), _async_live_jobs)
    fork = awaited(read_first(forking.fork), AsyncJob)
    diff = awaited(comparing.diff, same)
    what_if = awaited(what_if.fold_again, same)
    if not TYPE_CHECKING:
        find = awaited(finding.find, _async_found)
        query = awaited(read_first(queries.query), _async_jobs)
    replay = awaited(replays.replay_of, same)
    rows = awaited(queries.rows, same)
    count = awaited(queries.count, same)
    latest = awaited(read_first(queries.latest), _async_job)
    cancel = awaited(intervening.cancel, same)
    retry = awaited(intervening.retry, same)
    delete = awaited(intervening.delete, same)
    deletable = awaited(intervening.deletable, same)
    cancel_all = awaited(bulk.cancel_all, same)
    retry_all = awaited(bulk.retry_all, same)
    delete_all = awaited(bulk.delete_all, same)
    views = awaited(viewing.views, same)
    rebuild_views = awaited(viewing.rebuild_views, same)
    subscribe = awaited(subscribing.changes, same)
    unsubscribe = awaited(subscribing.unsubscribe, same)
    visualize = awaited(drawing.visualize, same)
    display = awaited(drawing.display, Picture.show)
    query_logs = awaited(telemetry.query_logs, same)
    query_spans = awaited(telemetry.query_spans, same)
    follow_logs = awaited_iteration(log_feed.follow_logs)
    limit_telemetry = awaited(telemetry.limit_telemetry, same)
