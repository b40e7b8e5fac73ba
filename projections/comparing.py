"""Two runs side by side: which tasks of one are which of the other, and how they differ.

Tasks are matched from the roots down, among the children of tasks that are matched: first those of the same name and
input, in order; then what is left of the same name, in order. Numbers do not matter, so that a fork is compared with the
job it comes from, task by task.

Written over columns, and not over views of single tasks: two runs of 100,000 tasks are compared in a second.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from typing import Any

from jobledger.core import ranges
from jobledger.core.graph import ROOT
from jobledger.core.lifecycle import TaskState
from jobledger.core.submission import NO_DEPENDENCIES

from .differences import Difference, JobDiff, TaskDiff
from .job_view import JobView
from .policies import policy_words

_NONE = -1  #: no task of the other job


def compare(left: JobView, right: JobView, *, duration_factor: float | None = None) -> JobDiff:
    """Return how two runs differ.

    Shape:  `duration_factor`: a task that ran more than so many times as long in one of them differs by that, too.
    """
    pairs = _Pairs(left, right)
    return JobDiff(
        left.job.id,
        right.job.id,
        len(left.job.graph),
        len(right.job.graph),
        pairs.matched,
        list(_job_differences(left, right)),
        list(_task_diffs(pairs, _Facts(left, right, pairs.to_right, duration_factor))),
    )


def _job_differences(left: JobView, right: JobView) -> Iterator[Difference]:
    for what in ("name", "state", "on_failure", "force", "labels"):
        one, other = (
            getattr(view.job, what) if what == "name" else getattr(view, what) for view in (left, right)
        )
        if one != other:
            yield Difference(
                what, *(value.name if what == "state" and value else value for value in (one, other))
            )
    errors = [str(view.error) if view.error else None for view in (left, right)]
    if errors[0] != errors[1]:
        yield Difference("error", *errors)


# -- which is which -----------------------------------------------------------------------------------------------


class _Pairs:
    """Which task of one job is which of the other."""

    def __init__(self, left: JobView, right: JobView) -> None:
        self.left, self.right = left, right
        self.to_right = array("i", (_NONE,)) * len(left.job.graph)
        self.to_left = array("i", (_NONE,)) * len(right.job.graph)
        self.matched = 0
        names: dict[str, int] = {}
        self._names = [
            [names.setdefault(spec.name, len(names)) for spec in view.job.specs] for view in (left, right)
        ]
        one, other = left.job.graph, right.job.graph
        families = [(range(one.parent.count(ROOT)), range(other.parent.count(ROOT)))]
        while families:
            for a, b in self._match(*families.pop()):
                self.to_right[a], self.to_left[b] = b, a
                self.matched += 1
                if one.child_count[a] and other.child_count[b]:
                    families.append((one.children(a), other.children(b)))

    def _match(self, left: range, right: range) -> Iterator[tuple[int, int]]:
        """Yield which of these siblings are the same."""
        ours, theirs = self._keys(0, self.left, left), self._keys(1, self.right, right)
        waiting: defaultdict[Any, deque[int]] = defaultdict(deque)
        for task, key in zip(right, theirs, strict=True):
            waiting[key].append(task)
        rest = []
        for task, key in zip(left, ours, strict=True):
            same = waiting.get(key)
            if same:
                yield task, same.popleft()
            else:
                rest.append((task, key[0]))
        if not rest:
            return
        by_name: defaultdict[int, deque[int]] = defaultdict(deque)
        for task in sorted(task for tasks in waiting.values() for task in tasks):
            by_name[theirs[task - right.start][0]].append(task)
        for task, name in rest:
            if by_name[name]:
                yield task, by_name[name].popleft()

    def _keys(self, side: int, view: JobView, tasks: range) -> list[tuple[int, bytes]]:
        names, spec = self._names[side], view.job.graph.spec
        return [(names[spec[task]], input_of(view, task)) for task in tasks]


def input_of(view: JobView, task: int) -> bytes:
    """Return what stands for the input of a task: the same for the same input, wherever it is kept.

    Errors: that of a sealed job has to be opened, as `TaskView.input`.
    """
    if view.sealed:
        data = view.tasks[task].input
    elif task in view.job.references:
        return _OBJECT + view.job.inputs[task].rpartition(b"/")[2]
    else:
        data = view.job.inputs[task]
    return data if len(data) <= _LONG else _OBJECT + hashlib.sha256(data).hexdigest().encode()


_OBJECT = b"object "
_LONG = 128  # bytes of an input that may be in the object store


# -- what differs -------------------------------------------------------------------------------------------------


def _task_diffs(pairs: _Pairs, facts: _Facts) -> Iterator[TaskDiff]:
    for task, other in enumerate(pairs.to_right):
        if other == _NONE:
            yield from _alone(pairs.left, task, pairs.to_right, left=True)
        elif found := list(facts.differences(task, other)):
            name = pairs.right.job.spec_of(other).name
            yield TaskDiff(name, _path(pairs.right, other), task, other, found)
    for other, task in enumerate(pairs.to_left):
        if task == _NONE:
            yield from _alone(pairs.right, other, pairs.to_left, left=False)


def _alone(view: JobView, task: int, matches: Sequence[int], *, left: bool) -> Iterator[TaskDiff]:
    """Yield a task that only one job has, once for all that is below it."""
    graph = view.job.graph
    parent = graph.parent[task]
    if parent == ROOT or matches[parent] != _NONE:
        size = sum(1 for _ in graph.subtree(task))
        name = view.job.spec_of(task).name
        yield TaskDiff(name, _path(view, task), task if left else None, None if left else task, [], size)


def _path(view: JobView, task: int) -> str:
    """Return where a task is in its job: the names from the root down, each with its place among its siblings."""
    graph, steps = view.job.graph, []
    while task != ROOT:
        parent = graph.parent[task]
        place = task if parent == ROOT else task - graph.first_child[parent]
        steps.append(f"{view.job.spec_of(task).name}[{place}]")
        task = parent
    return "/".join(reversed(steps))


class _Facts:
    """Compares what is known of two tasks."""

    def __init__(self, left: JobView, right: JobView, to_right: Sequence[int], factor: float | None) -> None:
        self._left, self._right = left, right
        self._to_right = to_right
        self._factor = factor
        self._kinds: dict[tuple[int, int], list[Difference]] = {}
        self._sets: dict[tuple[int, int], bool] = {}

    def differences(self, task: int, other: int) -> Iterator[Difference]:
        left, right = self._left, self._right
        one, two = left.job.graph, right.job.graph
        if one.status[task] != two.status[other]:
            yield Difference("state", TaskState(one.status[task]).name, TaskState(two.status[other]).name)
        yield from self._kind(one.spec[task], two.spec[other])
        if left.job.inputs[task] != right.job.inputs[other] and input_of(left, task) != input_of(
            right, other
        ):
            yield Difference("input", _shown_input(left, task), _shown_input(right, other))
        waits = one.dependencies[task], two.dependencies[other]
        if waits != (NO_DEPENDENCIES, NO_DEPENDENCIES) and not self._same_set(*waits):
            yield Difference(
                "depends_on", *(_members(view, n) for view, n in ((left, waits[0]), (right, waits[1])))
            )
        if left.job.attempt[task] != right.job.attempt[other]:
            yield Difference("attempts", left.job.attempt[task], right.job.attempt[other])
        if task in left.ended or other in right.ended:
            errors = [_error(left, task), _error(right, other)]
            if errors[0] != errors[1]:
                yield Difference("error", *errors)
        results = left.job.results.get(task), right.job.results.get(other)
        if results[0] != results[1] and _result(left, task) != _result(right, other):
            yield Difference("result", _shown_result(left, task), _shown_result(right, other))
        if self._factor is not None:
            yield from self._duration(task, other, self._factor)

    def _kind(self, spec: int, other: int) -> list[Difference]:
        known = self._kinds.get((spec, other))
        if known is None:
            one, two = self._left.job.specs[spec], self._right.job.specs[other]
            columns = {
                "version": (one.identifier.version, two.identifier.version),
                "cluster": (one.cluster, two.cluster),
                "policy": (policy_words(one), policy_words(two)),
            }
            known = [Difference(what, *values) for what, values in columns.items() if values[0] != values[1]]
            self._kinds[spec, other] = known
        return known

    def _same_set(self, index: int, other: int) -> bool:
        known = self._sets.get((index, other))
        if known is None:
            ours, theirs = _members(self._left, index), _members(self._right, other)
            known = self._sets[index, other] = sorted(self._to_right[task] for task in ours) == theirs
        return known

    def _duration(self, task: int, other: int, factor: float) -> Iterator[Difference]:
        spent = [_executed(self._left, task), _executed(self._right, other)]
        if all(spent) and max(spent) > factor * min(spent):
            yield Difference("duration", *(round(one / 1e6, 6) for one in spent))


def _members(view: JobView, index: int) -> list[int]:
    return [] if index == NO_DEPENDENCIES else list(ranges.numbers(view.job.graph.members[index]))


def _executed(view: JobView, task: int) -> int:
    """Return for how long the last attempt of a task ran, in µs; 0 where that is not known."""
    return max(0, view.stopped[task] - view.started[task]) if view.started[task] else 0


def _error(view: JobView, task: int) -> str | None:
    error = view.tasks[task].error
    return f"{error.reason}: {error.message}" if error else None


def _result(view: JobView, task: int) -> str | None:
    """Return the SHA-256 of what a task returned, wherever it is kept."""
    value = view.tasks[task].value
    if value is None:
        return None
    if value.object and not view.sealed:
        return value.object.rpartition("/")[2]
    data = view.tasks[task].opened(view.fetched(value.object)) if value.object else value.data
    return hashlib.sha256(data).hexdigest()


def _shown_result(view: JobView, task: int) -> str | None:
    value = view.tasks[task].value
    if value is None:
        return None
    return (
        f"{value.size:,} bytes, {_result(view, task)}"
        if value.object
        else value.data.decode("utf-8", "replace")
    )


def _shown_input(view: JobView, task: int) -> str:
    return input_of(view, task).decode("utf-8", "replace")
