"""One runner of one worker runs the tasks of a job in one order, however many it claims at a time."""

from __future__ import annotations

import heapq
from typing import TypeAlias

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobledger.core.context import ExecutionContext
from jobledger.core.task import Task

from .conftest import Workbench, is_completed

#: a task: its priority, None for that of its parent, and its subtasks
Tree: TypeAlias = tuple[int | None, list["Tree"]]

_order: list[str] = []


class Node(Task):
    name: str
    children: list[tuple[int | None, list]]  # type: ignore[type-arg]

    def execute(self, context: ExecutionContext) -> None:
        _order.append(self.name)
        for index, (priority, children) in enumerate(self.children):
            node = Node(f"{self.name}.{index}", children)
            if priority is None:
                context.submit_subtask(node)
            else:
                context.submit_subtask(node, priority=priority)


def one_by_one(roots: list[Tree]) -> list[str]:
    """Return the order: of the tasks that can run, the one of the largest priority, the deepest, the first submitted."""
    ready: list[tuple[int, int, int, str, list[Tree]]] = []
    order: list[str] = []
    number = 0
    for index, (_, children) in enumerate(roots):
        ready.append((0, 0, number := number + 1, str(index), children))
    while ready:
        priority, depth, _, name, children = heapq.heappop(ready)
        order.append(name)
        for index, (own, below) in enumerate(children):
            number += 1
            minus = priority if own is None else -own
            heapq.heappush(ready, (minus, depth - 1, number, f"{name}.{index}", below))
    return order


trees: st.SearchStrategy[Tree] = st.recursive(
    st.tuples(st.none(), st.just([])),
    lambda trees: st.tuples(st.sampled_from([None, None, None, -1, 0, 7]), st.lists(trees, max_size=6)),
    max_leaves=60,
)


def run(bench: Workbench, roots: list[Tree]) -> list[str]:
    _order.clear()
    job_id = bench.submit(*(Node(str(index), children) for index, (_, children) in enumerate(roots)))
    bench.runner(Node).run_all()
    assert is_completed(bench.job(job_id))
    return list(_order)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(trees, min_size=1, max_size=5))
def test_any_tree_of_tasks_runs_depth_first(bench: Workbench, roots: list[Tree]) -> None:
    assert run(bench, roots) == one_by_one(roots)


def test_a_tree_of_many_short_tasks_runs_depth_first(bench: Workbench) -> None:
    leaf: Tree = (None, [])
    urgent: Tree = (3, [leaf] * 2)
    bush: Tree = (None, [leaf] * 25)
    roots: list[Tree] = [(None, [bush] * 20 + [urgent] + [(None, [bush] * 3)] * 4)] * 3
    assert run(bench, roots) == one_by_one(roots)


def test_more_subtasks_than_are_asked_for_at_once_come_before_what_was_claimed_earlier(
    bench: Workbench,
) -> None:
    leaf: Tree = (None, [])
    roots: list[Tree] = [(None, [leaf] * 10), (None, [leaf] * 1500), leaf, leaf]
    assert run(bench, roots) == one_by_one(roots)
