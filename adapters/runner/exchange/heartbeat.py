"""Signs of life: they keep the leases of what a runner holds, carry news of what runs, and bring the engine's."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import msgspec

from jobledger.core.commands import ReportProgress
from jobledger.core.errors import ServerUnavailable

from ... import protocol as p
from ...clocks import clock
from ...link import Link
from ..assignment import Assignment, Assignments
from .news import News

log = logging.getLogger(__name__)


class Said(NamedTuple):
    """A sign of life."""

    asked: (
        float  #: when it left for the first time, by the clock of leases: it may be that one that is answered
    )
    lease: float  #: seconds
    holds: list[p.AttemptRef]


class Heartbeat:
    """Beats three times a lease while anything is held, as soon as there is news, and not at all otherwise.

    It runs on the event loop's thread: a task that computes for minutes without pause lets it through, only one that
    keeps the interpreter to itself (in native code that does not release the GIL) for the length of a lease does not.
    """

    def __init__(
        self,
        link: Link,
        subject: str,
        assignments: Assignments,
        news: News,
        seen: Callable[[p.HeartbeatSeen, Said], None],
    ) -> None:
        """`subject` is where the engine hears it, `seen` is called with every answer, and what was said."""
        self._link = link
        self._subject = subject
        self._assignments = assignments
        self._news = news
        self._seen = seen
        self._beating: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()

    def ensure(self, lease: float) -> None:
        """Something may be held: beat, `lease` seconds being the time it may take at most."""
        if self._assignments.held and (self._beating is None or self._beating.done()):
            self._beating = asyncio.get_running_loop().create_task(self._beat(lease))

    def hurry(self) -> None:
        """Beat now."""
        self._wanted.set()

    async def stop(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)

    async def _beat(self, lease: float) -> None:
        interval = lease / 3
        due = time.monotonic() + interval
        while True:
            await self._pause(min(due, self._news.look_at) - time.monotonic())
            if not self._assignments:
                return
            news = self._news.gather()
            if news or self._wanted.is_set() or time.monotonic() >= due:
                self._wanted.clear()
                due = time.monotonic() + interval
                await self._say(news, lease)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wanted.wait()

    async def _say(self, news: list[tuple[Assignment, ReportProgress, bytes]], lease: float) -> None:
        running = cast(Any, [msgspec.Raw(data) for _, _, data in news])
        said = Said(clock(), lease, self._assignments.refs)

        def request(tries: int) -> bytes:
            return p.encode(p.Heartbeat(said.holds, running))

        try:
            reply = await self._link.ask(self._subject, request, timeout=lease / 3, patience=lease / 3)
        except ServerUnavailable as error:
            log.info("no sign of life could be given: %s", error)
            return
        if not isinstance(reply, p.HeartbeatSeen):
            log.error("the engine did not take a sign of life: %s", reply)
            return
        for assignment, latest, _ in news:
            assignment.told = latest
        self._seen(reply, said)
