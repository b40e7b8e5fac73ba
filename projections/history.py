"""What happened to a job, in order: one entry per event, each with a line to read."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, overload

from jobledger.core import events as e
from jobledger.core import ranges
from jobledger.core.codec import Commit

from .utc import stamp, utc

_LINE = 200  # characters of an error or a reason that a line shows

_SHOWN = 500  # entries at either end of a timeline that `str` shows


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One event and where it stands. `str(entry)` is its line in a timeline."""

    position: int  #: of its commit in the log
    version: int  #: of the job: number of its commit within the job, from 1
    index: int  #: of the event within its commit, from 0
    at: datetime  #: when it was decided, by the engine's clock (aware UTC)
    event: e.Event | e.UnknownEvent
    _name_of: Callable[[int], str] = field(repr=False, compare=False)

    @property
    def text(self) -> str:
        """What happened, in words."""
        describe = _WORDS.get(self.event.__class__)
        if describe is None:
            tag = getattr(self.event, "tag", "")
            return f"event {tag!r}, which a later version of jobledger wrote"
        return describe(self.event, self._name_of)

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

    Shape:  `commits` in order; `name_of` gives the name of a task by its number, "" where it is not known.
    """

    def __init__(self, commits: Sequence[Placed], name_of: Callable[[int], str]) -> None:
        self._commits = commits
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
        event = commit.events[index]
        return HistoryEntry(stored.position, stored.version, index, utc(commit.at), event, self._name_of)

    def __repr__(self) -> str:
        return f"<History: {self._length} events in {len(self._commits)} commits>"

    def __str__(self) -> str:
        if self._length <= 2 * _SHOWN:
            return "\n".join(map(str, self))
        left_out = f"… {self._length - 2 * _SHOWN:,} more events: iterate over the history to see them …"
        return "\n".join(map(str, [*self[:_SHOWN], left_out, *self[-_SHOWN:]]))


# -- one event in words -----------------------------------------------------------------------------------------

_Names = Callable[[int], str]


def _task(event: Any, name_of: _Names) -> str:
    return _named(event.task, name_of)


def _named(number: int, name_of: _Names) -> str:
    name = name_of(number)
    return f"task {number} ({name})" if name else f"task {number}"


def _several(packed: Sequence[int], name_of: _Names) -> str:
    size = ranges.count(packed)
    if size == 1:
        return _named(packed[0], name_of)
    shown = [str(a) if b == a + 1 else f"{a}-{b - 1}" for a, b in ranges.pairs(packed[:8])]
    return f"{size} tasks ({', '.join(shown)}{', …' if len(packed) > 8 else ''})"


def _by(who: str) -> str:
    return f" by {_line(who)}" if who else ""


def _because(reason: str) -> str:
    return f": {_line(reason)}" if reason else ""


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LINE else line[: _LINE - 1] + "…"


def _said(error: e.Error) -> str:
    return _line(f"{error.reason}: {error.message}" if error.message else error.reason)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _submitted(event: e.JobSubmitted, names: _Names) -> str:
    return f"job {_line(event.name)!r} submitted{_by(event.by)} with {_count(len(event.tasks), 'root task')}"


def _staged(event: e.SubtasksStaged, names: _Names) -> str:
    first = event.tasks.start
    size = _count(len(event.tasks), "subtask")
    return f"{_task(event, names)} attempt {event.attempt} announced {size}, from its number {first} on"


def _claimed(event: e.TasksClaimed, names: _Names) -> str:
    return f"{_several(event.tasks, names)} claimed by runner {event.runner}, attempt {event.attempt}"


def _computed(event: e.TaskComputed, names: _Names) -> str:
    took = f"in {_duration(event.stopped - event.started)}"
    more = f", submitting {_count(len(event.subtasks), 'subtask')}" if event.subtasks is not None else ""
    if event.subtasks is not None and event.subtasks.start:
        more += f" after the {event.subtasks.start} announced"
    return f"{_task(event, names)} computed by attempt {event.attempt} {took}{more}"


def _attempt_failed(event: e.AttemptFailed, names: _Names) -> str:
    return f"{_task(event, names)} attempt {event.attempt} failed, to be retried: {_said(event.error)}"


def _failed(event: e.TaskFailed, names: _Names) -> str:
    return f"{_task(event, names)} failed for good at attempt {event.attempt}: {_said(event.error)}"


def _optional_failed(event: e.OptionalTaskFailed, names: _Names) -> str:
    what = f"{_task(event, names)} failed at attempt {event.attempt}; it is optional, the job goes on"
    return f"{what}: {_said(event.error)}"


def _skipped(event: e.TasksSkipped, names: _Names) -> str:
    return f"{_several(event.tasks, names)} skipped, because {_named(event.cause, names)} failed"


def _released(event: e.TaskReleased, names: _Names) -> str:
    return f"{_task(event, names)} attempt {event.attempt} given back by its runner{_because(event.reason)}"


def _expired(event: e.LeaseExpired, names: _Names) -> str:
    return f"{_task(event, names)} attempt {event.attempt} lost: no sign of life from runner {event.runner}"


def _job_completed(event: e.JobCompleted, names: _Names) -> str:
    return "job completed"


def _job_failed(event: e.JobFailed, names: _Names) -> str:
    return f"job failed of {_task(event, names)}; what is queued is halted"


def _job_canceled(event: e.JobCanceled, names: _Names) -> str:
    return f"job canceled{_by(event.by)}{_because(event.reason)}"


def _job_retried(event: e.JobRetried, names: _Names) -> str:
    failed = f", {_several(event.tasks, names)} after failing" if event.tasks else ""
    return f"job retried{_by(event.by)}: {_count(event.rescheduled, 'task')} may run again{failed}"


def _duration(microseconds: int) -> str:
    if microseconds < 1000:
        return f"{max(0, microseconds)} µs"  # a clock that was set back makes no time negative
    if microseconds < 1_000_000:
        return f"{microseconds / 1e3:.1f} ms"
    return f"{microseconds / 1e6:.{3 if microseconds < 60_000_000 else 0}f} s"


_WORDS: dict[type, Callable[[Any, _Names], str]] = {
    e.JobSubmitted: _submitted,
    e.SubtasksStaged: _staged,
    e.TasksClaimed: _claimed,
    e.TaskComputed: _computed,
    e.AttemptFailed: _attempt_failed,
    e.TaskFailed: _failed,
    e.OptionalTaskFailed: _optional_failed,
    e.TasksSkipped: _skipped,
    e.TaskReleased: _released,
    e.LeaseExpired: _expired,
    e.JobCompleted: _job_completed,
    e.JobFailed: _job_failed,
    e.JobCanceled: _job_canceled,
    e.JobRetried: _job_retried,
}
