"""A client's connection, and the two things done with it: ask the engine, read the log.

Opened when first needed. A process forked from one that had a connection gets one of its own: two processes on one
socket would read each other's answers.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from jobledger.core.errors import ServerUnavailable

if TYPE_CHECKING:
    from ..link import Link
    from ..nats.endpoint import Endpoint
    from ..nats.log import StoredCommit
    from ..nats.names import Names
    from ..protocol import Answer, CommandRequest

REQUEST_TIMEOUT = 5.0  # seconds for one try of a command, which is sent again after that
#: seconds for a question that is to bring the connection back, and for all tries together: what is left after the
#: first one is the time to find or start the server
_QUESTION, _REVIVE = 0.5, 3.0
_PAUSE = 0.05  # seconds between two readings of a log that cannot be read just now

#: connections left behind by forks: collecting one would close what the parent process still uses
_inherited: list[Link] = []


class Session:
    """One connection to one namespace. Its coroutines run on the loop of whoever awaits first.

    Shape:  `resolve` finds the server, starting it if it is the embedded one; it may block.
    Units:  `patience` is how many seconds a request outlasts a server or an engine that is away.
    """

    def __init__(self, resolve: Callable[[], Endpoint], names: Names, *, name: str, patience: float) -> None:
        self.names = names
        self.patience = patience
        self._resolve = resolve
        self._name = name
        self._link: Link | None = None
        self._opening = asyncio.Lock()
        self._process = os.getpid()
        self._closed = False

    async def link(self) -> Link:
        """Return the open connection of this process.

        Errors: ServerUnavailable when no server answers, or after `close`; ServerUnsuitable when it cannot serve.
        """
        self._leave_parents()
        async with self._opening:
            if self._closed:
                raise ServerUnavailable("this client was closed: make a new Client()")
            if self._link is None:
                # Not at the top: a program that only checks its arguments need not load the NATS client.
                from ..link import Link

                link = Link(self._resolve, self.names, self._name)
                await link.open()
                self._link = link
            return self._link

    def _leave_parents(self) -> None:
        """Forget a connection that belongs to the process this one was forked from."""
        if self._process != os.getpid():
            if self._link is not None:
                _inherited.append(self._link)
            self._process, self._link, self._opening = os.getpid(), None, asyncio.Lock()

    async def close(self) -> None:
        """Close the connection. Requests on their way fail with ServerUnavailable."""
        self._leave_parents()
        self._closed = True
        async with self._opening:
            link, self._link = self._link, None
        if link is not None:
            await link.close()

    async def ask(
        self, request: CommandRequest, *, timeout: float = REQUEST_TIMEOUT, patience: float | None = None
    ) -> Answer:
        """Ask the engine until it answers. Errors: ServerUnavailable when patience is at its end."""
        from .. import protocol

        link = await self.link()
        return await link.ask(
            self.names.command,
            protocol.encode(request),
            timeout=timeout,
            patience=self.patience if patience is None else patience,
        )

    async def read(
        self, job_id: str, after: StoredCommit | None = None, *, patience: float | None = None
    ) -> list[StoredCommit]:
        """Return the commits of a job in the log, or those behind one that was read before; [] if there are none.

        Errors: DamagedLog; ServerUnavailable when the server stays away.
        """
        from ..nats.log import read_job
        from ..protocol import FollowJob

        until = time.monotonic() + (self.patience if patience is None else patience)
        while True:
            link = await self.link()
            try:
                if link.nc.is_connected:
                    return await read_job(link.nc, self.names, job_id, after=after)
                # A question brings back what is missing: the server, or the connection. Its answer does not matter:
                # where no engine serves, the log can be read all the same.
                await self.ask(FollowJob(job_id, wait=0.0), timeout=_QUESTION, patience=_REVIVE)
            except ServerUnavailable as error:
                if time.monotonic() >= until:
                    raise ServerUnavailable(
                        f"job {job_id} cannot be read: {error}. Check that the server runs, and that it is the one on "
                        f"which an engine serves namespace {self.names.namespace!r}"
                    ) from error
                await asyncio.sleep(_PAUSE)

    async def max_payload(self) -> int:
        """Return the largest message the server takes, in bytes."""
        return (await self.link()).nc.max_payload
