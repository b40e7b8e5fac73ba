"""Counting what is queued: against counting one task at a time, on histories of all kinds."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from jobledger.core.graph import HELD, READY, ROOT, TaskGraph
from jobledger.core.lifecycle import TaskState
from jobledger.core.submission import NewTask, TaskSpec, columns
from jobledger.projections import census
from jobledger.projections.census import Queued, take_census

KINDS = [TaskSpec(name, 1, 0, "default") for name in ("A", "B", "C")]


def graph_of(kinds: Sequence[int], random: Random) -> TaskGraph:
    """Return a graph of tasks of these kinds, in any state they can be in."""
    graph = TaskGraph()
    for number in range(len(KINDS)):
        graph.add_kind(not_before=10 if number == 2 else 0)
    tasks = [
        NewTask(
            KINDS[kind], b"", frozenset({random.randrange(place)} if place and random.random() < 0.3 else ())
        )
        for place, kind in enumerate(kinds)
    ]
    (submission,) = columns(tasks)
    graph.add(submission, base=0, parent=ROOT, specs=[KINDS.index(spec) for spec in submission.specs])
    for task in range(len(kinds)):
        if graph.ready[task] and random.random() < 0.4:
            graph.status[task] = random.choice([TaskState.RUNNING.value, TaskState.FAILED.value])
            graph.ready[task] = 0
    return graph


def one_by_one(graph: TaskGraph) -> dict[int, tuple[int, int, int, int]]:
    found: dict[int, list[int]] = {}
    for task, status in enumerate(graph.status):
        if status == TaskState.QUEUED.value:
            entry = found.setdefault(graph.spec[task], [0, 0, 0, -1])
            place = {READY: 0, HELD: 1}.get(graph.ready[task], 2)
            entry[place] += 1
            if place == 0 and entry[3] < 0:
                entry[3] = task
    return {kind: (ready, held, waiting, first) for kind, (ready, held, waiting, first) in found.items()}


def counted(graph: TaskGraph) -> dict[int, tuple[int, int, int, int]]:
    found: dict[int, Queued] = {}
    for _ in take_census(graph, found):
        pass
    return {kind: (one.ready, one.held, one.waiting, one.first) for kind, one in found.items()}


@pytest.mark.parametrize("seed", range(30))
def test_a_census_is_what_counting_one_by_one_comes_to(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = Random(seed)
    monkeypatch.setattr(census, "_SLICE", random.choice([1, 3, 16, 1000]))
    runs = [[random.randrange(3)] * random.choice([1, 2, 40]) for _ in range(random.choice([1, 10]))]
    graph = graph_of([kind for run in runs for kind in run], random)
    assert counted(graph) == one_by_one(graph)


def test_a_job_without_tasks_has_nothing_queued() -> None:
    assert counted(TaskGraph()) == {}
