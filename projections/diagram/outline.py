"""What a picture shows of a job, copied from its view between two commits."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

from jobledger.core.graph import ROOT
from jobledger.core.lifecycle import JobState
from jobledger.core.submission import TaskSpec

if TYPE_CHECKING:
    from ..job_view import JobView


class Outline(NamedTuple):
    """The tasks of a job in parallel columns by task number. Nobody changes it."""

    name: str  #: of the job
    state: JobState | None
    specs: list[TaskSpec]
    status: bytes  #: TaskState values
    spec: array[int]  #: index into `specs`
    parent: array[int]  #: task number, or ROOT
    first_child: array[int]
    child_count: array[int]
    dependencies: array[int]  #: index into `members`, or NO_DEPENDENCIES
    members: list[list[int]]  #: each dependency set as ranges of task numbers
    displays: dict[int, str]  #: of the tasks that set one

    @classmethod
    def of(cls, view: JobView) -> Outline:
        """Return the outline of a view: a copy, about 25 bytes a task."""
        job, graph = view.job, view.job.graph
        return cls(
            job.name,
            view.state,
            list(job.specs),
            bytes(graph.status),
            graph.spec[:],
            graph.parent[:],
            graph.first_child[:],
            graph.child_count[:],
            graph.dependencies[:],
            list(graph.members),
            {task: text for task, text in view.displays.items() if text},
        )

    @property
    def roots(self) -> range:
        """The root tasks: they are submitted first."""
        return range(self.parent.count(ROOT))

    def children(self, task: int) -> range:
        first = self.first_child[task]
        return range(first, first + self.child_count[task])

    def text(self, task: int) -> str:
        """What the task displays; its name unless it said otherwise."""
        return self.displays.get(task) or self.specs[self.spec[task]].name
