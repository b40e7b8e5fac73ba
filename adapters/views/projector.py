"""Moving a view along the log: fold what has arrived, and save what has changed when nothing more is waiting.

While a transaction is under way, on a thread of its own, commits are folded for the next one; so an idle view is behind by
one transaction. Of a busy log, what comes within a fiftieth of a second comes together, unless somebody waits for the view.
Only a view that has to catch up first, and is of no use before, waits for thousands of jobs to have changed: by then most
of them are settled, and are written once.

The view and its position change in one transaction, which fails if the position is not the expected one. So at most one
projector moves a view, whatever becomes of the others: whoever finds it moved by someone else stands by, and takes over
when it is not moved any more.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

from eventsourcing.persistence import DataError, Notification, OperationalError

from jobledger.core.errors import ServerUnavailable
from jobledger.projections.jobs import Changes, JobsFold
from jobledger.projections.jobs.folding import ReadAgain
from jobledger.projections.jobs.row_fold import Step

from ..nats.eventstore.recorders import JetStreamApplicationRecorder
from ..nats.eventstore.subscription import JetStreamSubscription
from .progress import Progress
from .store import JobStore, Overtaken, StoreAway

log = logging.getLogger(__name__)

#: jobs that have changed before they are saved, though there are more commits to come
_MANY = 10_000
#: Seconds in which commits gather while nobody waits for the view. By itself, each wakes four threads and is a transaction:
#: 480 us of processor time in a chain of tasks, instead of 105 (Python 3.11, 700 commits a second).
_REST = 0.02
_LOOK = 0.1  # seconds between two looks at a view that someone else moves
_TAKE_OVER = 3.0  # seconds without a move, though there is something to move it by
_PAUSE = 0.5  # seconds before a store or a log that does not answer is asked again


class Projector:
    """Moves one view, or stands by. `run` blocks; the other methods may be called from any thread."""

    def __init__(
        self,
        recorder: JetStreamApplicationRecorder,
        read_again: ReadAgain,
        store: JobStore,
        progress: Progress,
    ) -> None:
        self._recorder = recorder
        self._read_again = read_again
        self._store = store
        self._progress = progress
        self._stopped = threading.Event()
        self._rebuild = threading.Event()
        self._pass: _Pass | None = None
        self._problem = ""
        progress.on_awaited = self._hurry
        self.moves = True  #: not so while it stands by

    def stop(self) -> None:
        self._stopped.set()
        self._interrupt()

    def rebuild(self) -> None:
        """Drop the view and begin again, if it is this projector that moves it."""
        if self.moves:
            self._rebuild.set()
            self._interrupt()

    @property
    def is_asked_to_rebuild(self) -> bool:
        """Whether it was asked to and has not begun."""
        return self._rebuild.is_set()

    def _hurry(self, hurried: bool) -> None:
        current = self._pass
        if current is not None:
            current.hurry(hurried)

    def _interrupt(self) -> None:
        current = self._pass
        if current is not None:
            current.end()

    def run(self) -> None:
        """Project until stopped.

        Errors: StoreDamaged; PersistenceError, when the log is no more.
        """
        while not self._stopped.is_set():
            try:
                if self._rebuild.is_set():
                    log.info("the view in %s is dropped and made anew", self._store.shown)
                    self._progress.begin(0, self._recorder.max_notification_id() or 0)
                    self._store.reset()
                    self._rebuild.clear()
                if not self.moves:
                    self._stand_by()
                    self.moves = True
                self._project()
            except Overtaken as error:
                log.info("standing by: %s", error)
                self.moves = False
            except (StoreAway, ServerUnavailable, OperationalError) as error:
                self._complain(str(error))
                self._stopped.wait(_PAUSE)

    def _complain(self, problem: str) -> None:
        if problem != self._problem:  # not twice a second while it lasts
            log.warning("the view in %s is not moved for now: %s", self._store.shown, problem)
            self._problem = problem

    def _project(self) -> None:
        position = self._store.position()
        self._progress.begin(position, self._recorder.max_notification_id() or 0)
        fold = JobsFold(self._read_again)
        self._pass = _Pass(self._recorder, fold, self._store, self._progress, position)
        try:
            if not (self._stopped.is_set() or self._rebuild.is_set()):
                self._pass.run()
        finally:
            self._pass = None

    def _stand_by(self) -> None:
        """Return when nobody moves the view though there is something to move it by, or when stopped."""
        position = self._store.position()
        self._progress.begin(position, self._recorder.max_notification_id() or 0)
        since = time.monotonic()
        while not self._stopped.wait(_LOOK):
            found = self._store.position()
            if found != position:
                position, since = found, time.monotonic()
                self._progress.move(position)
            elif time.monotonic() - since > _TAKE_OVER:
                if (self._recorder.max_notification_id() or 0) > position:
                    log.info("nobody moves the view in %s any more: taking over", self._store.shown)
                    return
                since = time.monotonic()


class _Pass:
    """One run along the log, from where the view stands to wherever it ends."""

    def __init__(
        self,
        recorder: JetStreamApplicationRecorder,
        fold: JobsFold,
        store: JobStore,
        progress: Progress,
        position: int,
    ) -> None:
        self._recorder = recorder
        self._fold = fold
        self._store = store
        self._progress = progress
        self._saved = self._folded = position
        self._subscription: JetStreamSubscription | None = None
        self._lock = threading.Lock()
        self._ended = False
        self._saver = ThreadPoolExecutor(1, "jobledger-view")
        self._saving: Future[None] | None = None

    def run(self) -> None:
        """Errors: as the store; PersistenceError of the log; ServerUnavailable."""
        with self._saver:
            try:
                while not self._ended:
                    self._resume()
            finally:
                self._wait_saved()

    def _resume(self) -> None:
        with self._lock:
            self._subscription = self._recorder.subscribe(gt=self._folded or None, rest=_REST)
            self._subscription.hurry(self._progress.is_awaited)
        try:
            self._follow(self._subscription)
        except DataError as error:
            # Positions have no gaps: it is the next one. Its job is found to be damaged with its next commit.
            self._folded += 1
            log.error("position %d cannot be read and is passed over: %s", self._folded, error)

    def hurry(self, hurried: bool) -> None:
        """Whether somebody waits. May be called from any thread."""
        with self._lock:
            if self._subscription is not None:
                self._subscription.hurry(hurried)

    def end(self) -> None:
        """Have `run` return soon. May be called from any thread."""
        with self._lock:
            self._ended = True
            if self._subscription is not None:
                self._subscription.stop()

    def _follow(self, subscription: JetStreamSubscription) -> None:
        with subscription:
            if self._ended:
                return
            if self._folded > self._saved and self._due(subscription):
                self._save()
            for notification in subscription:
                self._apply(notification)
                if self._due(subscription):
                    self._save()

    def _apply(self, notification: Notification) -> None:
        step = Step(notification.id, notification.originator_version, notification.state)
        self._fold.add(str(notification.originator_id), step)
        self._folded = notification.id

    def _due(self, subscription: JetStreamSubscription) -> bool:
        """Whether it is time to save."""
        if len(self._fold) >= _MANY:
            return True
        catches_up = self._folded < self._progress.target
        return not (catches_up or subscription.waiting)

    def _save(self) -> None:
        """Have what has changed saved by the other thread, once that has saved what was before it."""
        changes = self._fold.take()
        for damage in changes.damaged:
            log.error("%s", damage)
        self._wait_saved()
        self._saving = self._saver.submit(self._move, changes, self._saved, self._folded)
        self._saved = self._folded

    def _move(self, changes: Changes, after: int, position: int) -> None:
        try:
            self._store.save(changes, after=after, position=position)
        except BaseException:
            self.end()  # there may be no other commit to come, with which it would be noticed
            raise
        self._progress.move(position)

    def _wait_saved(self) -> None:
        """Return when what was to be saved is. Errors: as the store."""
        if self._saving is not None:
            self._saving.result()
