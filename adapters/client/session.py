"""A client's connection, and the two things done with it: ask the engine, read the log.

Opened when first needed. A process forked from one that had a connection gets one of its own: two processes on one
socket would read each other's answers.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from jobledger.core.errors import JobLedgerError, ServerUnavailable

from ..portal import shared_portal

if TYPE_CHECKING:
    from ..link import Link
    from ..nats.endpoint import Endpoint
    from ..nats.log import StoredCommit
    from ..nats.names import Names
    from ..protocol import Answer, CommandRequest
    from ..sealing.keys import Keyring, KeyStore
    from .show.live import LiveCards

REQUEST_TIMEOUT = 5.0  # seconds for one try of a command, which is sent again after that
#: seconds for a question that is to bring the connection back, and for all tries together: what is left after the
#: first one is the time to find or start the server
_QUESTION, _REVIVE = 0.5, 3.0
_NO_JOB = "00000000-0000-0000-0000-000000000000"
_PAUSE = 0.05  # seconds between two readings of a log that cannot be read just now

#: connections left behind by forks: collecting one would close what the parent process still uses
_inherited: list[Link] = []


class Sealing(NamedTuple):
    """What a client does about encryption."""

    encrypt: bool = False  #: jobs are sealed unless their submission says otherwise
    keys: KeyStore | None = None  #: takes and has their keys; None: the NATS server


NOT_SEALING = Sealing()


class Session:
    """One connection to one namespace, on the loop of whoever awaits first.

    Shape:  `resolve` finds the server, starting it if it is the embedded one; it may block.
    Units:  `patience` is how many seconds a request outlasts a server or an engine that is away.
    """

    has_objects = True  #: there is an object store for what is large; without one, it travels in messages

    def __init__(
        self,
        resolve: Callable[[], Endpoint],
        names: Names,
        *,
        name: str,
        patience: float,
        sealing: Sealing = NOT_SEALING,
        folder: str | None = None,
    ) -> None:
        """`folder` is that of the embedded server; None where the server runs elsewhere."""
        self.names = names
        self.folder = folder
        self.sealing = sealing
        self.patience = patience
        self.seen = (
            0  #: the highest position of the log this client was told of: no view it reads may be older
        )
        self._resolve = resolve
        self._name = name
        self._link: Link | None = None
        self._opening = asyncio.Lock()
        self._process = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._dependants: set[Callable[[], object]] = set()
        self.cards: LiveCards | None = None  #: what a notebook shows of its jobs, once it shows any

    def now(self) -> int:
        """Return what time it is, in µs since 1970 UTC."""
        return time.time_ns() // 1000

    async def link(self) -> Link:
        """Return the open connection of this process.

        Errors: ServerUnavailable when no server answers, or after `close`; ServerUnsuitable when it cannot serve;
                RuntimeError on another event loop than the one the connection is on.
        """
        self._leave_others()
        if self._link is not None:
            return self._link
        async with self._opening:
            if self._closed:
                raise ServerUnavailable("this client was closed: make a new Client()")
            if self._link is None:
                # Not at the top: a program that only checks its arguments need not load the NATS client.
                from ..link import Link

                link = Link(self._resolve, self.names, self._name)
                await link.open(patience=self.patience)
                self._link = link
            return self._link

    async def endpoint(self) -> Endpoint:
        """Return where the server is, started now if it is the embedded one and not running. Errors: ServerUnavailable."""
        return await asyncio.to_thread(self._resolve)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop the connection is on; before its first use, that of programs which block."""
        known = self._loop if self._process == os.getpid() else None
        return known or shared_portal().loop

    def _leave_others(self) -> None:
        """Forget a connection that belongs to the process this one was forked from, or to a loop that was closed."""
        loop = asyncio.get_running_loop()
        if self._process == os.getpid() and self._loop is loop:
            return
        if self._process == os.getpid() and self._loop is not None and not self._loop.is_closed():
            raise RuntimeError(
                "this client is in use on another event loop: make a client for each loop, or close this one there"
            )
        if self._link is not None:
            _inherited.append(self._link)
        self._process, self._loop, self._link, self._opening = os.getpid(), loop, None, asyncio.Lock()
        self.cards = None

    async def close(self) -> None:
        """Close the connection, and end what depends on it. Requests on their way fail with ServerUnavailable."""
        self._leave_others()
        self._closed = True
        for end in tuple(self._dependants):
            end()
        async with self._opening:
            link, self._link = self._link, None
        if link is not None:
            await link.close()

    @contextmanager
    def ends_with(self, end: Callable[[], object]) -> Iterator[None]:
        """While inside, `end` is called when the connection is closed."""
        self._dependants.add(end)
        try:
            yield
        finally:
            self._dependants.discard(end)

    async def ask(
        self, request: CommandRequest, *, timeout: float = REQUEST_TIMEOUT, patience: float | None = None
    ) -> Answer:
        """Ask the engine until it answers. Errors: ServerUnavailable when patience is at its end."""
        from .. import protocol

        link = await self.link()
        answer = await link.ask_about(
            request.job_id,
            protocol.encode(request),
            timeout=timeout,
            patience=self.patience if patience is None else patience,
        )
        if isinstance(answer, protocol.Done | protocol.JobStatus):
            self.seen = max(self.seen, answer.position)
        return answer

    async def read(
        self, job_id: str, after: StoredCommit | None = None, *, patience: float | None = None
    ) -> list[StoredCommit]:
        """Return the commits of a job in the log, or those behind one that was read before; [] if there are none.

        Errors: DamagedLog; ServerUnavailable when the server stays away.
        """
        from ..nats.asking import NotAllowed
        from ..nats.log import read_job

        until = time.monotonic() + (self.patience if patience is None else patience)
        while True:
            link = await self.link()
            try:
                if link.nc.is_connected:
                    commits = await read_job(link.nc, self.names, job_id, after=after)
                    self.seen = max(self.seen, commits[-1].position if commits else 0)
                    return commits
                await self.revive()
            except NotAllowed:
                raise
            except ServerUnavailable as error:
                if time.monotonic() >= until:
                    reason = await link.reason()
                    if reason is not None:
                        raise reason from error
                    raise ServerUnavailable(
                        f"job {job_id} cannot be read: {error}. Check that the server runs, and that it is the one on "
                        f"which an engine serves namespace {self.names.namespace!r}"
                    ) from error
                await asyncio.sleep(_PAUSE)

    async def outage(self) -> str:
        """Return what keeps the log from being answered for, if it is for want of servers; "" otherwise."""
        reason = None if self._link is None else await self._link.reason()
        return "" if reason is None else str(reason)

    async def revive(self) -> None:
        """Bring back what is missing: the server, or the connection to it. Errors: ServerUnavailable."""
        from ..protocol import FollowJob

        # Any question does that. Its answer does not matter: where no engine serves, the log can be read all the same.
        await self.ask(FollowJob(_NO_JOB, wait=0.0), timeout=_QUESTION, patience=_REVIVE)

    async def written_at(self, position: int) -> int:
        """Return when the commit at a position of the log was decided, in µs; 0 if that cannot be read.

        Errors: ArgumentError for a position beyond the end of the log; ServerUnavailable.
        """
        from ..nats.moments import written_at

        link = await self.link()
        return await link.work(
            lambda client: written_at(client, self.names, position), patience=self.patience
        )

    def fetch(self, name: str) -> bytes:
        """Return the bytes of an object to a caller that blocks, on any thread but that of the session's event loop.

        Errors: JobLedgerError on that thread; as `objects.get`.
        """
        loop = self.loop
        if running_loop() is loop:
            raise JobLedgerError(
                f"the value is large: it is the object {name} in the object store, which takes time to read. In an "
                "asynchronous program, read it on a thread: await asyncio.to_thread(lambda: task.result), or "
                "await job.result() for that of the job"
            )
        fetching = asyncio.run_coroutine_threadsafe(self.read_object(name), loop)
        try:
            return fetching.result()
        except BaseException:
            fetching.cancel()
            raise

    async def read_object(self, name: str) -> bytes:
        """Return the bytes of an object. Errors: as `objects.get`."""
        from .. import objects

        link = await self.link()
        return await link.work(lambda client: objects.get(client, self.names, name), patience=self.patience)

    @cached_property
    def keyring(self) -> Keyring:
        """The keys of sealed jobs."""
        from ..sealing.keys import Keyring
        from ..sealing.nats_keys import keys_over

        own = [] if self.sealing.keys is None else [self.sealing.keys]
        return Keyring([*own, keys_over(self.link, self.patience)])

    async def max_payload(self) -> int:
        """Return the largest message the server takes, in bytes."""
        return (await self.link()).nc.max_payload


def running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
