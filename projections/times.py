"""When things happened to tasks, and how long each waited and ran.

Times come from two clocks: what is decided carries the engine's, what is executed the runner's. Durations are never
negative, whatever the clocks say. A task's time divides into:

- *blocked*: queued, while something it depends on is not complete;
- *pending*: ready, backing off, waiting for its time or in the hands of a runner that has not begun it;
- *executing*: from the start to the end of an attempt, by the runner's clock;

and the rest, which counts as nothing: while the job is halted, and while the task was failed, canceled or abandoned,
before a retry. All three are summed over every time the task was in them, and live while it is.

Only what cannot be had later is noted as commits are applied, at a cost per range and not per task: when tasks came
into being, and when each became ready. The rest is worked out when asked for.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from jobledger.core.graph import WAITING, TaskGraph
from jobledger.core.lifecycle import TaskState
from jobledger.core.submission import Submission

from .utc import utc, utc_or_none

if TYPE_CHECKING:
    from .job_view import JobView

Interval = tuple[int, int]  #: µs: from, until

_OPEN = frozenset({TaskState.QUEUED.value, TaskState.RUNNING.value})
_HAS_ATTEMPT = frozenset({TaskState.RUNNING.value, TaskState.COMPUTED.value})  # that is not in `ended`


class TimedGraph(TaskGraph):
    """The graph of a job that also notes at what time its tasks came into being and became ready."""

    __slots__ = ("_first", "_submitted", "at", "since")

    def __init__(self) -> None:
        super().__init__()
        self.at = 0  #: time of the commit being applied
        self.since = array("q")  #: when all that each task depends on was complete; 0 while it is not
        self._first = array("I")  # tasks from this number on came …
        self._submitted = array("q")  # … at this time

    def submitted(self, task: int) -> int:
        return self._submitted[bisect_right(self._first, task) - 1]

    def add(self, tasks: Submission, *, base: int, parent: int, specs: Sequence[int]) -> None:
        if not self._submitted or self._submitted[-1] != self.at:
            self._first.append(len(self))
            self._submitted.append(self.at)
        self.since.frombytes(bytes(8 * len(tasks)))
        super().add(tasks, base=base, parent=parent, specs=specs)

    def _make_ready(self, start: int, stop: int) -> None:
        super()._make_ready(start, stop)
        # not again for a task that is queued again, nor for those among these that are not queued any more
        if not self.since[start] and not self.ready.count(WAITING, start, stop):
            self.since[start:stop] = array("q", (self.at,)) * (stop - start)


class TaskTimes:
    """The times of a task, as properties of its view. Durations are seconds."""

    __slots__ = ()

    _view: JobView
    number: int

    @property
    def submitted_at(self) -> datetime:
        """When it came into being: with its job, or with the end of the task that submitted it (aware UTC).

        >>> print(InlineClient().run(Greet("world")).tasks[0].submitted_at)
        2026-01-01 00:00:00+00:00
        """
        return utc(self._graph.submitted(self.number))

    @property
    def ready_at(self) -> datetime | None:
        """When everything it depends on was complete for the first time (aware UTC); None before that.

        >>> print(InlineClient().run(Greet("world")).tasks[0].ready_at)
        2026-01-01 00:00:00+00:00
        """
        return utc_or_none(self._graph.since[self.number])

    @property
    def claimed_at(self) -> datetime | None:
        """When its current or last attempt was given to a runner (aware UTC).

        >>> print(InlineClient().run(Greet("world")).tasks[0].claimed_at)
        2026-01-01 00:00:00+00:00
        """
        return utc_or_none(self._view.claimed[self.number])

    @property
    def started_at(self) -> datetime | None:
        """When its current or last attempt began (aware UTC); None until the runner says so.

        >>> print(InlineClient().run(Greet("world")).tasks[0].started_at)
        2026-01-01 00:00:00+00:00
        """
        return utc_or_none(self._view.started[self.number])

    @property
    def run_at(self) -> datetime | None:
        """The same as `started_at`.

        >>> print(InlineClient().run(Greet("world")).tasks[0].run_at)
        2026-01-01 00:00:00+00:00
        """
        return self.started_at

    @property
    def stopped_at(self) -> datetime | None:
        """When its last attempt ended (aware UTC); None while it runs.

        >>> class Slow(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         clock.advance(90)
        >>> clock = VirtualClock()
        >>> print(InlineClient(clock=clock).run(Slow()).tasks[0].stopped_at)
        2026-01-01 00:01:30+00:00
        """
        return utc_or_none(self._view.stopped[self.number])

    @property
    def finished_at(self) -> datetime | None:
        """When it came to its present end, whichever that is (aware UTC); None while it is queued or running.

        >>> client = InlineClient()
        >>> job = client.jobs().submit("greetings", [Greet("you"), Greet("me")])
        >>> client.clock.advance(60)
        >>> client.jobs().cancel(job.tasks[0])
        1
        >>> print(job.refresh().tasks[0].finished_at)
        2026-01-01 00:01:00+00:00
        """
        return utc_or_none(finished(self._view, self.number))

    @property
    def held_until(self) -> datetime | None:
        """The time it waits for (aware UTC): its start, or the end of a delay between attempts; else None.

        >>> job = InlineClient().jobs().submit("greetings", Greet("world"), start=3600)
        >>> print(job.tasks[0].held_until)
        2026-01-01 01:00:00+00:00
        """
        return utc_or_none(self._view.held(self.number))

    @property
    def retry_at(self) -> datetime | None:
        """When it is tried again (aware UTC), if it is backing off after a failed attempt; else None.

        >>> class Fetch(Task, retry=Retry(3, delay=timedelta(minutes=5))):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         raise OSError("no answer")
        >>> client = InlineClient()
        >>> job = client.jobs().submit("fetching", Fetch())
        >>> client.runner(tasks=[Fetch]).run_all(skip_time=False)
        ERROR: Task Fetch failed ...
        1
        >>> print(job.tasks[0].retry_at)
        2026-01-01 00:05:00+00:00
        """
        held = self._view.held(self.number)
        not_before = self._view.job.spec_of(self.number).asked.not_before
        return utc(held) if held > not_before else None

    @property
    def blocked_duration(self) -> float:
        """Seconds in which something it depends on was not complete.

        >>> class Slow(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         clock.advance(90)
        >>> class Chain(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         first = context.submit_subtask(Slow())
        ...         context.submit_subtask(Slow(), depends_on=first)
        >>> clock = VirtualClock()
        >>> [task.blocked_duration for task in InlineClient(clock=clock).run(Chain(), Slow).tasks]
        [0.0, 0.0, 90.0]
        """
        begin = self._graph.submitted(self.number)
        end = self._graph.since[self.number] or self._end
        return spent(begin, min(end, self._end), self._gaps) / 1e6

    @property
    def pending_duration(self) -> float:
        """Seconds in which it could run, and did not: it waited for a runner, for its time, or for a retry.

        >>> client = InlineClient()
        >>> job = client.jobs().submit("greetings", Greet("world"))
        >>> client.clock.advance(60)
        >>> client.runner(tasks=[Greet]).run_all()
        1
        >>> job.tasks[0].pending_duration
        60.0
        """
        begin = self._graph.since[self.number]
        without = [*self._gaps, *executions(self._view, self.number)]
        return spent(begin, self._end, without) / 1e6 if begin else 0.0

    @property
    def execution_duration(self) -> float:
        """Seconds in which it ran, all attempts together. The runner says when it began: 0 until then.

        >>> class Slow(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         clock.advance(90)
        >>> clock = VirtualClock()
        >>> InlineClient(clock=clock).run(Slow()).tasks[0].execution_duration
        90.0
        """
        return sum(end - begin for begin, end in executions(self._view, self.number)) / 1e6

    @property
    def _graph(self) -> TimedGraph:
        return self._view.graph

    @property
    def _end(self) -> int:
        return finished(self._view, self.number) or self._view.now

    @property
    def _gaps(self) -> list[Interval]:
        return [*self._view.halts, *self._view.outs.get(self.number, ())]


def finished(view: JobView, number: int) -> int:
    """Return when a task came to its present end, in µs; 0 while it is queued or running."""
    if view.job.graph.status[number] in _OPEN:
        return 0
    return view.dismissals.at(number) or view.stopped[number] or view.claimed[number]


def executions(view: JobView, number: int) -> list[Interval]:
    """Return from when to when a task ran: every attempt of which it is known when it began."""
    found = [
        (one.started, max(one.started, one.stopped)) for one in view.ended.get(number, ()) if one.started
    ]
    status, started = view.job.graph.status[number], view.started[number]
    if status in _HAS_ATTEMPT and started:
        stopped = view.now if status == TaskState.RUNNING.value else view.stopped[number]
        found.append((started, max(started, stopped)))
    return found


def spent(begin: int, end: int, without: Iterable[Interval]) -> int:
    """Return how much of the time from `begin` to `end` lies in none of these intervals.

    >>> spent(0, 10, [(8, 20), (1, 3), (2, 4)])
    5
    """
    total = 0
    for start, stop in sorted(without):
        if start >= end:
            break
        total += max(0, start - begin)
        begin = max(begin, stop)
    return total + max(0, end - begin)
