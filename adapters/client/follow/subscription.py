"""An open subscription to the changes of jobs: `AsyncSubscription` is iterated over, `Subscription` calls back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, TypeVar

from jobledger.core.errors import JobLedgerError, ServerAway
from jobledger.core.lifecycle import JobState
from jobledger.projections.job_changes import JobChange

from ...nats.moments import check_position
from ...nats.stored import StreamMissing
from ...nats.tail import Tail, last_position, position_before
from ...nats.wire import Wire
from ...portal import shared_portal
from ..facade import pulled
from .bookmark import Bookmark
from .folds import Folds

if TYPE_CHECKING:
    from ..session import Session

T = TypeVar("T")

log = logging.getLogger(__name__)

#: a position in the log, behind which to begin; a time; or "start", the first change ever
Since: TypeAlias = int | datetime | Literal["start"]

#: commits passed over after which a named subscription notes its position although nobody was told anything
_NOTE_AFTER = 5000
#: seconds before a callback that raised is called again, if the subscription has a name
_AGAIN_AFTER = (0.1, 0.5, 2.0)


class AsyncSubscription:
    """An open subscription: iterate over it. For one reader; close it, or use it in `async with`.

    >>> async def story() -> list[str]:
    ...     async with AsyncClient() as client:
    ...         async with await client.jobs().subscribe(job=job, since="start") as changes:
    ...             return [(await anext(changes)).new.name for _ in range(3)]
    >>> asyncio.run(story())
    ['SUBMITTED', 'RUNNING', 'COMPLETED']
    """

    def __init__(
        self, session: Session, job_id: str | None, states: frozenset[JobState], bookmark: Bookmark | None
    ) -> None:
        self._session = session
        self._states = states
        self._bookmark = bookmark
        self._subject = session.names.log_subject("*" if job_id is None else job_id)
        self._position = 0
        self._noted = 0
        self._owed = False  #: the position is still to be noted
        self._tail: Tail | None = None
        self._stopped = asyncio.Event()
        self._changes = self._following()

    @property
    def position(self) -> int:
        """Up to where in the log all is done with: `since=` this, another subscription goes on from here.

        >>> async def behind(position: int) -> bool:
        ...     async with AsyncClient() as client:
        ...         async with await client.jobs().subscribe(since=position) as changes:
        ...             return changes.position == position
        >>> asyncio.run(behind(3))
        True
        """
        return self._position

    @property
    def named(self) -> bool:
        """Whether it has a name, under which it goes on after it was closed.

        >>> async def named() -> bool:
        ...     async with AsyncClient() as client:
        ...         async with await client.jobs().subscribe(name="mailer") as changes:
        ...             return changes.named
        >>> asyncio.run(named()), client.jobs().unsubscribe("mailer")
        (True, True)
        """
        return self._bookmark is not None

    def stop(self) -> None:
        """End the iteration, after the change in hand.

        >>> async def first() -> list[str]:
        ...     seen = []
        ...     async with AsyncClient() as client:
        ...         async with await client.jobs().subscribe(job=job, since="start") as changes:
        ...             async for change in changes:
        ...                 seen.append(change.new.name)
        ...                 changes.stop()
        ...     return seen
        >>> asyncio.run(first())
        ['SUBMITTED']
        """
        self._stopped.set()
        if self._tail is not None:
            self._tail.stop()

    async def close(self) -> None:
        """End it. If it has a name, the change that was taken last comes again when it goes on.

        >>> async def once() -> str:
        ...     async with AsyncClient() as client:
        ...         changes = await client.jobs().subscribe(job=job, since="start")
        ...         change = await anext(changes)
        ...         await changes.close()
        ...         return change.new.name
        >>> asyncio.run(once())
        'SUBMITTED'
        """
        self.stop()
        with contextlib.suppress(RuntimeError):  # somebody waits for the next change: that ends it too
            await self._changes.aclose()
        await self._leave()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> JobChange:
        return await anext(self._changes)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    # -- following the log ----------------------------------------------------------------------------------------

    async def _open(self, since: Since | None) -> None:
        """Begin to follow: whatever is committed from now on is seen."""
        link = await self._session.link()
        patience = self._session.patience
        known = None if self._bookmark is None else await link.work(self._bookmark.open, patience=patience)
        if known is None:
            known = await link.work(partial(self._place, since), patience=patience)
            if self._bookmark is not None:
                await link.work(partial(self._bookmark.move, position=known), patience=patience)
        self._position = self._noted = known
        self._tail = await link.work(self._new_tail, patience=patience)

    async def _following(self) -> AsyncGenerator[JobChange, None]:
        folds = Folds(self._session.names)
        with self._session.ends_with(self.stop):
            try:
                while not self._stopped.is_set():
                    try:
                        async with contextlib.aclosing(self._on_one_connection(folds)) as changes:
                            async for change in changes:
                                yield change
                    except (ServerAway, StreamMissing) as error:
                        log.info("a subscription waits for the server: %s", error)
                        await self._leave()
                        self._tail = await self._unless_stopped(self._again())
            finally:
                await self._leave()

    async def _on_one_connection(self, folds: Folds) -> AsyncGenerator[JobChange, None]:
        """Yield changes for as long as the tail lasts."""
        assert self._tail is not None
        client = (await self._session.link()).nc
        await self._note(client)
        async for message in self._tail:
            self._session.seen = max(self._session.seen, message.position)
            for change in await folds.apply(client, message):
                if change.new in self._states:
                    yield change
                    self._owed = self._bookmark is not None
            self._position = message.position
            await self._note(client)

    async def _note(self, client: Wire) -> None:
        """Have a named subscription go on from here, if it stops now."""
        if self._bookmark is not None and (self._owed or self._position - self._noted > _NOTE_AFTER):
            await self._bookmark.move(client, self._position)
            self._noted, self._owed = self._position, False

    async def _again(self) -> Tail:
        link = await self._session.link()
        return await link.work(self._new_tail, patience=math.inf)

    async def _new_tail(self, client: Wire) -> Tail:
        return await Tail.open(client, self._session.names.log_stream, self._subject, after=self._position)

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Return what `work` returns, or None as soon as this is stopped."""
        doing, stopped = asyncio.ensure_future(work), asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait((doing, stopped), return_when=asyncio.FIRST_COMPLETED)
            return doing.result() if doing.done() else None
        finally:
            doing.cancel()
            stopped.cancel()

    async def _leave(self) -> None:
        tail, self._tail = self._tail, None
        if tail is not None:
            await tail.close()

    async def _place(self, since: Since | None, client: Wire) -> int:
        """Return the position behind which to begin. Errors: ArgumentError for one beyond the end of the log."""
        stream = self._session.names.log_stream
        if since is None:
            return await last_position(client, stream)
        if isinstance(since, datetime):
            return await position_before(client, stream, self._session.names.log_subjects, since)
        if since == "start":
            return 0
        check_position(since, await last_position(client, stream), argument="since")
        return since


class Subscription:
    """A subscription that calls back, on a thread of its own, until it is closed. For `with`, too.

    >>> changes = []
    >>> with client.jobs().subscribe(changes.append, job=job, since="start"):
    ...     while len(changes) < 3:
    ...         time.sleep(0.01)
    >>> [change.new.name for change in changes]
    ['SUBMITTED', 'RUNNING', 'COMPLETED']
    """

    def __init__(self, changes: AsyncSubscription, callback: Callable[[JobChange], object]) -> None:
        self._changes = changes
        self._callback = callback
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobledger-subscription", daemon=True)

    def _start(self) -> Self:
        self._thread.start()
        return self

    @property
    def position(self) -> int:
        """Up to where in the log all is done with: `since=` this, another subscription goes on from here.

        >>> changes = []
        >>> with client.jobs().subscribe(changes.append, job=job, since="start") as subscription:
        ...     while len(changes) < 3:
        ...         time.sleep(0.01)
        >>> subscription.position >= changes[0].position
        True
        """
        return self._changes.position

    @property
    def active(self) -> bool:
        """Whether it still calls back. It ends when it is closed, when its client is, or when another one takes its name.

        >>> with client.jobs().subscribe(print, job=job) as subscription:
        ...     print(subscription.active)
        True
        >>> subscription.active
        False
        """
        return self._thread.is_alive()

    def close(self) -> None:
        """End it, and return once the callback that runs has returned. From within the callback: once that returns.

        >>> subscription = client.jobs().subscribe(print, job=job)
        >>> subscription.close()
        """
        self._closing.set()
        shared_portal().loop.call_soon_threadsafe(self._changes.stop)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _run(self) -> None:
        try:
            for change in pulled(self._changes._changes):
                if not self._told(change):
                    break  # closed before it was dealt with: not taken
        except JobLedgerError as error:
            log.error("a subscription has ended: %s", error)

    def _told(self, change: JobChange) -> bool:
        """Call back, again if that fails and is worth it. Return whether the change is dealt with."""
        for pause in (*(_AGAIN_AFTER if self._changes.named else ()), None):
            try:
                self._callback(change)
            except BaseException:  # SystemExit too: it must not end the subscription in silence
                more = "it is passed over" if pause is None else f"it is told again in {pause:g} s"
                log.exception("the callback of a subscription raised at %s; %s", change, more)
            else:
                return True
            if pause is not None and self._closing.wait(pause):
                return False
        return True
