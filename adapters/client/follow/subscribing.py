"""Subscribing to the changes of jobs: from the log itself, so that none is missed and any can be had again."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from jobledger.core.errors import ArgumentError
from jobledger.core.lifecycle import JobState
from jobledger.projections.job_changes import JobChange

from .. import arguments
from ..arguments import JobOrId
from ..query.finding import find

if TYPE_CHECKING:
    from ..session import Session
    from .bookmark import Bookmark
    from .subscription import AsyncSubscription, Since, Subscription

States: TypeAlias = JobState | Iterable[JobState]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def subscribe(
    session: Session,
    callback: Callable[[JobChange], object],
    job: JobOrId | None = None,
    states: States | None = None,
    since: Since | None = None,
    name: str | None = None,
) -> Coroutine[Any, Any, Subscription]:
    """Have `callback` called for every change of a job from one state to another, in order, until the handle is closed.

    It is called on a thread of its own, one change at a time, a few milliseconds after the change was written to the log;
    across restarts of the engine and of the server. It may use this client. What it raises is logged, and disturbs
    neither the changes to come nor other subscriptions.

    Shape:  `job` and `states` say which: of one job, and to one of these states; None: all. `since` says from where on:
            behind a position in the log, such as that of a handle or of a change; from a time on (an aware datetime);
            from the "start"; None: from now on.
            With a `name` it is durable: closed or killed, it goes on under that name where it stopped, and `since` only
            counts the first time. Every change is then told at least once: again if the program was killed before the
            callback returned, and up to three times more, within 3 seconds and before any later one, if it raises. The
            subscription that took a name last has it; the one before ends. `unsubscribe` forgets a name.
    Errors: ArgumentError for each of these; NotFoundError for the job.

    >>> seen = []
    >>> with client.jobs().subscribe(seen.append, states=JobState.COMPLETED) as subscription:
    ...     job = client.jobs().submit("greetings", Greet("world"))
    ...     client.runner(tasks=[Greet]).run_all()
    ...     while not seen:
    ...         time.sleep(0.01)
    >>> seen[0].job_id == job.id, seen[0].old, seen[0].new, seen[0].position <= subscription.position
    (True, <JobState.RUNNING: 2>, <JobState.COMPLETED: 4>, True)
    """
    if not callable(callback):
        raise ArgumentError(f"callback={callback!r:.100} cannot be called: pass a function of one argument")
    if inspect.iscoroutinefunction(callback):
        raise ArgumentError(
            f"callback={callback!r:.100} is asynchronous: iterate over AsyncClient().jobs().subscribe() instead"
        )
    return _subscribe(changes(session, job, states, since, name), callback)


async def _subscribe(
    opening: Coroutine[Any, Any, AsyncSubscription], callback: Callable[[JobChange], object]
) -> Subscription:
    from .subscription import Subscription

    return Subscription(await opening, callback)


def started(subscription: Subscription) -> Subscription:
    """Have the subscription begin to call back."""
    return subscription._start()


def changes(
    session: Session,
    job: JobOrId | None = None,
    states: States | None = None,
    since: Since | None = None,
    name: str | None = None,
) -> Coroutine[Any, Any, AsyncSubscription]:
    """Return the changes of jobs from one state to another as an asynchronous iterator, in order, as they come.

    Arguments and errors are those of `JobClient.subscribe`, without the callback. A change counts as taken once the
    next one is asked for: a named subscription that ends before that gets it again.

    >>> async def first_change() -> JobState:
    ...     async with AsyncClient() as client:
    ...         async with await client.jobs().subscribe(since="start") as changes:
    ...             return (await anext(changes)).new
    >>> asyncio.run(first_change())
    <JobState.SUBMITTED: 1>
    """
    wanted = arguments.states(states)
    begin = _since(since)
    job_id = None if job is None else arguments.job_id(job)
    checked = None if name is None else _name(name)
    return _changes(session, job_id, wanted, begin, checked)


async def _changes(
    session: Session, job_id: str | None, states: frozenset[JobState], since: Since | None, name: str | None
) -> AsyncSubscription:
    from .subscription import AsyncSubscription

    if job_id is not None:
        await find(session, job_id)
    subscription = AsyncSubscription(
        session, job_id, states, None if name is None else _bookmark(session, name)
    )
    await subscription._open(since)
    return subscription


async def unsubscribe(session: Session, name: str) -> bool:
    """Forget how far the subscription of this name has come; return whether there was one. One that is active ends.

    >>> client.jobs().unsubscribe("mailer")
    False
    """
    bookmark = _bookmark(session, _name(name))
    link = await session.link()
    return await link.work(bookmark.remove, patience=session.patience)


def _bookmark(session: Session, name: str) -> Bookmark:
    from .bookmark import Bookmark

    return Bookmark(session.names, name)


def _name(given: Any) -> str:
    if not isinstance(given, str) or not _NAME.fullmatch(given):
        raise ArgumentError(
            f"name={given!r:.100} cannot name a subscription: pass 1 to 64 letters, digits, dashes or underscores"
        )
    return given


def _since(given: Any) -> Since | None:
    if given is None or given == "start":
        return "start" if given else None
    if isinstance(given, datetime):
        arguments.moment("since", given)
        return given
    if isinstance(given, int) and not isinstance(given, bool) and given >= 0:
        return given
    raise ArgumentError(
        f"since={given!r:.100} is no place in the log: pass a position, an aware datetime, 'start', or None for now"
    )
