"""What a subscription has received and nobody has taken yet: bounded by bytes, as messages are of any size."""

from __future__ import annotations

import threading
from collections import deque

from .messages import Message

#: from so many bytes on no more are asked for; requests under way may still add theirs
_FULL = 16 * 1024 * 1024
_OVERHEAD = 300  # of a message in memory, besides its payload


class Backlog:
    """A queue from the loop's thread to the iterating ones. It ends with an error, or with None if there is none."""

    def __init__(self) -> None:
        self._arrived: deque[Message | BaseException | None] = deque()
        self._bytes = 0
        self._changed = threading.Condition(threading.Lock())
        #: set by who fills the queue, to be told when there is room again
        self.paused = False

    @property
    def is_full(self) -> bool:
        return self._bytes >= _FULL

    @property
    def is_empty(self) -> bool:
        return not self._arrived

    def put(self, messages: list[Message]) -> None:
        size = sum([len(message.payload) for message in messages]) + len(messages) * _OVERHEAD
        with self._changed:
            self._bytes += size
            self._arrived += messages
            self._changed.notify(len(messages))

    def end(self, error: BaseException | None) -> None:
        with self._changed:
            self._arrived.append(error)
            self._changed.notify()

    def get(self) -> Message | BaseException | None:
        """Return what arrived next; wait for it."""
        with self._changed:
            while not self._arrived:
                self._changed.wait()
            arrived = self._arrived.popleft()
            if isinstance(arrived, Message):
                self._bytes -= len(arrived.payload) + _OVERHEAD
            return arrived
