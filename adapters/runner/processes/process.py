"""One worker process as its runner has it: a fresh interpreter, and what leads to it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading

from ..assignment import Assignment, Notice
from .child import DUMP
from .death import written_down
from .messages import Answer, Frames, FromProcess, SetUp, Told, Work, decode_from_process, framed
from .page import Page, Running, memory_file
from .tickets import Tickets, issue
from .travel import claimed

#: seconds a process has to end by itself once there is no more work
_END = 2.0
#: seconds a process that hangs has to write down where
_DUMP = 0.1


class WorkerProcess:
    """Runs what it is given. `give` and `messages` are for one thread; the rest may be used by any.

    Errors: OSError where no process can be started.
    """

    def __init__(self, set_up: SetUp) -> None:
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            self._connection, connection = socket.socketpair()
            ours.callback(self._connection.close)
            theirs.callback(connection.close)
            tickets, self._issuing = os.pipe()
            ours.callback(os.close, tickets)
            end = ours.enter_context(contextlib.ExitStack())
            end.callback(os.close, self._issuing)
            lifeline, held = os.pipe()
            theirs.callback(os.close, lifeline)
            ours.callback(os.close, held)
            page = memory_file(Page.SIZE)
            theirs.callback(os.close, page)
            self._page = Page(page)
            ours.callback(self._page.close)
            self._dump = memory_file()
            ours.callback(os.close, self._dump)
            passed = (connection.fileno(), tickets, page, lifeline, self._dump)
            self._process = subprocess.Popen(
                _command(passed),
                stdin=subprocess.DEVNULL,
                pass_fds=passed,
                start_new_session=True,  # Ctrl-C is for the runner, and what a task starts is killed with it
            )
            self._tickets = Tickets(tickets)
            self._no_more, self._ours = end, ours.pop_all()
        self._sending = threading.Lock()
        self._poll = select.poll()
        self._poll.register(self._connection, select.POLLIN)
        self._frames = Frames()
        self._received = 0
        self._next = 1
        self._closing = threading.Lock()
        self._closed = False
        self.pid = self._process.pid
        self._send(set_up)

    # -- for the thread that looks after it -----------------------------------------------------------------------

    def give(self, assignments: list[Assignment], failures: int, tasks: list[str]) -> range:
        """Have these run in this order, at most `MOST` at a time. Return the numbers they have from now on.

        They may not begin before `issue`.
        """
        first = self._next
        self._next += len(assignments)
        self._send(Work(first, claimed(assignments), failures, tasks))
        return range(first, self._next)

    def issue(self, numbers: range) -> None:
        """Let these begin."""
        with contextlib.suppress(BrokenPipeError):  # it is dead, and `messages` will say so
            issue(self._issuing, numbers.start, len(numbers))

    def messages(self, timeout: float | None = None) -> list[FromProcess] | None:
        """Wait for what the process has to say, for `timeout` seconds; None once it can say nothing more."""
        if not self._poll.poll(None if timeout is None else timeout * 1000):
            return []
        try:
            data = self._connection.recv(256 * 1024)
        except OSError:
            data = b""
        if not data:
            return None
        return self._decoded(data)

    def last_words(self) -> list[FromProcess]:
        """Return what a dead process had to say, and could not send any more."""
        skip = self._received - self._page.frames_sent
        self._frames = Frames()  # half a message at most: all of it is here
        return [decode_from_process(data) for data in self._frames.split(self._page.waiting)[skip:]]

    def wait(self) -> int:
        """Wait for its end, and return its exit code. It is killed if it cannot be heard, and goes on regardless."""
        try:
            return self._process.wait(_END)
        except subprocess.TimeoutExpired:
            self.kill_at_once()
            return self._process.wait()

    def answer(self, answer: Answer) -> None:
        self._send(answer)

    def stack(self) -> str:
        """Return the Python code that a process which died, or was killed by `kill`, was in; empty if that is not known."""
        return written_down(self._dump)

    # -- for any thread ---------------------------------------------------------------------------------------------

    @property
    def running(self) -> Running:
        with self._closing:
            return self._page.running if not self._closed else Running(0, 0.0, 0)

    def lease(self, until: float) -> None:
        """Let attempts begin until then, by the clock of leases."""
        with self._closing:
            if not self._closed:
                self._page.lease = until

    def recall(self) -> list[int]:
        """Take back what has not begun, and return the numbers."""
        with self._closing:
            return [] if self._closed else self._tickets.take_all()

    def tell(self, number: int, notice: Notice, *, force: bool) -> None:
        """Have the attempt of this number stop, if it runs. Returns at once: a process need not be able to listen."""
        told = Told(number, notice.cause.name, notice.reason, force)
        threading.Thread(target=self._send, args=(told,), name="jobledger-telling", daemon=True).start()

    def kill(self) -> None:
        """End the process, and what its tasks have started. Returns at once: it is given time to write down where it is."""
        threading.Thread(target=self._kill_with_dump, name="jobledger-killing", daemon=True).start()

    def _kill_with_dump(self) -> None:
        self._process.send_signal(DUMP)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_DUMP)
        self.kill_at_once()

    def kill_at_once(self) -> None:
        """End the process, and what its tasks have started."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> int:
        """Have it end by itself once it has nothing more to run, and return its exit code. One that goes on is killed."""
        with self._closing:
            if self._closed:
                return self._process.returncode or 0
            self._closed = True
            self._no_more.close()
        code = self.wait()
        self._ours.close()
        return code

    # -----------------------------------------------------------------------------------------------------------------

    def _decoded(self, data: bytes) -> list[FromProcess]:
        messages = [decode_from_process(one) for one in self._frames.split(data)]
        self._received += len(messages)
        return messages

    def _send(self, message: SetUp | Work | Told | Answer) -> None:
        with self._sending, contextlib.suppress(OSError):  # it is dead, and `messages` will say so
            self._connection.sendall(framed(message))


def _command(descriptors: tuple[int, ...]) -> list[str]:
    # The search path first: what the script added to it may be where this package is.
    program = (
        f"import sys; sys.path[:] = {sys.path!r}; from {__package__}.child import main; main{descriptors!r}"
    )
    return [sys.executable, *subprocess._args_from_interpreter_flags(), "-P", "-c", program]  # type: ignore[attr-defined]
