"""What a fork takes over from the job it comes from, and what of it runs again.

A fork goes on where the old job was, as after a retry of it: what ended is kept; what failed, was canceled, abandoned
or never ran is queued, as if it had not been tried. A task with another input runs again, and so does whatever depends
on it. What a task that runs again had submitted is left out, for it will submit it anew.

Tasks keep their order. Their numbers are smaller by what is left out before them.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from jobledger.core import events as e
from jobledger.core import ranges
from jobledger.core.errors import ArgumentError
from jobledger.core.graph import ROOT
from jobledger.core.job import Job, fold
from jobledger.core.lifecycle import TaskState
from jobledger.core.submission import NO_DEPENDENCIES, NewTask, Submission, TaskSpec, columns

from .job_view import JobView
from .moments import Placed
from .wording import counted, named

_COMPUTED, _SKIPPED = TaskState.COMPUTED.value, TaskState.SKIPPED.value
#: how a task may have ended that does not run again
_OVER = bytes(value in (_COMPUTED, _SKIPPED, TaskState.FAILED_OPTIONAL.value) for value in range(256))
_RUNNING = TaskState.RUNNING.value
_LEFT_OUT = -1
_NAMED = 5  # tasks that an error names

#: bytes of a part, about: one message of a server with the usual limit has room for three of them
PART = 256 * 1024

_encode = msgspec.msgpack.Encoder().encode


class TasksWereRunning(ArgumentError):
    """A fork is asked for at a point at which tasks ran."""


class Edit(NamedTuple):
    """Another input for a task."""

    spec: TaskSpec
    input: bytes
    object: bool = False  #: the input is the name of an object


class Fork(NamedTuple):
    """A job to come."""

    roots: Submission
    parts: list[e.TasksTakenOver]  #: at least one
    objects: list[str]  #: that the old job has, and of which the new one needs its own
    clusters: set[str]  #: of the tasks that it has to run


def plan_fork(
    view: JobView, job_id: str, edits: Mapping[int, Edit], *, requeue_running: bool = False, part: int = PART
) -> Fork:
    """Return what a fork under the id `job_id` is made of, from the job as it stood at the point.

    Shape:  `edits` by the number of the task in the old job. `requeue_running`: what ran there runs again, and is not
            refused. `part` is about how many bytes a part has at most.
    Errors: ArgumentError for an edit of a task that did not exist, or that will be submitted anew; and for what ran.
    """
    count = len(view.job.graph)
    for number in edits:
        if not 0 <= number < count:
            raise ArgumentError(
                f"tasks[{number}] cannot be edited: at this point job {view.job.id} had {counted(count, 'task')}, "
                f"0 to {count - 1}"
            )
    again, left_out = _affected(view, edits)
    for number in edits:
        if number in left_out:
            raise ArgumentError(
                f"tasks[{number}] cannot be edited: it will be submitted anew by a task above it that runs again, for it "
                "is edited or depends on one that is. Leave one of the edits out"
            )
    if not requeue_running:
        _check_running(view, again | left_out)
    return _Writer(view, job_id, edits, again, left_out, part).fork()


def _affected(view: JobView, edits: Iterable[int]) -> tuple[set[int], set[int]]:
    """Return which tasks run again because of the edits, and which are left out because what submitted them does."""
    graph = view.job.graph
    again, left_out = set(edits), set[int]()
    skipped = _skipped(view) if again else []
    while again:
        size = len(again)
        again |= graph.dependants(again)
        left_out = {below for task in again for below in graph.descendants(task)}
        again |= {task for task, cause in skipped if cause in again or cause in left_out}
        if len(again) == size:
            break
    return again, left_out


def _skipped(view: JobView) -> list[tuple[int, int]]:
    """Return the tasks that were skipped, each with the task that was the cause."""
    status = view.job.graph.status
    if not view.job.counts[_SKIPPED]:
        return []
    return [(task, view.dismissals.cause(task)) for task in range(len(status)) if status[task] == _SKIPPED]


def _check_running(view: JobView, affected: set[int]) -> None:
    running = [task for task in sorted(view.job.claimed_by) if task not in affected]
    if not running:
        return
    names = [named(task, view.job.spec_of(task).name) for task in running[:_NAMED]]
    more = f" and {len(running) - _NAMED:,} more" if len(running) > _NAMED else ""
    were, they = ("was", "it") if len(running) == 1 else ("were", "they")
    raise TasksWereRunning(
        f"at this point {', '.join(names)}{more} of job {view.job.id} {were} running: how far {they} had come is not "
        f"known, and {they} may still run there. Fork from a point where nothing was running, give what was another input, or "
        "let it run in the fork from its beginning, by requeue_running"
    )


def quiet_points(job_id: str, commits: Iterable[Placed], position: int) -> list[int]:
    """Return the positions nearest to this one at which no task ran: the last one before it, and the first one behind."""
    job, before, behind = Job(job_id), 0, 0
    for placed in commits:
        fold(job, [(placed.commit.at, placed.commit.events)])
        if job.state and not job.counts[_RUNNING]:
            if placed.position < position:
                before = placed.position
            else:
                behind = placed.position
                break
    return [found for found in (before, behind) if found]


class _Writer:
    """Puts a fork into events."""

    def __init__(
        self,
        view: JobView,
        job_id: str,
        edits: Mapping[int, Edit],
        again: set[int],
        left_out: set[int],
        part: int,
    ) -> None:
        self._view = view
        self._job_id = job_id
        self._edits = edits
        self._part = part
        self._objects: dict[str, None] = {}
        self._parts: list[e.TasksTakenOver] = []
        self._size = 0
        self._runners: dict[int, int] = {}
        status = view.job.graph.status
        over = status.translate(_OVER)
        self._kept = [
            task for task in range(len(status)) if over[task] and task not in again and task not in left_out
        ]
        self._numbers = array("i", range(len(status)))
        if left_out:
            number = 0
            for task in range(len(status)):
                self._numbers[task] = _LEFT_OUT if task in left_out else number
                number += task not in left_out

    def fork(self) -> Fork:
        graph = self._view.job.graph
        roots = next(self._submissions(range(graph.parent.count(ROOT)), 2**62))
        self._begin_part()
        # so that what a task submitted gets its numbers when it did before
        for task in sorted(self._kept, key=self._turn):
            if graph.child_count[task]:
                for chunk in self._submissions(graph.children(task), self._part):
                    self._make_room(_encode(chunk))
                    self._parts[-1].subtasks.append(e.SubtasksOf(self._numbers[task], chunk))
            one = self._taken_over(task)
            if self._make_room(_encode(one)):
                one = msgspec.structs.replace(one, runner=self._runner(task))
            self._parts[-1].tasks.append(one)
        if self._size + len(_encode(roots)) > self._part and self._parts[-1].tasks:
            self._begin_part()  # the last one travels with the root tasks
        plan = hashlib.sha256(_encode([roots, self._parts])).digest()
        parts = [msgspec.structs.replace(one, plan=plan) for one in self._parts]
        return Fork(roots, parts, list(self._objects), self._clusters())

    def _turn(self, task: int) -> tuple[int, int]:
        graph = self._view.job.graph
        return (graph.first_child[task] if graph.child_count[task] else task), task

    def _clusters(self) -> set[str]:
        job, kept = self._view.job, set(self._kept)
        spec = job.graph.spec
        specs = {
            spec[task] for task in range(len(spec)) if self._numbers[task] != _LEFT_OUT and task not in kept
        }
        return {job.specs[one].cluster for one in specs}

    # -- parts ----------------------------------------------------------------------------------------------------

    def _begin_part(self) -> None:
        self._parts.append(e.TasksTakenOver(b"", len(self._parts), [], [], []))
        self._size = 0
        self._runners.clear()

    def _make_room(self, data: bytes) -> bool:
        """Begin a part if this does not fit into the one at hand. Return whether it did."""
        begins = self._size > 0 and self._size + len(data) > self._part
        if begins:
            self._begin_part()
        self._size += len(data)
        return begins

    def _runner(self, task: int) -> int:
        """Return the number, in the part at hand, of the runner that had a task."""
        known = self._view.runs[task]
        number = self._runners.setdefault(known, len(self._runners))
        runners = self._parts[-1].runners
        if number == len(runners):
            runners.append(self._view.runners[known])
            self._size += len(runners[-1])
        return number

    # -- tasks ----------------------------------------------------------------------------------------------------

    def _taken_over(self, task: int) -> e.TakenOver:
        view, job = self._view, self._view.job
        state = job.graph.status[task]
        result = job.results.get(task)
        if result is not None and result.object:
            result = msgspec.structs.replace(result, object=self._own(result.object))
        source = view.reused.get(task)
        return e.TakenOver(
            self._numbers[task],
            task,
            state,
            job.attempt[task],
            self._runner(task),
            view.claimed[task],
            view.started[task],
            view.stopped[task],
            view.displays.get(task),
            view.progressed.get(task),
            result,
            view.tasks[task].error if task in view.ended and state != _COMPUTED else None,
            source.job_id if source else "",
            source.number if source else 0,
            self._numbers[view.dismissals.cause(task)] if state == _SKIPPED else -1,
        )

    def _submissions(self, tasks: range, limit: int) -> Iterator[Submission]:
        """Yield what was submitted together, in chunks."""
        for chunk in columns(self._rows(tasks), max_bytes=limit):
            here = tasks[chunk.start : chunk.start + len(chunk)]
            referred = [chunk.start + place for place, task in enumerate(here) if self._is_object(task)]
            yield msgspec.structs.replace(chunk, references=ranges.pack(referred)) if referred else chunk

    def _rows(self, tasks: range) -> Iterator[NewTask]:
        job = self._view.job
        graph, inputs, references, edits = job.graph, job.inputs, job.references, self._edits
        known: dict[int, frozenset[int]] = {NO_DEPENDENCIES: frozenset()}
        for task in tasks:
            index = graph.dependencies[task]
            depends_on = known.get(index)
            if depends_on is None:
                members = ranges.numbers(graph.members[index])
                depends_on = known[index] = frozenset([member - tasks.start for member in members])
            if task in edits:
                yield NewTask(edits[task].spec, edits[task].input, depends_on)
            else:
                data = self._own(inputs[task].decode()).encode() if task in references else inputs[task]
                yield NewTask(job.spec_of(task), data, depends_on)

    def _is_object(self, task: int) -> bool:
        edit = self._edits.get(task)
        return task in self._view.job.references if edit is None else edit.object

    def _own(self, name: str) -> str:
        """Return the name under which the fork has an object of the old job."""
        self._objects[name] = None
        return f"{self._job_id}/{name.rpartition('/')[2]}"
