"""What a picture shows of a job, copied from its view between two commits."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

from jobledger.core.graph import HELD, ROOT
from jobledger.core.lifecycle import HALTED, JobState
from jobledger.core.submission import TaskSpec

from .looks import Look

if TYPE_CHECKING:
    from ..job_view import JobView


class Outline(NamedTuple):
    """The tasks of a job in parallel columns by task number. Nobody changes it."""

    name: str  #: of the job
    state: JobState | None
    specs: list[TaskSpec]
    looks: bytes  #: Look values
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
            looks_of(view),
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


def looks_of(view: JobView) -> bytes:
    """Return the look of every task, by number."""
    graph = view.graph
    looks = bytearray(graph.status)
    for task in view.reused:
        looks[task] = Look.REUSED.value
    task = graph.ready.find(HELD) if view.job.state not in HALTED else -1
    while task >= 0:
        if view.held(task):
            looks[task] = Look.DELAYED.value
        task = graph.ready.find(HELD, task + 1)
    return bytes(looks)
