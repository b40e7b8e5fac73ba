"""Group commit: what is decided about a job while its last commit is on its way becomes the next one.

A job is written at the end of the turn of the event loop in which something was decided, or in which the
acknowledgement of what was decided before arrives. So latency is one append, and under load one append carries hundreds of decisions:
that is what survives the fsync of every message.

A commit that the log has no room for is parked: it stays as it is, its job takes no new work meanwhile, and it is tried again.
Nothing is lost, read again or decided again by that, however long it takes.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from jobledger.core.codec import Commit, digest
from jobledger.core.events import Event

from ...metrics.engine import EngineMeter
from ...metrics.tally import Contents, contents_of
from ...nats.log import AppendConflict, AppendFailed, AppendRefused, AppendTooLarge, LogWriter, encode_message
from ..live import LiveJob, NoRoom, NotWritten, TooLarge
from .parking import Parking
from .room import Room

log = logging.getLogger(__name__)

#: Bytes of events after which a commit is closed. Larger ones gain nothing measurable and delay whoever waits.
TARGET_BYTES = 256 * 1024

#: So many commits are on their way one by one at most; what gathers behind them goes together, in one transaction of
#: the log. Below that one by one is quicker: the server takes 6 to 7 ms for a batch of any size up to 64, and 0.15 ms for
#: each single one, which it syncs (nats-server 2.15, a disk that syncs in 0.15 ms). 256 together take 11 ms, not 41.
TOGETHER = 64
_MOST_TOGETHER = 500  # the server takes 1,000
_MOST_BYTES = 4 * 1024 * 1024
_MOST_BATCHES = 2

_encode = msgspec.msgpack.Encoder().encode


class _Commit(NamedTuple):
    """The next commit of a job."""

    live: LiveJob
    contents: Contents
    payload: bytes
    at: int  #: when it was decided, in µs
    began: float  #: by time.perf_counter


class Committer:
    """Writes the decisions of all live jobs, one commit at a time for each job. `wake` has `write` called soon."""

    def __init__(
        self,
        writer: LogWriter,
        engine_id: str,
        meter: EngineMeter,
        room: Room,
        *,
        wake: Callable[[], None],
        owned: Callable[[], bool],
        on_written: Callable[[LiveJob], None],
        on_failed: Callable[[LiveJob, str], None],
        on_parked: Callable[[LiveJob], None],
    ) -> None:
        self._writer = writer
        self._target = min(TARGET_BYTES, writer.max_payload // 2)
        self._engine_id = engine_id
        self._meter = meter
        self._room = room
        self._wake = wake
        self._owned = owned
        self._on_written = on_written
        self._on_failed = on_failed
        self._on_parked = on_parked
        self._parking = Parking(self._put_again)
        self._due: list[LiveJob] = []  #: those with something to write of which nothing is on its way
        self._single = 0  #: commits on their way one by one
        self._batches = 0  #: and batches of them

    def add(self, live: LiveJob, events: list[Event]) -> None:
        """Have the events of one decision, already applied to the job, written."""
        live.decisions.append(events)
        live.decided += 1
        if not live.writing:
            self._gather(live)

    def write(self) -> None:
        """Write what has gathered, as far as nothing of the same job is on its way. To be called as a turn ends."""
        due, self._due = self._due, []
        if not self._owned():
            # What was decided before this process was suspended might still fit, and be accepted.
            for live in due:
                self.abandon(live, "the lease on its partition has run out")
            return
        due = [live for live in due if not live.dead]
        while len(due) >= TOGETHER and self._batches < _MOST_BATCHES:
            self._put_together(due)
        room = max(0, TOGETHER - self._single)
        for live in due[:room]:
            self._put(self._next(live))
        self._due += due[room:]

    def _gather(self, live: LiveJob) -> None:
        live.writing = True
        self._due.append(live)
        self._wake()

    def _put(self, commit: _Commit) -> None:
        def appended(outcome: int | AppendConflict | AppendFailed) -> None:
            self._single -= 1
            self._appended(commit, outcome)

        self._single += 1
        live = commit.live
        self._writer.put(live.job.id, commit.payload, appended, after=live.position)

    def _put_together(self, due: list[LiveJob]) -> None:
        """Write the first of these jobs in one batch, and take them from the list."""
        commits: list[_Commit] = []
        size = taken = 0
        while taken < len(due) and len(commits) < _MOST_TOGETHER and size < _MOST_BYTES:
            commit = self._next(due[taken])
            taken += 1
            size += len(commit.payload)
            if len(commit.payload) > self._target:
                self._put(commit)  # perhaps too large for the server, which is to concern no other
            else:
                commits.append(commit)
        del due[:taken]
        if not commits:
            return

        def appended(outcome: int | AppendConflict | AppendFailed) -> None:
            self._batches -= 1
            for place, commit in enumerate(commits):
                if isinstance(outcome, AppendConflict) and self._owned():
                    self._put(commit)  # it is one of them: each is to find out for itself
                else:
                    self._appended(commit, outcome + place if isinstance(outcome, int) else outcome)

        self._batches += 1
        self._writer.put_together([(c.live.job.id, c.payload, c.live.position) for c in commits], appended)

    def _appended(self, commit: _Commit, outcome: int | AppendConflict | AppendFailed) -> None:
        live = commit.live
        live.writing = False
        if isinstance(outcome, int):
            live.position = outcome
            live.version += 1
            live.digest = digest(commit.payload)
            self._room.wrote(len(commit.payload), commit.contents.decisions)
            if live.parked is not None:
                self._unpark(live)
            if live.decisions:  # not at once: what else this turn brings goes with them
                self._gather(live)
            self._meter.wrote(
                live, commit.at, commit.contents, len(commit.payload), time.perf_counter() - commit.began
            )
            live.acknowledged(commit.contents.decisions)
            self._on_written(live)
        elif isinstance(outcome, AppendConflict):
            self._meter.failed("conflict")
            self.abandon(live, f"someone else wrote to it ({outcome})")
        elif isinstance(outcome, AppendRefused):
            self._meter.failed("refused")
            self._park(commit, str(outcome))
        elif isinstance(outcome, AppendTooLarge) and commit.contents.decisions == 1:
            self._meter.failed("refused")
            self.abandon(live, str(outcome), to_first=TooLarge(str(outcome)))
        else:
            self._meter.failed("unacknowledged")
            self.abandon(live, str(outcome))
        if self._due:
            self._wake()  # there is room for others

    def _next(self, live: LiveJob) -> _Commit:
        """Take decisions for one commit. A decision is never divided: it happened or it did not."""
        taken = list(live.decisions)
        commit = self._commit(live, taken)
        if len(commit.payload) > self._target and len(taken) > 1:
            taken = _first(taken, self._target)
            commit = self._commit(live, taken)
        for _ in taken:
            live.decisions.popleft()
        return commit

    def _commit(self, live: LiveJob, decisions: list[list[Event]]) -> _Commit:
        # Encoding all events in one go takes 0.04 µs for each, one by one 0.14 (Python 3.11).
        settled = live.job.settled and len(decisions) == len(live.decisions)
        events = [event for decision in decisions for event in decision]
        commit = Commit(os.urandom(16), live.digest, live.at, self._engine_id, settled, events)
        contents = contents_of(decisions, settled=live.job.state if settled else 0)
        return _Commit(live, contents, encode_message(live.version + 1, commit), live.at, time.perf_counter())

    def abandon(self, live: LiveJob, reason: str, *, to_first: NotWritten | None = None) -> None:
        """Throw the job's memory away: what is not acknowledged may or may not be in the log.

        Shape:  `to_first` is as for `LiveJob.abandoned`.
        """
        if live.dead:
            return
        log.warning("job %s is read again from the log: %s", live.job.id, reason)
        self._throw_away(live, NotWritten(reason), to_first)

    def _throw_away(self, live: LiveJob, problem: NotWritten, to_first: NotWritten | None = None) -> None:
        self._parking.dropped(live)
        live.abandoned(problem, to_first=to_first)
        self._on_failed(live, str(problem))

    # -- what the log has no room for -----------------------------------------------------------------------------

    @property
    def parked(self) -> int:
        """How many jobs have something decided that the log has no room for."""
        return len(self._parking)

    @property
    def unwritable(self) -> str | None:
        """Why something that was decided cannot be written just now, if anything."""
        return self._parking.reason

    def _park(self, commit: _Commit, reason: str) -> None:
        live = commit.live
        self._room.look_soon()
        if live.version:
            self._parking.refused(live, commit, reason)
            self._on_parked(live)
        else:  # nobody was told that there is such a job: there is none
            log.warning("job %s is not taken: %s", live.job.id, reason)
            self._throw_away(live, NoRoom(reason))

    def _unpark(self, live: LiveJob) -> None:
        if self._parking.taken(live):
            self._room.look_soon()
        self._on_parked(live)

    def _put_again(self, commit: _Commit) -> None:
        if self._owned():
            self._put(commit)
        else:
            self.abandon(commit.live, "the lease on its partition has run out")

    def close(self) -> None:
        """Write nothing more."""
        self._parking.close()


def _first(decisions: list[list[Event]], target: int) -> list[list[Event]]:
    """Return the first of these decisions, as many as reach so many bytes; at least one."""
    size = 0
    for count, decision in enumerate(decisions):
        size += len(_encode(decision))
        if count and size > target:
            return decisions[:count]
    return decisions
