"""How two runs differ, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .wording import counted, one_line


class Difference(NamedTuple):
    """One fact that is not the same in two runs.

    >>> again = client.jobs().submit("greetings", Greet("you"))
    >>> client.jobs().diff(job, again).tasks[0].differences[0]
    Difference(what='state', left='COMPUTED', right='QUEUED')
    """

    what: str  #: of a job: name, state, …; of a task: state, input, attempts, error, result, …
    left: Any
    right: Any

    def __str__(self) -> str:
        return f"{self.what}: {_shown(self.left)} → {_shown(self.right)}"


@dataclass(frozen=True, slots=True)
class TaskDiff:
    """A task that is not the same in two runs, or is in only one of them; with it, then, all that is below it.

    >>> again = client.jobs().submit("greetings", [Greet("world"), Greet("moon")])
    >>> for one in client.jobs().diff(job, again).tasks:
    ...     print(one.left, one.right, one)
    0 0 Greet[0]: state: COMPUTED → QUEUED, attempts: 1 → 0
    None 1 Greet[1]: only in the right job
    >>> one
    TaskDiff(name='Greet', path='Greet[1]', left=None, right=1, differences=[], size=1)
    """

    name: str
    path: str  #: names from the root task down, each with its place among its siblings
    left: int | None  #: its number there; None if there is no such task
    right: int | None
    differences: list[Difference] = field(default_factory=list)
    size: int = 1  #: how many tasks this stands for: one, or a whole subtree that only one job has

    def __str__(self) -> str:
        if self.left is None or self.right is None:
            more = f", with {counted(self.size - 1, 'task')} below it" if self.size > 1 else ""
            return f"{self.path}: only in the {'right' if self.left is None else 'left'} job{more}"
        return f"{self.path}: {', '.join(map(str, self.differences))}"


@dataclass(frozen=True, slots=True)
class JobDiff:
    """How two runs differ: true if they do. `str(diff)` tells it, a line for each task.

    >>> bool(client.jobs().diff(job, job))
    False
    >>> again = client.jobs().submit("greetings", Greet("you"))
    >>> print(client.jobs().diff(job, again))
    job: state: COMPLETED → SUBMITTED
    Greet[0]: state: COMPUTED → QUEUED, input: "world" → "you", attempts: 1 → 0
    >>> client.jobs().diff(job, job)
    JobDiff(left='...', right='...', left_tasks=1, right_tasks=1, matched=1, job=[], tasks=[])
    """

    left: str  #: id of the job
    right: str
    left_tasks: int
    right_tasks: int
    matched: int  #: how many tasks are in both
    job: list[Difference]
    tasks: list[TaskDiff]  #: in the order of the left job; what only the right one has comes last

    def __bool__(self) -> bool:
        return bool(self.job or self.tasks)

    def __str__(self) -> str:
        lines = [f"job: {', '.join(map(str, self.job))}"] if self.job else []
        return "\n".join([*lines, *map(str, self.tasks)])


def _shown(value: Any) -> str:
    return "none" if value is None else one_line(str(value), 80)
