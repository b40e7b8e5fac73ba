"""Cards in a notebook that keep up with their job until nothing more can come.

A card is an output with a display id: what a front end shows under it can be replaced. Cells that show the same thing
share one id, so that one message changes them all. One watcher follows a job for all of its cards: a task on the event
loop of the connection, told of changes by the engine. It has a reading of its own, since what a program reads must not
move on between two of its lines, nor be changed by one thread while another looks at it.

A watcher ends when its cards can change no more, when the client is closed, when the job cannot be followed (the card
says why), and with the process. Nothing it meets reaches the program.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys
import time
import weakref
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from jobledger.core.lifecycle import TaskState
from jobledger.projections.cards import Bundle, job_bundle, task_bundle, with_note
from jobledger.projections.job_view import JobView

from ...portal import shared_portal
from ..follow import following
from ..read.reading import Reading
from ..session import running_loop
from . import pictures

if TYPE_CHECKING:
    from ..session import Session

log = logging.getLogger(__name__)

MOST = 32  #: cards of one client that are kept up to date; of more, the one shown longest ago stays as it is
PAUSE = 0.25  #: seconds between two updates, at least
INTERVAL = 5.0  # seconds after which what goes on, such as the time a task takes, is shown anew
_REST = 10  # how many times as long as it took to draw a large job the loop is left to others

_GOING_ON = (TaskState.QUEUED, TaskState.RUNNING)


def show(session: Session, view: JobView, number: int | None) -> None:
    """Show a job, or the task of it that has this number, in the notebook this process is the kernel of.

    Errors: NotImplementedError, by which IPython shows it as it stands: outside of a notebook, where output is captured
            to be shown later, and where nobody can wait for the loop of the connection.
    """
    card = Card(view.job.id, number, notebook())
    if running_loop() is session.loop:
        _cards_of(session).show(card, view)
    elif session.loop is shared_portal().loop:
        shared_portal().run(_shown(session, card, view))
    else:
        raise NotImplementedError("the event loop of this client is not running here")


async def _shown(session: Session, card: Card, view: JobView) -> None:
    _cards_of(session).show(card, view)


def _cards_of(session: Session) -> LiveCards:
    if session.cards is None:
        session.cards = LiveCards(session)
    return session.cards


def show_known(screen: Any, view: JobView, why: str) -> None:
    """Show a job as it was known before, and say why not as it is now."""
    Card(view.job.id, None, screen).show(view, f"As of its latest reading: {why}")


def notebook() -> Any:
    """Return what shows things in the notebook this process is the kernel of. Errors: NotImplementedError, as `show`."""
    if not pictures.in_notebook():
        raise NotImplementedError("this is no notebook")
    publisher = sys.modules["IPython"].get_ipython().display_pub
    if isinstance(publisher, sys.modules["IPython.core.displaypub"].CapturingDisplayPublisher):
        raise NotImplementedError("the output is captured")
    return publisher


class Card:
    """One job or task on the screen, in as many cells as show it."""

    def __init__(self, job_id: str, number: int | None, publisher: Any) -> None:
        self.job_id = job_id
        self.id = f"jobledger-{job_id}" if number is None else f"jobledger-{job_id}/{number}"
        self._number = number
        self._publisher = weakref.ref(publisher)  # its cards do not keep alive a notebook that is gone
        self._showing: Bundle = {}

    def over(self, view: JobView) -> bool:
        """Whether it shows the same for ever, unless a user retries what it shows."""
        return view.settled or (self._number is not None and view.tasks[self._number].state not in _GOING_ON)

    def show(self, view: JobView, note: str = "") -> None:
        """Show it in the cell that is running, with a note below it."""
        self._showing = self._drawn(view, note)
        self._publish(update=False)

    def update(self, view: JobView, note: str = "") -> bool:
        """Show it anew wherever it is shown, with a note below it. Return False if it cannot be."""
        try:
            drawn = self._drawn(view, note)
            if drawn != self._showing:
                self._showing = drawn
                self._publish(update=True)
        except Exception:  # there is nobody to tell: the cell that showed it is over
            log.debug("%s is not shown any more", self.id, exc_info=True)
            return False
        return True

    def _drawn(self, view: JobView, note: str) -> Bundle:
        if not view.version and self._showing:
            drawn = self._showing  # it is damaged, so that nothing is known of it any more
        elif self._number is None:
            drawn = job_bundle(view)
        else:
            drawn = task_bundle(view.tasks[self._number])
        return with_note(drawn, note) if note else drawn

    def _publish(self, *, update: bool) -> None:
        publisher = self._publisher()
        if publisher is None:
            raise LookupError("the notebook is gone")
        publisher.publish(self._showing, {}, transient={"display_id": self.id}, update=update)


class _Watcher(NamedTuple):
    reading: Reading
    task: asyncio.Task[None]


class LiveCards:
    """Those of one connection that are kept up to date. On its event loop only."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._cards: dict[str, Card] = {}  # by display id, the one shown last at the end
        self._watchers: dict[str, _Watcher] = {}  # by job

    def show(self, card: Card, view: JobView) -> None:
        """Show a card, as of `view` or of what is known by now, and keep it up to date."""
        watcher = self._watchers.get(card.job_id)
        if watcher is not None and watcher.reading.view.version > view.version:
            view = watcher.reading.view  # an older one would overwrite what other cells show of it
        self._cards.pop(card.id, None)
        card.show(view)
        if card.over(view):
            return
        self._cards[card.id] = card
        if watcher is None:
            reading = Reading(self._session, card.job_id)
            # Without the context of this cell, updates belong to the cell that is running when they come: a program
            # that executes notebooks listens to no other.
            task = asyncio.create_task(
                self._watch(reading), context=contextvars.Context(), name=f"jobledger cards of {card.job_id}"
            )
            self._watchers[card.job_id] = _Watcher(reading, task)
        if len(self._cards) > MOST:
            oldest = next(iter(self._cards.values()))
            self._stop(oldest.job_id, f"{MOST} cards that were shown later are", [oldest])

    async def _watch(self, reading: Reading) -> None:
        job_id = reading.job_id
        try:
            with self._session.ends_with(partial(self._stop, job_id, "the client was closed")):
                async with aclosing(following.watch(reading, INTERVAL)) as news:
                    async for _ in news:
                        began = time.monotonic()
                        if not self._redraw(reading):
                            break
                        await asyncio.sleep(max(PAUSE, _REST * (time.monotonic() - began)))
        except asyncio.CancelledError:
            self._stop(job_id, "the program's event loop ended")
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, the card is where it is looked for
            self._stop(job_id, str(error))

    def _redraw(self, reading: Reading) -> bool:
        """Bring the cards of a job up to date. Return whether any of them can still change."""
        view = reading.view
        for card in self._of(reading.job_id):
            if not card.update(view) or card.over(view):
                del self._cards[card.id]
        return not self._leave(reading.job_id)

    def _stop(self, job_id: str, why: str, cards: list[Card] | None = None) -> None:
        """Let cards of a job, or all of them, stay as they are, and say why."""
        watcher = self._watchers.get(job_id)
        for card in self._of(job_id) if cards is None else cards:
            del self._cards[card.id]
            if watcher is not None:
                card.update(watcher.reading.view, f"Not kept up to date any more: {why}")
        self._leave(job_id)

    def _leave(self, job_id: str) -> bool:
        """Stop following a job that no card shows any more. Return whether none does."""
        if self._of(job_id):
            return False
        watcher = self._watchers.pop(job_id, None)
        if watcher is not None and watcher.task is not asyncio.current_task():
            watcher.task.cancel()
        return True

    def _of(self, job_id: str) -> list[Card]:
        return [card for card in self._cards.values() if card.job_id == job_id]
