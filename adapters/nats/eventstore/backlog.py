"""What a subscription has received and nobody has taken yet: bounded by bytes, as messages are of any size."""

from __future__ import annotations

import threading
from queue import SimpleQueue

from .messages import Message

#: from so many bytes on no more are asked for; requests under way may still add theirs
_FULL = 16 * 1024 * 1024
_OVERHEAD = 300  # of a message in memory, besides its payload


class Backlog:
    """A queue from the loop's thread to the iterating ones. It ends with an error, or with None if there is none."""

    def __init__(self) -> None:
        self._arrived: SimpleQueue[Message | BaseException | None] = SimpleQueue()
        self._bytes = 0
        self._lock = threading.Lock()
        #: set by who fills the queue, to be told when there is room again
        self.paused = False

    @property
    def is_full(self) -> bool:
        return self._bytes >= _FULL

    @property
    def is_empty(self) -> bool:
        return self._arrived.empty()

    def put(self, message: Message) -> None:
        with self._lock:
            self._bytes += len(message.payload) + _OVERHEAD
        self._arrived.put(message)

    def end(self, error: BaseException | None) -> None:
        self._arrived.put(error)

    def get(self) -> Message | BaseException | None:
        """Return what arrived next; wait for it."""
        arrived = self._arrived.get()
        if isinstance(arrived, Message):
            with self._lock:
                self._bytes -= len(arrived.payload) + _OVERHEAD
        return arrived
