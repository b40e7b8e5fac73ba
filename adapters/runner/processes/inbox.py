"""What a worker process is told while it runs a task, and tells of it: each on a thread of its own."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable

from ..assignment import Assignment, Assignments, Cause, Notice
from ..attempt.user_code import UserCode
from ..exchange.news import PERIOD
from .messages import Answer, Frames, News, Told, Work, decode_to_process
from .outgoing import Outgoing
from .remote import Calls

#: seconds for which lines that a running task logged may wait to be sent
_TICK = 0.2
#: seconds for which something that is being sent may keep a task from being stopped; after that the runner kills it
_SENDING = 0.5
#: what interrupts a system call that the main thread waits in
NUDGE = signal.SIGTERM


class Inbox:
    """Takes work in, has the running task stop, and tells what it has counted.

    The thread that hears the runner never sends, and waits for nobody who does: the runner may be sending, too, and hear
    nothing before that is taken.
    """

    def __init__(
        self,
        connection: socket.socket,
        outgoing: Outgoing,
        calls: Calls,
        user_code: UserCode,
        register: Callable[[list[str]], None],
    ) -> None:
        """`register` takes the names of classes that came later."""
        self._connection = connection
        self._outgoing = outgoing
        self._calls = calls
        self._user_code = user_code
        self._register = register
        self._frames = Frames()
        self._work: deque[tuple[int, Assignment]] = deque()  #: in the order of their numbers
        self._failures = 0  #: of which the runner has heard
        self._changed = threading.Condition()
        self._running: tuple[int, Assignment] | None = None
        self._main_thread = threading.get_ident()
        self._news = News(0, None, None)
        self._news_at = 0.0

    def start(self) -> None:
        threading.Thread(target=self._listen, name="jobledger-inbox", daemon=True).start()
        threading.Thread(target=self._watch, name="jobledger-news", daemon=True).start()

    # -- for the thread that runs tasks -------------------------------------------------------------------------------

    def begin(self, number: int) -> Assignment:
        """Return the attempt whose ticket was taken; its runner sent it before."""
        with self._changed:
            while True:
                while not self._work:
                    self._changed.wait()
                found, assignment = self._work.popleft()
                if found == number:  # the runner took the tickets of those before
                    self._running = (number, assignment)
                    self._changed.notify_all()
                    return assignment

    def ended(self) -> None:
        """The attempt that was begun is over."""
        with self._changed:
            self._running = None

    def heard_of(self, failures: int) -> None:
        """Wait until the runner has heard of so many failures, and has taken back what is not to begin after them."""
        with self._changed:
            while self._failures < failures:
                self._changed.wait()

    # -- its own ------------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        while True:
            try:
                data = self._connection.recv(256 * 1024)
            except OSError:
                data = b""
            if not data:
                os._exit(0)  # the runner is gone, and with it the lease of what runs here
            for message in self._frames.split(data):
                self._take(message)

    def _take(self, data: bytes) -> None:
        match decode_to_process(data):
            case Work() as work:
                if work.tasks:
                    self._register(work.tasks)
                with self._changed:
                    assignments = Assignments().admit(work.jobs)
                    self._work.extend(enumerate(assignments, work.first))
                    self._failures = work.failures
                    self._changed.notify_all()
            case Told() as told:
                self._stop(told)
            case Answer() as answer:
                self._calls.answered(answer)

    def _stop(self, told: Told) -> None:
        with self._changed:
            here = [*self._work] if self._running is None else [self._running, *self._work]
            assignment = dict(here).get(told.number)
            if assignment is None:
                return
            assignment.notify(Notice(Cause[told.cause], told.reason))
        if told.force:
            self._end(assignment)

    def _end(self, assignment: Assignment) -> None:
        if not self._outgoing.sending.acquire(timeout=_SENDING):
            return
        try:
            if self._user_code.stop(assignment):
                # It is raised when Python code goes on: a handler is Python code, and ends what it waits for.
                signal.pthread_kill(self._main_thread, NUDGE)
        finally:
            self._outgoing.sending.release()

    def _watch(self) -> None:
        while True:
            with self._changed:
                while self._running is None:
                    self._changed.wait()
            time.sleep(_TICK)
            self._tell()

    def _tell(self) -> None:
        """Send what the running task has logged, and what it has counted."""
        self._outgoing.flush()
        running = self._running
        if running is None or running[1].context is None or time.monotonic() < self._news_at:
            return
        number, context = running[0], running[1].context
        news = News(number, context.counted, context.display)
        if news != self._news and (news.counted or news.display is not None):
            self._news, self._news_at = news, time.monotonic() + PERIOD / 2
            self._outgoing.send(news)
