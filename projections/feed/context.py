"""What is remembered of a job to say of which cluster and name its tasks are: a fraction of its state.

It can be made anew at any time by folding the job's commits up to any of them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from jobledger.core import events as e
from jobledger.core import ranges
from jobledger.core.job.state import NO_OPTIONS
from jobledger.core.submission import Submission


class Kind(NamedTuple):
    """By what readers choose the tasks they hear of."""

    cluster: str
    name: str


class Taken(NamedTuple):
    """Tasks that came into being with an event."""

    tasks: Submission
    base: int  #: number of the task at position 0 of its submission
    parent: int | None


class Born(NamedTuple):
    """The tasks that an event brings into being, and those that are over from the beginning, in a fork."""

    tasks: Sequence[Taken] = ()
    over: Sequence[e.TasksTakenOver] = ()


NOTHING = Born()
_BESIDE = 400  #: bytes a context takes at least, about


class JobContext:
    """One job, up to one of its commits."""

    __slots__ = (
        "_first",
        "_held",
        "_index",
        "_kinds",
        "_runs",
        "_taken_over",
        "known",
        "name",
        "tasks",
        "trace",
        "version",
    )

    def __init__(self) -> None:
        self.version = 0  #: of the last commit that was folded
        self.known = (
            True  #: not so after a commit that could not be read: numbers of tasks mean nothing any more
        )
        self.name = ""
        self.trace = ""  #: W3C traceparent of the submission
        self.tasks = 0
        # No tasks yet: they come into being when the attempt of this task that staged them is computed.
        self._held: dict[int, list[Submission]] = {}
        # Nor these: they do when the job is submitted that takes them over.
        self._taken_over: list[e.TasksTakenOver] = []
        self._kinds: list[Kind] = []
        self._index: dict[Kind, int] = {}
        self._first = array("Q")  # number of the first task of each run of neighbours of one kind
        self._runs = array("I")  # index of its kind

    @property
    def size(self) -> int:
        """Bytes it takes, about."""
        chunks = [chunk for chunks in self._held.values() for chunk in chunks]
        chunks += [chunk.tasks for part in self._taken_over for chunk in part.subtasks]
        held = sum(sum(map(len, chunk.inputs)) for chunk in chunks)
        return _BESIDE + 16 * len(self._first) + 200 * len(self._kinds) + held

    def kind_of(self, task: int) -> Kind | None:
        """Return the kind of a task; None where it is not known."""
        if not self.known or not 0 <= task < self.tasks:
            return None
        return self._kinds[self._runs[bisect_right(self._first, task) - 1]]

    def by_kind(self, tasks: Sequence[int]) -> dict[Kind | None, list[int]]:
        """Return the numbers in these ranges by kind, the kind of the first one first."""
        found: dict[Kind | None, list[int]] = {}
        for start, stop in ranges.pairs(tasks):
            for kind, first, last in self._pieces(start, stop):
                found.setdefault(kind, []).extend(range(first, last))
        return found

    def _pieces(self, start: int, stop: int) -> Iterator[tuple[Kind | None, int, int]]:
        known = min(stop, self.tasks) if self.known else start
        at = bisect_right(self._first, start) - 1
        while start < known:
            end = min(known, self._first[at + 1] if at + 1 < len(self._first) else known)
            yield self._kinds[self._runs[at]], start, end
            start, at = end, at + 1
        if start < stop:
            yield None, start, stop

    # -- folding ------------------------------------------------------------------------------------------------------

    def fold(self, event: e.Event | e.UnknownEvent) -> Born:
        """Apply an event; return what tasks it brings into being."""
        change = _FOLD.get(event.__class__)
        return NOTHING if change is None else change(self, event) or NOTHING

    def staged_by(self, task: int) -> int:
        """Return how many tasks the running attempt of a task has staged."""
        return sum(map(len, self._held.get(task, ())))

    def submit(self, event: e.JobSubmitted) -> Born:
        options = event.options or NO_OPTIONS
        self.name, self.trace = event.name, options.trace
        born = [self._add(event.tasks, 0, None)]
        pending: dict[int, list[Submission]] = {}
        for part in self._taken_over:
            for chunk in part.subtasks:
                pending.setdefault(chunk.task, []).append(chunk.tasks)
            for one in part.tasks:
                base = self.tasks
                born += [self._add(tasks, base, one.task) for tasks in pending.pop(one.task, ())]
        over, self._taken_over = self._taken_over, []
        return Born(born, over)

    def prepare(self, event: e.TasksTakenOver) -> None:
        self._taken_over = [*(self._taken_over if event.part else ()), event]

    def stage(self, event: e.SubtasksStaged) -> None:
        self._held.setdefault(event.task, []).append(event.tasks)

    def compute(self, event: e.TaskComputed) -> Born:
        chunks = self._held.pop(event.task, []) if self._held else []
        if event.subtasks is not None:
            chunks = [*chunks, event.subtasks]
        base = self.tasks
        return Born([self._add(chunk, base, event.task) for chunk in chunks])

    def end(self, event: Any) -> None:
        """Forget what an attempt staged that came to nothing."""
        if self._held:
            self._held.pop(event.task, None)

    def lost(self) -> None:
        """Take note that a commit cannot be read."""
        self.known = False
        self._held.clear()

    def _add(self, tasks: Submission, base: int, parent: int | None) -> Taken:
        for run in tasks.runs():
            spec = tasks.specs[run.spec]
            kind = Kind(spec.cluster, spec.name)
            index = self._index.setdefault(kind, len(self._kinds))
            if index == len(self._kinds):
                self._kinds.append(kind)
            if not self._runs or self._runs[-1] != index:
                self._first.append(base + run.start)
                self._runs.append(index)
        self.tasks = base + tasks.start + len(tasks)
        return Taken(tasks, base, parent)


_FOLD: dict[type, Callable[[JobContext, Any], Born | None]] = {
    e.JobSubmitted: JobContext.submit,
    e.TasksTakenOver: JobContext.prepare,
    e.SubtasksStaged: JobContext.stage,
    e.TaskComputed: JobContext.compute,
    e.TaskReused: JobContext.end,
    e.AttemptFailed: JobContext.end,
    e.TaskFailed: JobContext.end,
    e.OptionalTaskFailed: JobContext.end,
    e.TaskCanceled: JobContext.end,
    e.TaskReleased: JobContext.end,
    e.LeaseExpired: JobContext.end,
}
