"""Signs of life: they keep the leases of what a runner holds, and tell it what it has lost all the same."""

from __future__ import annotations

import asyncio
import logging

from jobledger.core.errors import ServerUnavailable

from .. import protocol as p
from ..link import Link
from .assignment import Assignments

log = logging.getLogger(__name__)


class Heartbeat:
    """Beats three times a lease while anything is held, and not at all otherwise.

    It runs on the event loop's thread: a task that computes for minutes without pause lets it through, only one that
    keeps the interpreter to itself (in native code that does not release the GIL) for the length of a lease does not.
    """

    def __init__(self, link: Link, runner_id: str, assignments: Assignments) -> None:
        self._link = link
        self._runner_id = runner_id
        self._assignments = assignments
        self._beating: asyncio.Task[None] | None = None

    def ensure(self, lease: float) -> None:
        """Something may be held: beat, `lease` seconds being the time it may take at most."""
        if self._assignments and (self._beating is None or self._beating.done()):
            self._beating = asyncio.get_running_loop().create_task(self._beat(lease / 3))

    async def stop(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)

    async def _beat(self, interval: float) -> None:
        while True:
            await asyncio.sleep(interval)
            if not self._assignments:
                return
            request = p.encode(p.Heartbeat(self._assignments.refs))
            try:
                reply = await self._link.ask(
                    self._link.names.heartbeat(self._runner_id), request, timeout=interval, patience=interval
                )
            except ServerUnavailable as error:
                log.info("no sign of life could be given: %s", error)
                continue
            if isinstance(reply, p.HeartbeatSeen):
                for assignment in self._assignments.lose(reply.lost):
                    log.warning(
                        "%r is over for the engine: its lease has ended, or it was given to another",
                        assignment,
                    )
