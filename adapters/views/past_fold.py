"""All jobs as of a moment of the past: the log folded up to there, into a store of its own.

It is done by a process of its own, `python -m jobledger.adapters.views.past_fold`, which whoever wants to know starts: so
however long it takes, the view of now and its answers are not held up. What is asked for comes as one line of JSON on
standard input (`Order`), what is told are lines of JSON on standard output (`Told`). It ends with its standard input.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from eventsourcing.persistence import DataError, Notification

from jobledger.core.undecodable import UNDECODABLE
from jobledger.projections.jobs import JobsFold
from jobledger.projections.jobs.folding import ReadAgain
from jobledger.projections.jobs.row_fold import Step
from jobledger.projections.moments import Moment

from ..nats.connection import connect_patiently
from ..nats.endpoint import Endpoint
from ..nats.eventstore.recorders import JetStreamApplicationRecorder
from ..nats.names import Names
from .sqlite import open_sqlite
from .store import JobStore, Log

log = logging.getLogger(__name__)

#: jobs that have changed before they are saved
_MANY = 10_000
#: commits after which it is told how far it is
_TOLD = 20_000
#: µs by which the clocks of engines may differ: of what was written that long after a time nothing was decided before it
_SKEW = 600_000_000
#: what others do on the machine comes first
_NICENESS = 10


class Order(msgspec.Struct):
    """What is to be made."""

    endpoint: dict[str, Any]  #: the arguments of an `Endpoint`
    namespace: str
    log: Log
    moment: Moment
    end: int  #: of the log: nothing behind it is read
    path: str  #: of the SQLite file


class Told(msgspec.Struct):
    """How far it is. Only what is `done` tells of the times."""

    position: int  #: up to which the log was read
    done: bool = False
    since: int = 0  #: the same jobs at every time from this one on (µs) …
    before: int = 0  #: … and before this one; 0: not known


class _Outline(msgspec.Struct, array_like=True):
    """A commit up to its time."""

    id: bytes
    previous: bytes
    at: int


_decode_outline = msgspec.msgpack.Decoder(_Outline).decode


def _time_of(notification: Notification) -> int | None:
    """Return when a commit was decided; None for one that cannot be read, which the fold will find out."""
    try:
        return _decode_outline(notification.state).at
    except UNDECODABLE:
        return None


class PastFold:
    """The rows of all jobs as of one moment, saved as they come about."""

    def __init__(self, moment: Moment, store: JobStore, read_again: ReadAgain) -> None:
        self._moment = moment
        self._store = store
        self._fold = JobsFold(read_again)
        self._saved = 0
        self._over: set[str] = set()  # jobs whose next commit was written after the time
        self.position = 0
        self.since, self.before = 0, 0

    def apply(self, notification: Notification) -> bool:
        """Take the next commit of the log. Return False if nothing behind it is of interest."""
        moment = self._moment
        if moment.position is not None and notification.id > moment.position:
            return False
        self.position = notification.id
        job_id = str(notification.originator_id)
        if moment.time is not None and (at := _time_of(notification)) is not None:
            if at > moment.time:
                self._over.add(job_id)
                self.before = min(at, self.before or at)
                return at <= moment.time + _SKEW
            self.since = max(at, self.since)
            if job_id in self._over:
                return True
        step = Step(notification.id, notification.originator_version, notification.state)
        self._fold.add(job_id, step)
        if len(self._fold) >= _MANY:
            self.save()
        return moment.position is None or notification.id < moment.position

    def save(self) -> None:
        changes = self._fold.take()
        for damage in changes.damaged:
            log.error("%s", damage)
        self._store.save(changes, after=self._saved, position=self.position)
        self._saved = self.position


def fold_past(
    order: Order, recorder: JetStreamApplicationRecorder, read_again: ReadAgain, store: JobStore
) -> Iterable[Told]:
    """Fold what is ordered into the store, and yield how far it is."""
    past = PastFold(order.moment, store, read_again)
    more = True
    while more and past.position < order.end:
        try:
            with recorder.subscribe(gt=past.position or None) as subscription:
                for number, notification in enumerate(subscription, 1):
                    more = past.apply(notification)
                    if not more or past.position >= order.end:
                        break
                    if not number % _TOLD:
                        yield Told(past.position)
        except DataError as error:
            past.position += 1
            log.error("position %d cannot be read and is passed over: %s", past.position, error)
    if past.position:
        past.save()
    yield Told(past.position, True, past.since, past.before)


async def _make(order: Order) -> None:
    from .run import JobHistory, log_recorder

    names = Names(order.namespace)
    endpoint = Endpoint(**order.endpoint)
    client = await connect_patiently(endpoint, name=f"jobledger past of {order.namespace}")
    history = JobHistory(client, names, asyncio.get_running_loop())
    store = open_sqlite(Path(order.path), order.log)
    try:
        async with log_recorder(endpoint, names) as recorder:
            await asyncio.to_thread(_fold, order, recorder, history.read, store)
    finally:
        store.close()
        await client.close()


def _fold(
    order: Order, recorder: JetStreamApplicationRecorder, read_again: ReadAgain, store: JobStore
) -> None:
    for told in fold_past(order, recorder, read_again, store):
        sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
        sys.stdout.buffer.flush()


def _end_with_input() -> None:
    while os.read(sys.stdin.fileno(), 1024):  # not as a stream: its lock would be missed when Python ends
        pass
    os._exit(1)


def main() -> int:
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    from .__main__ import spare_collections

    os.nice(_NICENESS)
    spare_collections()
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    threading.Thread(target=_end_with_input, daemon=True).start()
    asyncio.run(_make(order))
    return 0


if __name__ == "__main__":
    sys.exit(main())
