"""One commit of a job, as a step of its replay: who wrote it, what happened, and which states it changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobledger.core import events as e
from jobledger.core import ranges
from jobledger.core.lifecycle import JobState, TaskState

from .history import History
from .sentences import several
from .utc import stamp

_BLOCK = 1024  # states that are compared at a time
_FEW = 12  # events of a commit that are all told
_EXAMPLES = 2  # of each kind, where there are more


@dataclass(frozen=True, slots=True)
class StateChange:
    """Tasks that one commit took from one state to another. `str(change)` names them.

    >>> change = job.replay().seek(version=2).changes[0]
    >>> print(change)
    task 0 (Greet): QUEUED → RUNNING
    >>> change.old.name, change.new.name, change.count, list(change.tasks)
    ('QUEUED', 'RUNNING', 1, [0])
    >>> change.ranges
    [0, 1]
    """

    old: TaskState | None  #: None: they came into being
    new: TaskState
    ranges: list[int]  #: their numbers as half-open ranges: [0, 3, 7, 8] is tasks 0, 1, 2 and 7
    _name_of: Callable[[int], str] = field(repr=False, compare=False)

    @property
    def count(self) -> int:
        """How many tasks they are.

        >>> job.replay().seek(version=1).changes[0].count
        1
        """
        return ranges.count(self.ranges)

    @property
    def tasks(self) -> Iterator[int]:
        """Their numbers, ascending.

        >>> list(job.replay().seek(version=1).changes[0].tasks)
        [0]
        """
        return ranges.numbers(self.ranges)

    def __contains__(self, task: object) -> bool:
        return isinstance(task, int) and _in(task, self.ranges)

    def __str__(self) -> str:
        old = self.old.name if self.old else "new"
        return f"{several(self.ranges, self._name_of)}: {old} → {self.new.name}"


@dataclass(frozen=True, slots=True)
class ReplayStep:
    """One commit of a job: all of it happened at once. `str(step)` tells it in lines, thousands of events by count.

    >>> step = job.replay().seek(version=1)
    >>> step.version, step.position < job.replay().seek(version=2).position, step.at == job.submitted_at
    (1, True, True)
    >>> step.old, step.new.name, [str(change) for change in step.changes]
    (None, 'SUBMITTED', ['task 0 (Greet): new → QUEUED'])
    >>> print(step)
    2...Z  position ..., version 1, written by ..., asked for by ...
      job 'greetings' submitted by ... with 1 root task
      job: new → SUBMITTED
      task 0 (Greet): new → QUEUED
    >>> step
    ReplayStep(version=1, position=..., at=datetime.datetime(...), writer='...', users=['...'], runners=[], old=None,
    new=<JobState.SUBMITTED: 1>, changes=[...], events=...)
    """

    version: int  #: number of the commit within its job, from 1
    position: int  #: of the commit in the log
    at: datetime  #: when it was decided, by the engine's clock (aware UTC)
    writer: str  #: the engine that wrote it
    users: list[str]  #: who asked for what is in it, as user@host
    runners: list[str]  #: who was given something, or reported it
    old: JobState | None  #: of the job before it; None before it was submitted
    new: JobState | None  #: of the job after it
    changes: list[StateChange]  #: of its tasks
    events: History = field(compare=False)  #: what happened, in order

    @property
    def lines(self) -> list[str]:
        """What happened, in words: of a commit with many events some of each kind, and how many more there are.

        >>> job.replay().seek(version=3).lines
        ['task 0 (Greet) computed by attempt 1 in ...', 'job completed']
        """
        return list(_told(self.events))

    def touches(self, task: int) -> bool:
        """Whether the task of this number is mentioned in it, or changes its state.

        >>> [step.touches(0) for step in job.replay()], job.replay().seek(version=1).touches(1)
        ([True, True, True], False)
        """
        return any(task in change for change in self.changes) or any(
            _mentions(entry.event, task) for entry in self.events
        )

    def reaches(self, state: TaskState | JobState) -> bool:
        """Whether the job, or a task of it, comes to this state by it.

        >>> [step.reaches(JobState.COMPLETED) for step in job.replay()]
        [False, False, True]
        """
        return (self.new is state and self.old is not state) or any(
            change.new is state for change in self.changes
        )

    def __str__(self) -> str:
        doers = [f"asked for by {', '.join(self.users)}"] if self.users else []
        doers += [f"runner {', '.join(self.runners)}"] if self.runners else []
        head = [f"{stamp(self.at)}  position {self.position}", f"version {self.version}"]
        head += [f"written by {self.writer}", *doers]
        lines = [", ".join(head), *self.lines, *self.state_lines]
        return "\n  ".join(lines)

    @property
    def state_lines(self) -> list[str]:
        """The states that it changed, of the job and of its tasks, in words; [] if none.

        >>> job.replay().seek(version=3).state_lines
        ['job: RUNNING → COMPLETED', 'task 0 (Greet): RUNNING → COMPUTED']
        """
        lines = list(map(str, self.changes))
        if self.new is not None and self.new is not self.old:
            lines.insert(0, f"job: {self.old.name if self.old else 'new'} → {self.new.name}")
        return lines


def _told(events: History) -> Iterator[str]:
    if len(events) <= _FEW:
        yield from (entry.text for entry in events)
        return
    kinds: dict[type, int] = {}
    for entry in events:
        kind = type(entry.event)
        kinds[kind] = kinds.get(kind, 0) + 1
    seen = dict.fromkeys(kinds, 0)
    for entry in events:
        kind = type(entry.event)
        seen[kind] += 1
        if seen[kind] <= _EXAMPLES:
            yield entry.text
        elif seen[kind] == kinds[kind]:
            yield f"… and {kinds[kind] - _EXAMPLES:,} more {kind.__name__}"


def _mentions(event: Any, task: int) -> bool:
    if isinstance(event, e.TasksTakenOver):
        return any(one.task == task for one in event.tasks)
    if getattr(event, "task", None) == task:
        return True
    for name in ("tasks", "running"):
        packed = getattr(event, name, None)
        if isinstance(packed, list) and _in(task, packed):
            return True
    return False


def _in(task: int, packed: Sequence[int]) -> bool:
    return any(start <= task < stop for start, stop in ranges.pairs(packed))


def changes_between(old: bytes, new: bytearray, name_of: Callable[[int], str]) -> list[StateChange]:
    """Return how these states of tasks differ. Those of `old` are the first of `new`; what is beyond is new.

    >>> for change in changes_between(bytes([1, 1, 2]), bytearray([1, 2, 3, 1]), lambda number: ""):
    ...     print(change)
    task 3: new → QUEUED
    task 1: QUEUED → RUNNING
    task 2: RUNNING → COMPUTED
    """
    found: dict[tuple[int, int], list[int]] = {}
    for start in range(0, len(old), _BLOCK):
        block = old[start : start + _BLOCK]
        if block != new[start : start + len(block)]:
            now = new[start : start + len(block)]
            for number, (before, after) in enumerate(zip(block, now, strict=True), start):
                if before != after:
                    _note(found, (before, after), number)
    for number in range(len(old), len(new)):
        _note(found, (0, new[number]), number)
    return [
        StateChange(TaskState(before) if before else None, TaskState(after), numbers, name_of)
        for (before, after), numbers in sorted(found.items())
    ]


def _note(found: dict[tuple[int, int], list[int]], change: tuple[int, int], number: int) -> None:
    """Add a number, larger than those before, to the ranges of a change."""
    packed = found.setdefault(change, [])
    if packed and packed[-1] == number:
        packed[-1] = number + 1
    else:
        packed += (number, number + 1)


def doers(events: Iterable[Any], runner_before: Callable[[int], str]) -> tuple[list[str], list[str]]:
    """Return who asked for what these events of one commit tell of, and the runners they speak of.

    A report names an attempt, not its runner: that is whoever claimed the task last, in this commit or before it.
    Shape:  `runner_before` gives that of a task before the commit, "" where there was none.
    """
    users: dict[str, None] = {}
    runners: dict[str, None] = {}
    claims: list[tuple[Sequence[int], str]] = []
    for event in events:
        by = getattr(event, "by", "")
        if by:
            users[by] = None
        if isinstance(event, e.TasksClaimed):
            claims.append((event.tasks, event.runner))
            runners[event.runner] = None
        elif isinstance(event, e.LeaseExpired):
            runners[event.runner] = None
        elif hasattr(event, "attempt"):
            runner = _claimant(claims, event.task) or runner_before(event.task)
            if runner:
                runners[runner] = None
    return list(users), list(runners)


def _claimant(claims: list[tuple[Sequence[int], str]], task: int) -> str:
    for tasks, runner in reversed(claims):
        if _in(task, tasks):
            return runner
    return ""
