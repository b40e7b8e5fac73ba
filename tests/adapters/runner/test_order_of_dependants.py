"""One runner of one worker, and siblings that wait for each other: what becomes ready comes where it belongs."""

from __future__ import annotations

from typing import TypeAlias

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobledger.core.context import ExecutionContext, FutureTask
from jobledger.core.task import Task

from .conftest import Workbench, is_completed

#: a task: its place in order of submission, the earlier siblings it waits for, and its subtasks
Branch: TypeAlias = tuple[list[int], list["Branch"]]

_order: list[str] = []


class Waiting(Task):
    name: str
    children: list[tuple[list[int], list]]  # type: ignore[type-arg]

    def execute(self, context: ExecutionContext) -> None:
        _order.append(self.name)
        futures: list[FutureTask] = []
        for index, (waits, children) in enumerate(self.children):
            child = Waiting(f"{self.name}.{index}", children)
            futures.append(context.submit_subtask(child, depends_on=[futures[one] for one in waits]))


class _Node:
    def __init__(self, name: str, number: int, depth: int, parent: _Node | None, branch: Branch) -> None:
        self.name, self.number, self.depth, self.parent = name, number, depth, parent
        self.branch = branch
        self.waits: list[_Node] = []
        self.open = 1

    def finish(self, children: int) -> None:
        self.open += children - 1
        if not self.open and self.parent is not None:
            self.parent.finish(0)


def one_by_one(root: Branch) -> list[str]:
    """Return the order by looking, after each task, at all that can run."""
    nodes = [_Node("r", 0, 0, None, root)]
    order: list[str] = []
    begun: set[_Node] = set()
    while True:
        ready = [n for n in nodes if n not in begun and not any(one.open for one in n.waits)]
        if not ready:
            return order
        node = min(ready, key=lambda n: (-n.depth, n.number))
        begun.add(node)
        order.append(node.name)
        children: list[_Node] = []
        for index, branch in enumerate(node.branch[1]):
            child = _Node(f"{node.name}.{index}", len(nodes), node.depth + 1, node, branch)
            child.waits = [children[one] for one in branch[0]]
            children.append(child)
            nodes.append(child)
        node.finish(len(children))


def _wired(children: list[tuple[set[int], Branch]]) -> list[Branch]:
    """Let each child wait for some of those before it."""
    return [
        ([one for one in sorted(waits) if one < index], branch[1])
        for index, (waits, branch) in enumerate(children)
    ]


branches: st.SearchStrategy[Branch] = st.recursive(
    st.just(([], [])),
    lambda inner: st.lists(st.tuples(st.sets(st.integers(0, 6), max_size=2), inner), max_size=7).map(
        lambda children: ([], _wired(children))
    ),
    max_leaves=40,
)


def run(bench: Workbench, root: Branch) -> list[str]:
    _order.clear()
    job_id = bench.submit(Waiting("r", root[1]))
    bench.runner(Waiting).run_all()
    assert is_completed(bench.job(job_id))
    return list(_order)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(branches)
def test_any_graph_of_tasks_runs_in_one_order(bench: Workbench, root: Branch) -> None:
    assert run(bench, root) == one_by_one(root)


def test_a_dependant_comes_before_later_siblings_that_were_ready_first(bench: Workbench) -> None:
    leaf: Branch = ([], [])
    pairs: list[Branch] = [branch for index in range(60) for branch in (leaf, ([2 * index], []))]
    root: Branch = ([], [*pairs, ([0, 119], [])])
    assert run(bench, root) == one_by_one(root)
