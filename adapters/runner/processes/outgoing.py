"""What a process has to say, gathered: a message of its own for every attempt would cost more than a short one takes."""

from __future__ import annotations

import socket
import threading

from .messages import FromProcess, framed
from .page import Page


class Outgoing:
    """Sends messages in order, those together that come shortly after one another. Used by any thread."""

    def __init__(self, connection: socket.socket, page: Page) -> None:
        self._connection = connection
        self._page = page
        self._frames = 0  #: sent so far
        self._waiting = 0
        #: held while something is sent: nothing may be raised there from outside, half a message would be the end
        self.sending = threading.Lock()

    def add(self, message: FromProcess) -> None:
        """Send this with what comes next, or at the next `flush`."""
        frame = framed(message)
        with self.sending:
            if not self._page.put(frame):
                self._flush()
                if not self._page.put(frame):  # it is larger than the page
                    self._connection.sendall(frame)
                    self._frames += 1
                    self._page.sent(self._frames)
                    return
            self._waiting += 1

    def send(self, message: FromProcess) -> None:
        """Send this now."""
        self.add(message)
        self.flush()

    def flush(self) -> None:
        """Send what waits."""
        if self._waiting:
            with self.sending:
                self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._connection.sendall(self._page.waiting)
            self._frames += self._waiting
            self._waiting = 0
            self._page.sent(self._frames)
