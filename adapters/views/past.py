"""Views of the past: of a few moments at a time, each made by a process of its own (`past_fold`) and kept for a while.

A view of the past is a `JobStore` as that of now is, in an SQLite file of a temporary folder. Whoever asks for a moment
that has none waits for it, or is told how far it is and asks again. Pages of one answer come from one view; should it be
given up in between, the same is made once more, as the log does not change.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from dataclasses import fields
from os import PathLike, fspath
from pathlib import Path
from typing import NamedTuple

import msgspec

from jobledger.core.errors import JobLedgerError
from jobledger.projections.moments import Moment

from ..nats.endpoint import Endpoint
from .past_fold import Order, Told
from .past_folder import PastFolder
from .sqlite import open_sqlite
from .store import JobStore, Log

log = logging.getLogger(__name__)

#: views that are kept, and the bytes that all but the newest of them may take
KEPT = 4
BYTES = 1024 * 1024 * 1024
_IDLE = 600.0  # seconds after which one that nobody asks for is given up
#: seconds before its making, and after it, in which a time is still moving: what was decided then may be written later
_MOVING = 10.0
_decode_told = msgspec.json.Decoder(Told).decode


class BeingMade(Exception):
    """There is no view of that moment yet. The text says how far it is."""


class _Known(NamedTuple):
    """For which moments a view is good."""

    moment: Moment
    since: int
    before: int

    def covers(self, moment: Moment) -> bool:
        if moment == self.moment:
            return True
        # between two commits nothing changes
        return moment.time is not None and 0 < self.since <= moment.time < self.before


class _View:
    """One moment, from the time it is asked for."""

    def __init__(self, moment: Moment, path: Path) -> None:
        self.known = _Known(moment, 0, 0)
        self.path = path
        self.store: JobStore | None = None
        self.told = 0  # position up to which its log was read
        self.users = 0
        self.used = self.made = time.monotonic()
        self.moving = moment.time is not None and time.time() - moment.time / 1e6 < _MOVING
        self.making: asyncio.Task[None] | None = None

    @property
    def is_stale(self) -> bool:
        now = time.monotonic()
        return now - self.used > _IDLE or (self.moving and now - self.made > _MOVING)

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.store is not None else 0

    def close(self) -> None:
        if self.making is not None:
            self.making.cancel()
        if self.store is not None:
            self.store.close()
        for path in self.path.parent.glob(f"{self.path.name}*"):
            path.unlink(missing_ok=True)


class Past:
    """Makes and keeps views of the past of one log, until `close`. For one event loop."""

    def __init__(self, endpoint: Endpoint, namespace: str, of: Log) -> None:
        self._endpoint = endpoint
        self._namespace = namespace
        self._log = of
        self._folder: PastFolder | None = None
        self._views: list[_View] = []  # the one that was used last is the last
        self._numbers = 0
        self._turn = asyncio.Lock()  # one is made at a time
        self._tidying: asyncio.TimerHandle | None = None

    @contextlib.asynccontextmanager
    async def at(self, moment: Moment, end: int, wait: float) -> AsyncIterator[JobStore]:
        """Give the view of a moment, which stays while inside.

        Shape:  `end` is that of the log; a position is not beyond it.
        Units:  `wait` is how many seconds it may take to make the view.
        Errors: BeingMade after that; JobLedgerError if it could not be made; as the store.
        """
        self._tidy()
        view = next((view for view in self._views if view.known.covers(moment)), None)
        if view is None:
            view = self._begun(moment, end)
        self._views.remove(view)
        self._views.append(view)
        view.users += 1
        try:
            assert view.making is not None
            await asyncio.wait({view.making}, timeout=wait)
            if not view.making.done():
                raise BeingMade(f"it is at position {view.told:,} of {moment.position or end:,}")
            if view.store is None:
                self._give_up(view)
                if not view.making.cancelled() and (error := view.making.exception()) is not None:
                    log.error("the jobs as of %s cannot be told", moment, exc_info=error)
                raise JobLedgerError(f"the jobs as of {moment} could not be read from the log")
            yield view.store
        finally:
            view.users -= 1
            view.used = time.monotonic()

    async def close(self) -> None:
        making = [view.making for view in self._views if view.making is not None]
        for view in self._views:
            view.close()
        self._views.clear()
        await asyncio.gather(*making, return_exceptions=True)
        if self._tidying is not None:
            self._tidying.cancel()
        if self._folder is not None:
            self._folder.remove()

    def _begun(self, moment: Moment, end: int) -> _View:
        if self._folder is None:
            self._folder = PastFolder()
        self._numbers += 1
        view = _View(moment, self._folder.path / f"{self._numbers}.sqlite3")
        self._views.append(view)
        view.making = asyncio.create_task(self._make(view, end))
        return view

    async def _make(self, view: _View, end: int) -> None:
        moment = view.known.moment
        async with self._turn:
            began = time.monotonic()
            told = await self._told(view, moment, end)
            if told is None:
                return
            view.known = _Known(moment, told.since, told.before)
            view.store = await asyncio.to_thread(open_sqlite, view.path, self._log)
            view.made = view.used = time.monotonic()
            log.info("the jobs as of %s: made in %.1f s", moment, time.monotonic() - began)
        self._tidy()

    async def _told(self, view: _View, moment: Moment, end: int) -> Told | None:
        """Have the view made by a process, and return what it told last; None if it failed."""
        order = Order(_arguments(self._endpoint), self._namespace, self._log, moment, end, str(view.path))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "jobledger.adapters.views.past_fold",
            stdin=PIPE,
            stdout=PIPE,
            cwd="/",
            start_new_session=True,  # Ctrl-C in a terminal is for whoever started the projector
        )
        try:
            return await _heard(process, order, view)
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    def _tidy(self) -> None:
        """Give up what nobody has asked for in a while, and what there is too much of: the least recently used first."""
        if self._tidying is not None:
            self._tidying.cancel()
            self._tidying = None
        for view in list(self._views):
            if view.is_stale and not view.users and view.store is not None:
                self._give_up(view)
        idle = [view for view in self._views if not view.users and view.store is not None]
        for view in idle:
            if len(self._views) > KEPT or sum(one.size for one in self._views[:-1]) > BYTES:
                self._give_up(view)
        if self._views:
            self._tidying = asyncio.get_running_loop().call_later(_IDLE, self._tidy)

    def _give_up(self, view: _View) -> None:
        if view in self._views:
            self._views.remove(view)
            view.close()


async def _heard(process: Process, order: Order, view: _View) -> Told | None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(msgspec.json.encode(order) + b"\n")
    last = None
    with contextlib.suppress(ConnectionError):
        await process.stdin.drain()
    async for line in process.stdout:
        last = _decode_told(line)
        view.told = last.position
    code = await process.wait()
    if last is None or not last.done or code:
        log.error("the process that reads the jobs as of %s ended with code %s", order.moment, code)
        return None
    return last


def _arguments(endpoint: Endpoint) -> dict[str, object]:
    given = {field.name: getattr(endpoint, field.name) for field in fields(endpoint)}
    return {name: fspath(value) if isinstance(value, PathLike) else value for name, value in given.items()}
