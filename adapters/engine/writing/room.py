"""What the log still has room for, and how much of that is kept for what is under way.

A log never forgets, so one that may only be so large is full one day. Before it is, nothing new is taken any more: no
job, no fork, no retry of what has ended. What is left then is for jobs that are not over, so that they can end.

The server is asked for the size now and then; between two looks the acknowledged bytes are taken off. Nothing is
counted for a task. Where the log has no limit, there is nothing to count at all.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

import nats.errors

from jobledger.core.decisions import Refusal
from jobledger.core.errors import JobLedgerError

from ...nats.names import Names
from ...nats.space import Space, find_space
from ...nats.wire import Wire
from ..waiting import wait_any

if TYPE_CHECKING:
    from ..ledger import Ledger

log = logging.getLogger(__name__)

#: seconds between two looks at the log's size, where it has a limit, and where it had none
_LOOK, _LOOK_FOR_LIMIT = 1.0, 15.0
#: of a limit, what is kept at least, and how much that is at most
_SHARE, _MOST_SHARE = 0.05, 256 * 1024 * 1024
#: bytes that a task takes until it has ended, at least: it is claimed, and what becomes of it is told
_TASK = 256
#: bytes that a commit takes in the log beside its payload
_MESSAGE = 128


class Room:
    """Of one log, for all partitions that this process serves."""

    def __init__(self, client: Wire, names: Names, folder: str | os.PathLike[str] | None = None) -> None:
        """`folder` is as for `find_space`."""
        self._client = client
        self._names = names
        self._folder = folder
        self._space: Space | None = None
        self._ledgers: list[Ledger] = []
        self._left = 0  #: bytes, if there is a limit
        self._unsettled = 0  #: tasks that may still run, in all partitions, about
        self._bytes = self._decisions = 0  #: of commits, of late
        self._wake = asyncio.Event()
        self._told = False

    # -- what the engine says -------------------------------------------------------------------------------------

    def serves(self, ledger: Ledger) -> None:
        """The partition of this ledger is served here."""
        self._ledgers.append(ledger)

    def rests(self, ledger: Ledger) -> None:
        """It is not any more, if it was."""
        self._ledgers = [other for other in self._ledgers if other is not ledger]

    def wrote(self, size: int, decisions: int) -> None:
        """A commit of so many bytes is in the log."""
        self._left -= size + _MESSAGE
        self._bytes += size
        self._decisions += decisions

    def look_soon(self) -> None:
        """The log took a commit not, or takes them again: it is time to look how it stands."""
        self._wake.set()

    # -- what it is asked -----------------------------------------------------------------------------------------

    @property
    def left(self) -> int | None:
        """How many bytes the log still takes; None where no limit is known."""
        return None if self._space is None else max(0, self._left)

    @property
    def reserve(self) -> int:
        """How many of them are kept so that what is not over can end."""
        share = 0 if self._space is None else min(self._space.limit * _SHARE, _MOST_SHARE)
        return int(max(share, self._unsettled * self._per_task))

    def check(self, size: int, tasks: int) -> None:
        """Something new of so many bytes is to be taken, which brings so many tasks. Errors: Refusal ("log_full")."""
        unwritable = next((why for ledger in self._ledgers if (why := ledger.unwritable)), None)
        if unwritable is not None:
            raise Refusal("log_full", f"{unwritable}. Nothing new is taken until it does. {REMEDY}")
        if self._space is None or self._left - size - tasks * self._per_task >= self.reserve:
            self._unsettled += tasks
            # What comes in is no measure of what it takes to end it.
            self._bytes, self._decisions = self._bytes - size, self._decisions - 1
            return
        raise Refusal(
            "log_full",
            f"the log is full: of the {self._space.limit:,} bytes it may take {max(0, self._left):,} are left, and "
            f"{self.reserve:,} are kept so that {self._unsettled:,} tasks that are not over can end. Nothing new is taken. "
            f"{REMEDY}",
        )

    @property
    def _per_task(self) -> float:
        # A task is claimed, and reported: two decisions, most of them in one commit with many others.
        return max(_TASK, 2 * self._bytes / self._decisions) if self._decisions > 0 else _TASK

    # -- looking --------------------------------------------------------------------------------------------------

    async def watch(self) -> None:
        """Look how much is left, for ever."""
        while True:
            await self.look()
            self._wake.clear()
            await wait_any(self._wake, timeout=_LOOK_FOR_LIMIT if self._space is None else _LOOK)

    async def look(self) -> None:
        """Find out how much is left, if the server says."""
        try:
            self._space = await find_space(self._client, self._names, self._folder)
        except (JobLedgerError, nats.errors.Error, OSError, KeyError, TypeError) as error:
            log.info("it cannot be found out how much room the log has: %s", error)
            return
        if self._space is None:
            return
        self._left = self._space.left
        self._bytes, self._decisions = self._bytes // 2, self._decisions // 2  # what was long ago counts less
        unsettled = sum(live.job.left for ledger in self._ledgers for live in ledger.jobs)
        # Other engines keep room for what they serve by themselves: that is room that is not there for us.
        partitions = self._ledgers[0].partition.of if self._ledgers else 1
        self._unsettled = unsettled * partitions // max(1, len(self._ledgers))
        full = self._left < self.reserve
        if full and not self._told:
            log.warning(
                "the log is nearly full: %d bytes are left, %d of them for what is not over. New jobs are refused. %s",
                self._left,
                self.reserve,
                REMEDY,
            )
        elif self._told and not full:
            log.warning("the log has room again: new jobs are taken")
        self._told = full


#: what whoever runs the server can do
REMEDY = (
    "Make room: a larger limit (`--max-bytes` of `jobledger engine` and `jobledger server start`, `nats stream edit`, that "
    "of the account or the server), or a larger disk"
)
