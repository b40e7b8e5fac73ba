"""Tasks that were given up without being run to an end: skipped, canceled or abandoned; when, and because of which task."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from jobledger.core import ranges
from jobledger.core.lifecycle import TaskState

from .wording import because, by, named, said

if TYPE_CHECKING:
    from .job_view import JobView

_DISMISSED = frozenset({TaskState.SKIPPED.value, TaskState.CANCELED.value, TaskState.ABANDONED.value})
_FAILED = frozenset({TaskState.FAILED.value, TaskState.FAILED_OPTIONAL.value})


class Cause(NamedTuple):
    """Why a task was skipped, canceled or abandoned. `str(cause)` is the text.

    >>> class Copy(Task):
    ...     def execute(self, context: ExecutionContext) -> None:
    ...         raise OSError("the disk is full")
    >>> class Chain(Task):
    ...     def execute(self, context: ExecutionContext) -> None:
    ...         copied = context.submit_subtask(Copy())
    ...         context.submit_subtask(Greet("world"), depends_on=copied)
    >>> job = InlineClient().run(Chain(), Copy, Greet, on_failure="continue")
    ERROR: Task Copy failed with exception: OSError('the disk is full') ...
    >>> job.tasks[2].state.name, job.tasks[2].cause
    ('ABANDONED', Cause(task=1, text='task 1 (Copy) failed: OSError: the disk is full'))
    """

    task: int  #: number of the task that failed or was canceled; its own, if it was canceled itself
    text: str  #: what happened to that one, in words

    def __str__(self) -> str:
        return self.text


class Dismissals:
    """When each task was given up, in µs, and the number of the task that was the cause.

    Most jobs have none, and then nothing is kept: 12 bytes a task from the first one on.
    """

    __slots__ = ("_at", "_cause")

    def __init__(self) -> None:
        self._at = array("q")
        self._cause = array("i")

    def note(self, tasks: Sequence[int], cause: int, at: int, *, known: int) -> None:
        """Note that these tasks (as ranges) of `known` ones were given up."""
        missing = known - len(self._at)
        self._at.frombytes(bytes(8 * missing))
        self._cause += array("i", (0,)) * missing
        for start, stop in ranges.pairs(tasks):
            self._at[start:stop] = array("q", (at,)) * (stop - start)
            self._cause[start:stop] = array("i", (cause,)) * (stop - start)

    def forget(self, task: int) -> None:
        """The task has another chance."""
        if task < len(self._at):
            self._at[task] = 0

    def at(self, task: int) -> int:
        """Return when the task was given up; 0 if it was not."""
        return self._at[task] if task < len(self._at) else 0

    def cause(self, task: int) -> int:
        return self._cause[task]


def cause_of(view: JobView, number: int) -> Cause | None:
    """Return why a task was given up; None if it was not."""
    if view.job.graph.status[number] not in _DISMISSED:
        return None
    cause = view.dismissals.cause(number)
    if cause == number:
        return Cause(cause, f"canceled{_request(view, cause)}")
    who = named(cause, view.job.spec_of(cause).name)
    error = view.tasks[cause].error
    if view.job.graph.status[cause] in _FAILED and error is not None:
        return Cause(cause, f"{who} failed: {said(error)}")
    if cause in view.requests:
        return Cause(cause, f"{who} was canceled{_request(view, cause)}")
    return Cause(cause, f"{who} did not succeed")


def _request(view: JobView, task: int) -> str:
    request = view.requests.get(task)
    return f"{by(request.by)}{because(request.reason)}" if request else ""
