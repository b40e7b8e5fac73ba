"""The tasks of a job for reading: objects made when asked for, over arrays that hold 100,000 of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, overload

import msgspec

from jobledger.core import ranges
from jobledger.core.errors import ArgumentError
from jobledger.core.events import Error
from jobledger.core.graph import ROOT
from jobledger.core.lifecycle import HALTED, TaskState
from jobledger.core.submission import NO_DEPENDENCIES, TaskSpec
from jobledger.core.task import TaskIdentifier

from .attempts import Attempt, AttemptOutcome, Ended
from .utc import utc, utc_or_none
from .waiting import why_waiting

if TYPE_CHECKING:
    from .job_view import JobView


class TaskView:
    """One task, as its job's view stands at the moment of each reading. Equal to every view of the same task."""

    __slots__ = ("_view", "number")

    def __init__(self, view: JobView, number: int) -> None:
        self._view = view
        self.number = number  #: place in the job, from 0 in order of submission

    @property
    def id(self) -> str:
        """The job's id and the task's number, with a slash between them."""
        return f"{self._view.job.id}/{self.number}"

    @property
    def spec(self) -> TaskSpec:
        return self._view.job.spec_of(self.number)

    @property
    def identifier(self) -> TaskIdentifier:
        """The code it needs, as submitted."""
        return self.spec.identifier

    @property
    def name(self) -> str:
        """Name of its identifier; the name of its class unless that says otherwise."""
        return self.spec.name

    @property
    def version(self) -> str:
        """Version of its identifier as submitted, such as "v1.2"."""
        return self.identifier.version

    @property
    def cluster(self) -> str:
        """Only runners of this cluster take it."""
        return self.spec.cluster

    @property
    def max_retries(self) -> int:
        return self.spec.max_retries

    @property
    def optional(self) -> bool:
        """Whether the job goes on if it, or a task below it, fails."""
        return self.spec.optional

    @property
    def state(self) -> TaskState:
        return self._view.job.state_of(self.number)

    @property
    def complete(self) -> bool:
        """Whether it and its whole subtree are finished: what tasks that depend on it wait for."""
        return self._view.job.graph.is_complete(self.number)

    @property
    def ready(self) -> bool:
        """Whether a runner could take it now."""
        job = self._view.job
        return job.state not in HALTED and bool(job.graph.ready[self.number])

    @property
    def waiting(self) -> str | None:
        """Why it does not run yet, in words; None unless it is QUEUED."""
        return why_waiting(self._view, self.number)

    # -- the graph ----------------------------------------------------------------------------------------------

    @property
    def parent(self) -> TaskView | None:
        """The task that submitted it; None for a root task."""
        parent = self._view.job.graph.parent[self.number]
        return None if parent == ROOT else TaskView(self._view, parent)

    @property
    def children(self) -> Tasks:
        """The tasks it submitted."""
        return Tasks(self._view, self._view.job.graph.children(self.number))

    @property
    def depends_on(self) -> Tasks:
        """The tasks that must be complete before it starts."""
        graph = self._view.job.graph
        index = graph.dependencies[self.number]
        members = [] if index == NO_DEPENDENCIES else list(ranges.numbers(graph.members[index]))
        return Tasks(self._view, members)

    # -- input and display --------------------------------------------------------------------------------------

    @property
    def input(self) -> bytes:
        """Its input as it travels: JSON, or nothing for a task without fields."""
        return self._view.job.inputs[self.number]

    @property
    def input_json(self) -> Any:
        """Its input as JSON data: None without fields, the bare value of one field, a dict of several.

        Bytes that are no JSON, which a client in another language may have sent, are shown as text.
        """
        data = self.input
        try:
            return msgspec.json.decode(data) if data else None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return data.decode("utf-8", "replace")

    @property
    def display(self) -> str:
        """What it set as its display text; its name before that."""
        return self._view.displays.get(self.number) or self.name

    # -- its runs -----------------------------------------------------------------------------------------------

    @property
    def attempt(self) -> int:
        """Number of its current or last attempt; 0 before the first."""
        return self._view.job.attempt[self.number]

    @property
    def attempts(self) -> list[Attempt]:
        """Every run of it, oldest first."""
        view, number = self._view, self.number
        attempts = [_attempt(view, ended) for ended in view.ended.get(number, ())]
        state = self.state
        if state is TaskState.RUNNING or state is TaskState.COMPUTED:
            outcome = AttemptOutcome.RUNNING if state is TaskState.RUNNING else AttemptOutcome.COMPUTED
            times = view.claimed[number], view.started[number], view.stopped[number]
            current = Ended(self.attempt, outcome, view.runs[number], *times, None, "")
            attempts.append(_attempt(view, current))
        return attempts

    @property
    def runner(self) -> str:
        """Who has, or had, its current or last attempt; empty before the first."""
        return self._view.runners[self._view.runs[self.number]]

    @property
    def claimed_at(self) -> datetime | None:
        """When its current or last attempt was given to a runner (aware UTC)."""
        return utc_or_none(self._view.claimed[self.number])

    @property
    def started_at(self) -> datetime | None:
        """When its last attempt began (aware UTC). The runner says so with its report, so None before that."""
        return utc_or_none(self._view.started[self.number])

    @property
    def stopped_at(self) -> datetime | None:
        """When its last attempt ended (aware UTC); None while it runs."""
        return utc_or_none(self._view.stopped[self.number])

    @property
    def error(self) -> Error | None:
        """Why its last attempt failed; None while one runs, and once it is computed."""
        ended = self._view.ended.get(self.number)
        return ended[-1].error if ended and ended[-1].number == self.attempt else None

    def __eq__(self, other: object) -> bool:
        return self.id == other.id if isinstance(other, TaskView) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<Task {self.number} {self.name} {self.version} {self.state.name}>"

    def __str__(self) -> str:
        return f"{self.display} ({self.state.name})"


def _attempt(view: JobView, ended: Ended) -> Attempt:
    return Attempt(
        ended.number,
        ended.outcome,
        view.runners[ended.runner],
        utc(ended.claimed),
        utc_or_none(ended.started),
        utc_or_none(ended.stopped),
        ended.error,
        ended.reason,
    )


class Tasks(Sequence[TaskView]):
    """Tasks of one job, in order of submission: index, slice, iterate, count, filter.

    All tasks of a job grow with it; a slice or a filtered selection keeps its members. Each element reads its job's
    view when asked.
    """

    __slots__ = ("_numbers", "_view")

    def __init__(self, view: JobView, numbers: Sequence[int] | None = None) -> None:
        self._view = view
        self._numbers = numbers

    @property
    def numbers(self) -> Sequence[int]:
        """The numbers of the tasks within their job."""
        return range(len(self._view.job.graph)) if self._numbers is None else self._numbers

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> TaskView: ...
    @overload
    def __getitem__(self, index: slice) -> Tasks: ...
    def __getitem__(self, index: int | slice) -> TaskView | Tasks:
        if isinstance(index, slice):
            return Tasks(self._view, self.numbers[index])
        try:
            return TaskView(self._view, self.numbers[index])
        except IndexError:
            raise IndexError(f"there is no task {index} among {len(self)}") from None

    def __iter__(self) -> Iterator[TaskView]:
        view = self._view
        return (TaskView(view, number) for number in self.numbers)

    def __contains__(self, task: object) -> bool:
        return (
            isinstance(task, TaskView)
            and task._view.job.id == self._view.job.id
            and task.number in self.numbers
        )

    def filter(self, state: TaskState | Iterable[TaskState] | None = None, name: str | None = None) -> Tasks:
        """Return those that are in `state` (or one of several) and have this `name`.

        Errors: ArgumentError if `state` is none.
        """
        job = self._view.job
        numbers: Sequence[int] = self.numbers
        if state is not None:
            wanted = _values(state)
            status = job.graph.status
            numbers = [number for number in numbers if status[number] in wanted]
        if name is not None:
            specs = {index for index, spec in enumerate(job.specs) if spec.name == name}
            spec_of = job.graph.spec
            numbers = [number for number in numbers if spec_of[number] in specs]
        return Tasks(self._view, numbers)

    def __repr__(self) -> str:
        status = self._view.job.graph.status
        numbers = self.numbers
        if self._numbers is None:
            counts = self._view.job.counts
        else:
            seen = bytes(status[number] for number in numbers)
            counts = [seen.count(value) for value in range(len(TaskState) + 1)]
        states = ", ".join(
            f"{counts[state.value]} {state.name}" for state in TaskState if counts[state.value]
        )
        return f"<{len(numbers)} tasks{': ' if states else ''}{states}>"


def _values(state: TaskState | Iterable[TaskState]) -> frozenset[int]:
    states = (state,) if isinstance(state, TaskState) else state
    try:
        return frozenset(TaskState(one).value for one in states)
    except (TypeError, ValueError):
        raise ArgumentError(
            f"state={state!r} is not a TaskState, nor several: write state=TaskState.FAILED"
        ) from None
