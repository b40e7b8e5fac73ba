"""A projector: the product's pass along the log, into its SQLite view in memory; stopped and killed between any two steps.

What has arrived is folded a bit at a time. While a transaction is under way the pass folds on, as it does beside the thread
that saves; a kill loses what is not saved by then, or comes right after it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any, NamedTuple, Self, cast

from eventsourcing.persistence import Notification
from eventsourcing.sqlite import SQLiteCursor, SQLiteDatastore, SQLiteTrackingRecorder

from jobledger.adapters.nats.eventstore.recorders import JetStreamApplicationRecorder
from jobledger.adapters.nats.records import decode_record
from jobledger.adapters.views.progress import Progress
from jobledger.adapters.views.projector import _Pass
from jobledger.adapters.views.sqlite import SQLiteJobs
from jobledger.adapters.views.store import Log, Overtaken
from jobledger.core.codec import TOPIC
from jobledger.projections.jobs import JobFilter, JobRow, JobsFold
from jobledger.projections.jobs.row_fold import Step

_ALL = 1_000_000


class Stored(NamedTuple):
    """A message of the log."""

    position: int
    job_id: str
    payload: bytes


class _Killed(BaseException):
    """The process was killed here."""


def _lives() -> None:
    """Nobody dies."""


class MemoryStore(SQLiteJobs):
    """The view in a database that is nowhere but in memory. Tables take 1.5 ms to make: it is used again."""

    def __init__(self) -> None:
        SQLiteTrackingRecorder.__init__(self, SQLiteDatastore(":memory:", originator_id_type="text"))
        self.shown = "memory"
        self._log = Log("simulation", "")
        self._damaged = False
        self.may_die: Callable[[], None] = lambda: (
            None
        )  #: called before and after each transaction that writes
        self.create()

    @contextmanager
    def _transaction(self, *, commit: bool = True) -> Iterator[SQLiteCursor]:
        if commit:
            self.may_die()
        with super()._transaction(commit=commit) as cursor:
            yield cursor
        if commit:
            self.may_die()


class _Later:
    """In place of the thread that saves: what it is given happens when somebody waits for it."""

    def __init__(self) -> None:
        self._work: Callable[[], None] | None = None

    def submit(self, work: Callable[..., None], *args: Any) -> Self:
        self._work = lambda: work(*args)
        return self

    def result(self) -> None:
        work, self._work = self._work, None
        if work is not None:
            work()


class _Subscription:
    """So many commits of the log, and no more before the next one."""

    def __init__(self, commits: Sequence[Stored]) -> None:
        self._commits = iter(commits)
        self._left = len(commits)

    @property
    def waiting(self) -> bool:
        return self._left > 0

    def hurry(self, hurried: bool) -> None: ...

    def stop(self) -> None:
        self._left, self._commits = 0, iter(())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None: ...

    def __iter__(self) -> Iterator[Notification]:
        for position, job_id, payload in self._commits:
            self._left -= 1
            record = decode_record(payload)
            yield Notification(job_id, record.version, TOPIC, record.state, id=position)


class _Recorder:
    """The log, as far as it has come."""

    def __init__(self, log: Sequence[Stored], random: Random) -> None:
        self._log = log
        self._random = random

    def subscribe(self, gt: int | None, rest: float) -> _Subscription:
        start = gt or 0
        return _Subscription(self._log[start : start + self._random.randint(1, 8)])


class SimProjector:
    """One process that moves a view. `log` is what the server has stored, in order, from position 1 on."""

    def __init__(self, log: Sequence[Stored], store: MemoryStore, random: Random, *, killing: float) -> None:
        """`killing` is how likely it is to die at each transaction."""
        self._log = log
        self._store = store
        self._random = random
        self._killing = killing
        self._pass: _Pass | None = None

    async def run(self) -> None:
        """Look now and then for what has come, for ever."""
        while True:
            await asyncio.sleep(self._random.choice((0.1, 0.5, 2.0)))
            self.step()

    def step(self) -> None:
        """Fold some of what has come, and save it."""
        if self._pass is None:
            position = self._store.position()
            recorder = cast(JetStreamApplicationRecorder, _Recorder(self._log, self._random))
            progress = Progress(position)
            progress.position = position
            self._pass = _Pass(recorder, JobsFold(self._read_again), self._store, progress, position)
            self._pass._saver = cast(Any, _Later())
        self._store.may_die = self._may_die
        try:
            self._pass._resume()
            if self._random.random() < 0.5:
                self._pass._wait_saved()
        except (_Killed, Overtaken):
            self._pass = None
        finally:
            self._store.may_die = _lives

    def _may_die(self) -> None:
        if self._random.random() < self._killing:
            raise _Killed

    def catch_up(self) -> None:
        """Go on until the view is where the log ends; nothing is killed any more."""
        self._killing, self._pass = 0.0, None
        while self._store.position() < len(self._log):
            self.step()

    def _read_again(self, job_id: str, version: int) -> Iterator[Step]:
        return _steps(self._log, job_id, version)


def _steps(log: Sequence[Stored], job_id: str, version: int) -> Iterator[Step]:
    for position, its, payload in log:
        if its == job_id and version > 0:
            version -= 1
            record = decode_record(payload)
            yield Step(position, record.version, record.state)


def difference(log: Sequence[Stored], store: MemoryStore) -> str:
    """Return in what a view differs from a fresh fold of the log; "" where they are equal."""
    fold = JobsFold(lambda job_id, version: _steps(log, job_id, version))
    for position, job_id, payload in log:
        record = decode_record(payload)
        fold.add(job_id, Step(position, record.version, record.state))
    wanted = {row.id: row for row in fold.take().rows}
    found: dict[str, JobRow] = {row.id: row for row in store.page(JobFilter(), behind=None, limit=_ALL).rows}
    if wanted == found:
        return ""
    ids = sorted(job_id for job_id in wanted.keys() | found.keys() if wanted.get(job_id) != found.get(job_id))
    return f"job {ids[0]}: {found.get(ids[0])} in the view, {wanted.get(ids[0])} by a fresh fold"
