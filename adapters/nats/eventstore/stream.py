"""One stream, for the synchronous recorders: append to it, read it, look at its ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .appending import Appender, Entry
from .bridge import Bridge
from .heads import Head, Heads
from .messages import Message, record_in
from .reading import PAGE, first_after, last, read_page

_NEAR = 50  #: versions that are as quickly read and thrown away as searched for


class EventStream:
    """A stream that exists, behind the bridge. Methods block, may be called from any thread, and raise persistence
    errors.
    """

    def __init__(self, bridge: Bridge, name: str, *, replicas: int = 1) -> None:
        self.bridge = bridge
        self.name = name
        self._replicas = replicas
        self._heads = Heads()
        self._appender = Appender(bridge.link, name, self._heads)

    def append(self, entries: Sequence[Entry]) -> int:
        """Store all entries or none; return the position of the first."""
        return self.bridge.run(self._appender.append(entries))

    def last(self, subject: str) -> Message | None:
        return self.bridge.run(last(self.bridge.link.js, self.name, subject))

    def end(self) -> int:
        """Return the position of the last message, 0 when there was none."""
        return self.bridge.run(self.bridge.link.js.stream_info(self.name)).state.last_seq

    def subjects(self, filter_: str) -> list[str]:
        """Return the subjects under this filter that hold a message."""
        info = self.bridge.run(self.bridge.link.js.stream_info(self.name, subjects_filter=filter_))
        return list(info.state.subjects or ())

    def read(self, subject: str | None, start: int = 1, limit: int | None = None) -> Iterator[Message]:
        """Yield the messages of this subject (or filter), or all, from position `start` on.

        On a replicated stream the latest may be missing.
        """
        left = limit
        while left is None or left > 0:
            size = PAGE if left is None else min(left, PAGE)
            link = self.bridge.link
            page = self.bridge.run(read_page(link.inbox, self.name, subject, start, size, link.timeout))
            yield from page.messages
            if not page.more:
                return
            start = page.messages[-1].position + 1
            if left is not None:
                left -= len(page.messages)

    def read_to_end(self, subject: str, start: int = 1) -> Iterator[Message]:
        """Yield all messages of this subject from position `start` on, what was just written included."""
        for message in self.read(subject, start):
            start = message.position + 1
            yield message
        while self._replicas > 1:  # the pages came from any replica; what they lack is asked of the leader
            late = self._first_after(subject, start - 1)
            if late is None:
                return
            start = late.position + 1
            yield late

    def start_after_version(self, subject: str, version: int) -> int:
        """Return a position from which on all later versions are found, and few earlier ones before them."""
        head = self._heads.get(subject)
        if head is not None and head.version <= version:
            return head.position + 1
        low, low_version = 1, 0
        high = head.position if head is not None else self.end()
        # versions rise with positions, so a handful of looks spares reading the history up to a snapshot
        while version - low_version > _NEAR and low < high:
            middle = (low + high) // 2
            message = self._first_after(subject, middle - 1)
            found = None if message is None else record_in(self.name, message).version
            if message is None or found is None or found > version:
                high = middle
            else:
                low, low_version = message.position + 1, found
        return low

    def note(self, subject: str, version: int, position: int) -> None:
        """Remember that this version is at this position, to write after it without looking."""
        self._heads.note(subject, Head(version, position))

    def _first_after(self, subject: str, position: int) -> Message | None:
        return self.bridge.run(first_after(self.bridge.link.js, self.name, subject, position))
