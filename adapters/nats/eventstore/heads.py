"""Where the subjects seen lately ended, so that a steady writer reads nothing before it writes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import NamedTuple


class Head(NamedTuple):
    version: int
    position: int


class Heads:
    """The last known version of each subject, of the latest `size` subjects. May be used from any thread.

    What it says was true once and may be outdated: the log only grows. Good enough for a guess that the server checks,
    not for a refusal.
    """

    def __init__(self, size: int = 10_000) -> None:
        self._size = size
        self._heads: OrderedDict[str, Head] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, subject: str) -> Head | None:
        with self._lock:
            head = self._heads.get(subject)
            if head is not None:
                self._heads.move_to_end(subject)
            return head

    def note(self, subject: str, head: Head) -> None:
        with self._lock:
            known = self._heads.get(subject)
            if known is None or known.position < head.position:  # threads may come here in any order
                self._heads[subject] = head
            self._heads.move_to_end(subject)
            if len(self._heads) > self._size:
                self._heads.popitem(last=False)
