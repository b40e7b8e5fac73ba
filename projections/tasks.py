"""The tasks of a job for reading: a sequence whose elements are made when asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, overload

from jobledger.core.errors import ArgumentError
from jobledger.core.lifecycle import TaskState

from .task_view import TaskView

if TYPE_CHECKING:
    from .job_view import JobView

__all__ = ["TaskView", "Tasks"]


class Tasks(Sequence[TaskView]):
    """Tasks of one job, in order of submission: index, slice, iterate, count, filter.

    All tasks of a job grow with it; a slice or a filtered selection keeps its members. Each element reads its job's
    view when asked.

    >>> job.tasks
    <1 tasks: 1 COMPUTED>
    >>> len(job.tasks), job.tasks[0].name, [task.state.name for task in job.tasks[:10]]
    (1, 'Greet', ['COMPUTED'])
    """

    __slots__ = ("_numbers", "_view")

    def __init__(self, view: JobView, numbers: Sequence[int] | None = None) -> None:
        self._view = view
        self._numbers = numbers

    @property
    def numbers(self) -> Sequence[int]:
        """The numbers of the tasks within their job.

        >>> list(job.tasks.numbers)
        [0]
        """
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

        >>> job.tasks.filter(state=[TaskState.QUEUED, TaskState.RUNNING], name="Greet")
        <0 tasks>
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
