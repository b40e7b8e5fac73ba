"""A worker process: runs the attempts that it has a ticket for, on its main thread, until there are no more tickets."""

from __future__ import annotations

import faulthandler
import fcntl
import os
import signal
import socket
import sys
import time
from functools import partial
from types import FrameType

from ...clocks import clock
from ...telemetry.exports import configured
from ..attempt.context import Equipment
from ..attempt.execution import execute_as_span
from ..attempt.user_code import UserCode
from ..failure import describe
from ..registry import TaskRegistry
from . import importing
from .inbox import NUDGE, Inbox
from .messages import Ended, Frames, Ready, SetUp, Unusable, decode_to_process
from .outgoing import Outgoing
from .page import Page
from .remote import Calls, RemoteCache, RemoteSeals, RemoteTelemetry, RemoteValues, check_cluster
from .tickets import Tickets

#: seconds for which ended attempts may wait for company before they are reported
GATHER = 0.01
#: seconds between two looks for a lease that is over
_LOOK = 0.02
#: has the stack of a process that is about to be killed written down; without it, only that is missing
DUMP = signal.SIGUSR2


class Child:
    """What the main thread does."""

    def __init__(self, connection: socket.socket, tickets: Tickets, page: Page) -> None:
        self._tickets = tickets
        self._page = page
        self._outgoing = Outgoing(connection, page)
        self._calls = Calls(self._outgoing)
        self._user_code = UserCode()
        self._tasks = TaskRegistry()
        self._inbox = Inbox(connection, self._outgoing, self._calls, self._user_code, self._register)
        self._failures = 0
        self._due = 0.0  #: when to report what has ended, by time.monotonic

    def run(self, set_up: SetUp) -> None:
        """Load the classes, and run what comes."""
        try:
            self._load(set_up)
        except BaseException as error:  # noqa: BLE001  of the user's modules, which may do anything
            self._outgoing.send(Unusable(_why(error)))
            return
        self._inbox.start()
        self._outgoing.send(Ready())
        try:
            while True:
                self._run_one(self._next())
        except EOFError:
            self._outgoing.flush()
        finally:
            self._user_code.close()

    def _load(self, set_up: SetUp) -> None:
        sys.argv[:] = set_up.argv
        if set_up.main is not None:
            importing.load_main(set_up.main)
        self._register(set_up.tasks)
        context = importing.found(set_up.context)() if set_up.context else None
        exports = configured()  # last: the user's code may set OpenTelemetry up
        self._seals = RemoteSeals(self._calls)
        self._equipment = Equipment(
            self._tasks,
            RemoteCache(self._calls),
            set_up.cluster,
            context,
            set_up.log_level,
            set_up.max_report,
            RemoteTelemetry(self._outgoing, exports, set_up.runner),
            RemoteValues(self._calls, set_up.max_report),
            partial(check_cluster, self._calls),
            seal=self._seals.seal,
        )

    def _register(self, names: list[str]) -> None:
        for name in names:
            self._tasks.register(importing.found(name))

    def _next(self) -> int:
        """Wait for a ticket, and return its number. Errors: EOFError when there will be none any more."""
        while True:
            if clock() > self._page.lease:  # others may have been handed out what is here
                self._outgoing.flush()
                time.sleep(_LOOK)
            elif (number := self._tickets.take()) is not None:
                return number
            else:
                self._outgoing.flush()
                self._seals.forget()
                self._tickets.wait()

    def _run_one(self, number: int) -> None:
        assignment = self._inbox.begin(number)
        self._page.begin(number, time.monotonic(), time.time_ns() // 1000)
        execute_as_span(assignment, self._user_code, self._equipment)
        a = assignment
        self._outgoing.add(Ended(number, a.started, a.stopped, list(a.reports), a.submits, a.failed))
        self._page.end()  # after it is told: one that kills this process is never both
        self._inbox.ended()
        now = time.monotonic()
        if a.failed:
            self._failures += 1
            self._outgoing.flush()
            self._inbox.heard_of(self._failures)
        elif now >= self._due:
            self._outgoing.flush()
            self._due = now + GATHER


def _why(error: BaseException) -> str:
    told = describe(error)
    return f"{told.reason}: {told.message}\n{told.traceback}".rstrip()


def main(connection: int, tickets: int, page: int, lifeline: int, dump: int) -> None:
    """Be a worker process, with these descriptors of what its runner opened."""
    descriptors = (connection, tickets, page, lifeline, dump)
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    # What a task forks is no worker process, and must not keep one alive that has died.
    os.register_at_fork(after_in_child=lambda: _close(descriptors))
    _end_with(lifeline)
    for number in (
        NUDGE,
        signal.SIGINT,
    ):  # signals to a whole group of processes are for the runner, which drains
        signal.signal(number, _nudged)
    faulthandler.enable(dump)
    faulthandler.register(DUMP, dump)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # what is printed is not lost with a process
    talk = socket.socket(fileno=connection)
    set_up = _first(talk)
    if set_up is not None:
        Child(talk, Tickets(tickets), Page(page)).run(set_up)


def _first(connection: socket.socket) -> SetUp | None:
    """Return the first message; None if the runner is gone before."""
    frames = Frames()
    while data := connection.recv(64 * 1024):
        for message in frames.split(data):
            set_up = decode_to_process(message)
            assert isinstance(set_up, SetUp)
            return set_up
    return None


def _end_with(lifeline: int) -> None:
    """Have the kernel end this process when the other end of a pipe is closed, which nothing is ever written to.

    Also in the middle of native code: no Python code of this process has to run for it.
    """
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


def _nudged(number: int, frame: FrameType | None) -> None:
    """Do nothing: that it is called makes the main thread run Python code."""


def _close(descriptors: tuple[int, ...]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
