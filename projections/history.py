"""What happened to a job, in order: one entry per event, each with a line to read."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, overload

from jobledger.core import events as e
from jobledger.core.codec import Commit

from .sealed import NOTHING_SEALED, Opener
from .sentences import sentence
from .utc import stamp, utc

_SHOWN = 500  # entries at either end of a timeline that `str` shows


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One event and where it stands. `str(entry)` is its line in a timeline.

    >>> entry = InlineClient().run(Greet("world")).history[0]
    >>> print(entry)
    2026-01-01 00:00:00.000Z  1.0  job 'test' submitted by ... with 1 root task
    >>> entry
    HistoryEntry(position=1, version=1, index=0, at=datetime.datetime(2026, 1, 1, 0, 0, ...), event=JobSubmitted(...))
    """

    position: int  #: of its commit in the log
    version: int  #: of the job: number of its commit within the job, from 1
    index: int  #: of the event within its commit, from 0
    at: datetime  #: when it was decided, by the engine's clock (aware UTC)
    event: e.Event | e.UnknownEvent
    _name_of: Callable[[int], str] = field(repr=False, compare=False)

    @property
    def text(self) -> str:
        """What happened, in words.

        >>> job.history[-1].text
        'job completed'
        """
        return sentence(self.event, self._name_of)

    def __str__(self) -> str:
        return f"{stamp(self.at)}  {self.position}.{self.index}  {self.text}"


class Placed(Protocol):
    """A commit and where it stands, as `adapters.nats.log.StoredCommit` is one."""

    @property
    def position(self) -> int: ...
    @property
    def version(self) -> int: ...
    @property
    def commit(self) -> Commit: ...


class History(Sequence[HistoryEntry]):
    """The events of a job, oldest first. Entries are made when asked for; `str(history)` is the timeline.

    Shape:  `commits` in order; `name_of` gives the name of a task by its number, "" where it is not known. Of a sealed
            job, `opener` makes texts readable; inputs and results are as the log has them.

    >>> history = job.history
    >>> len(history), [entry.text for entry in history[-1:]]
    (4, ['job completed'])
    >>> print(history)
    2...Z  ...  job 'greetings' submitted by ... with 1 root task
    2...Z  ...  task 0 (Greet) claimed by runner ..., attempt 1
    2...Z  ...  task 0 (Greet) computed by attempt 1 in ...
    2...Z  ...  job completed
    """

    def __init__(
        self, commits: Sequence[Placed], name_of: Callable[[int], str], opener: Opener = NOTHING_SEALED
    ) -> None:
        self._commits = commits
        self._opener = opener
        self._name_of = name_of
        self._starts = []  # of each commit, how many events are before it
        self._length = 0
        for stored in commits:
            self._starts.append(self._length)
            self._length += len(stored.commit.events)

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> HistoryEntry: ...
    @overload
    def __getitem__(self, index: slice) -> list[HistoryEntry]: ...
    def __getitem__(self, index: int | slice) -> HistoryEntry | list[HistoryEntry]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(self._length))]
        place = index + self._length if index < 0 else index
        if not 0 <= place < self._length:
            raise IndexError(f"there is no entry {index} among {self._length}")
        number = bisect_right(self._starts, place) - 1
        return self._entry(self._commits[number], place - self._starts[number])

    def __iter__(self) -> Iterator[HistoryEntry]:
        for stored in self._commits:
            for index in range(len(stored.commit.events)):
                yield self._entry(stored, index)

    def _entry(self, stored: Placed, index: int) -> HistoryEntry:
        commit = stored.commit
        event = self._opener.texts(commit.events[index])
        return HistoryEntry(stored.position, stored.version, index, utc(commit.at), event, self._name_of)

    def __repr__(self) -> str:
        return f"<History: {self._length} events in {len(self._commits)} commits>"

    def __str__(self) -> str:
        if self._length <= 2 * _SHOWN:
            return "\n".join(map(str, self))
        left_out = f"… {self._length - 2 * _SHOWN:,} more events: iterate over the history to see them …"
        return "\n".join(map(str, [*self[:_SHOWN], left_out, *self[-_SHOWN:]]))
