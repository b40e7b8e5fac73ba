"""Which tasks may run, and which subtrees are complete. Told by examples, then compared with a naive model."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import event, given, settings
from hypothesis import strategies as st

from jobledger.core import events as e
from jobledger.core.graph import ROOT, TaskGraph
from jobledger.core.job import evolve
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.core.submission import NewTask, columns
from support.histories import JobDriver, graph_snapshot, hinted, submission, task
from support.shapes import KINDS, new_tasks

RUNNING, COMPUTED = TaskState.RUNNING.value, TaskState.COMPUTED.value


# -- by example -----------------------------------------------------------------------------------------------------


def test_a_task_waits_for_the_whole_subtree_of_what_it_depends_on() -> None:
    job = JobDriver(task("Root"))
    job.run(0, task("First"), task("Then", after=[0]))
    job.run(1, task("Child"))
    assert not job.job.graph.is_complete(1)  # computed, but its child is not
    job.run(3, task("Grandchild"))
    assert job.claim(9) == [4]
    job.compute(4)
    assert job.job.graph.is_complete(1)
    assert job.claim(9) == [2]


def test_a_task_waits_for_all_it_depends_on() -> None:
    job = JobDriver(task("Root"))
    job.run(0, task(), task(), task(), task("Reduce", after=[0, 1, 2]))
    assert job.claim(9) == [1, 2, 3]
    for number in (3, 1):
        job.compute(number)
        assert job.claim(9) == []
    job.compute(2)
    assert job.claim(9) == [4]


def test_skipped_and_failed_optional_tasks_count_as_complete() -> None:
    job = JobDriver(task("Root"))
    job.run(0, task("X", optional=True), task("After X", after=[0]))
    job.run(1, task("Fail"), task("Skipped", after=[0]))
    job.claim()
    job.fail(3)
    assert job.states == "CCQOS"
    assert job.job.graph.is_complete(1)
    assert job.claim(9) == [2]


def test_a_failed_task_is_not_complete() -> None:
    job = JobDriver(task("Root"))
    job.run(0, task(), task(after=[0]))
    job.claim()
    job.fail(1)
    job.retry()
    assert job.claim(9) == [1]
    job.compute(1)
    assert job.claim(9) == [2]


def test_a_task_may_be_in_many_dependency_sets() -> None:
    # task 1 is waited for by every other one, each with a set of its own
    job = JobDriver(task("Root"))
    job.run(0, *[task(after=range(position)) for position in range(75)])
    assert len(job.job.graph.members) == 74
    assert job.drain() == [*range(1, 76)]
    assert job.state is JobState.COMPLETED


def test_a_chain_of_500() -> None:
    job = JobDriver(task("Root"))
    job.run(0, *[task(after=[position - 1] if position else []) for position in range(500)])
    for number in range(1, 501):
        assert job.claim(9) == [number]
        job.compute(number)
    assert job.state is JobState.COMPLETED


def test_completion_climbs_a_deep_tree() -> None:
    job = JobDriver(task("Root"))
    for depth in range(2000):
        job.claim()
        job.compute(depth, task())
    assert not job.job.graph.is_complete(0)
    job.drain()
    assert all(job.job.graph.is_complete(number) for number in range(2001))
    assert job.state is JobState.COMPLETED


def test_tasks_that_wait_for_the_same_share_one_set() -> None:
    job = JobDriver(task("Root"))
    job.run(0, *[task() for _ in range(50)], *[task("Late", after=range(50)) for _ in range(50)])
    assert job.job.graph.members == [[1, 51]]


def test_staged_subtasks_may_wait_for_those_of_earlier_chunks() -> None:
    job = JobDriver(task("Root"))
    job.claim()
    tasks = [task("A"), task("B"), task("C", after=[0, 1]), task("D", after=[1, 2]), task("E", after=[0])]
    chunks = list(columns(tasks, max_bytes=1))
    assert [chunk.start for chunk in chunks] == [0, 1, 2, 3, 4]
    for chunk in chunks:
        job.stage(0, chunk)
    assert len(job.job.graph) == 1
    job.compute(0)
    for number, made_ready in [(1, [5]), (2, [3]), (5, []), (3, [4]), (4, [])]:
        assert number in job.claim(1, specs=[job.job.graph.spec[number]])
        job.compute(number)
        ready = job.job.graph.next_ready(range(9), 9)
        assert [other for other in ready if other in made_ready] == made_ready


def test_of_neighbours_that_become_ready_those_that_were_skipped_stay_out() -> None:
    job = JobDriver(task(), *[task(after=[0]) for _ in range(4)])
    evolve(job.job, e.TasksSkipped([2, 4], 0), 1)
    assert job.drain() == [0, 1, 4]
    assert job.states == "CCSSC"
    assert job.state is JobState.COMPLETED


def test_kinds_with_something_ready_are_told() -> None:
    job = JobDriver(task("A"), task("B"), task("C", after=[0]))
    assert set(job.job.graph.ready_specs()) == {0, 1}
    job.claim(specs=[1])
    assert set(job.job.graph.ready_specs()) == {0}
    job.run(0)
    assert set(job.job.graph.ready_specs()) == {2}


def test_looking_changes_nothing() -> None:
    graph = TaskGraph()
    graph.add(submission(*[task("AB"[number % 2]) for number in range(6)]), base=0, parent=ROOT, specs=[0, 1])
    before = graph_snapshot(graph)
    assert graph.next_ready([1, 0], 3) == graph.next_ready([0, 1], 3) == [0, 1, 2]
    assert set(graph.ready_specs()) == {0, 1}
    assert graph_snapshot(graph) == before


# -- against a naive model ------------------------------------------------------------------------------------------


class NaiveGraph:
    """The same by definition: every question is answered by walking all tasks."""

    def __init__(self) -> None:
        self.parent: list[int] = []
        self.kind: list[int] = []
        self.waits_for: list[set[int]] = []
        self.children: list[list[int]] = []
        self.finished: set[int] = set()
        self.busy: set[int] = set()

    def add(self, tasks: list[NewTask], parent: int) -> None:
        base = len(self.parent)
        for position, new in enumerate(tasks):
            self.parent.append(parent)
            self.kind.append(KINDS.index(new.spec))
            self.waits_for.append({base + other for other in new.depends_on})
            self.children.append([])
            if parent != ROOT:
                self.children[parent].append(base + position)

    def complete(self, number: int) -> bool:
        return number in self.finished and all(self.complete(child) for child in self.children[number])

    def depth(self, number: int) -> int:
        parent = self.parent[number]
        return 0 if parent == ROOT else 1 + self.depth(parent)

    def below(self, number: int) -> set[int]:
        return {other for child in self.children[number] for other in {child} | self.below(child)}

    def ready(self, kinds: Iterable[int]) -> list[int]:
        numbers = [
            number
            for number in range(len(self.parent))
            if number not in self.finished | self.busy
            and self.kind[number] in kinds
            and all(self.complete(other) for other in self.waits_for[number])
        ]
        return sorted(numbers, key=lambda number: (-self.depth(number), number))


def check_equal(graph: TaskGraph, naive: NaiveGraph) -> None:
    every = range(len(KINDS))
    ready = naive.ready(every)
    assert graph.next_ready(every, len(graph)) == ready
    assert graph.next_ready(reversed(every), 3) == ready[:3]
    assert graph.next_ready([0, 3], 2) == naive.ready([0, 3])[:2]
    assert [number for number in range(len(graph)) if graph.ready[number]] == sorted(ready)
    assert set(graph.ready_specs()) == {naive.kind[number] for number in ready}
    assert {number for numbers in hinted(graph).values() for number in numbers} == set(ready)
    for number in range(len(graph)):
        assert graph.is_complete(number) == naive.complete(number)
        assert [*graph.children(number)] == naive.children[number]
        assert sorted(graph.descendants(number)) == sorted(naive.below(number))
        assert graph.depth[number] == naive.depth(number)
        assert graph.parent[number] == naive.parent[number]


steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["take", "take", "finish", "finish", "finish", "give back", "give back", "skip", "look"]
        ),
        st.integers(0, 50),  # which task
        st.integers(1, 4),  # how many
        new_tasks(min_size=0, max_size=3),
        st.booleans(),  # in chunks of one task
    ),
    min_size=20,  # short plans, of which there are more, finish hardly anything
    max_size=60,
)


@settings(max_examples=200)
@given(new_tasks(min_size=3, max_size=8), steps)
def test_the_graph_answers_as_a_naive_one(
    roots: list[NewTask], plan: list[tuple[str, int, int, list[NewTask], bool]]
) -> None:
    graph, naive = TaskGraph(), NaiveGraph()

    def add(tasks: list[NewTask], parent: int, *, chunked: bool) -> int:
        """Add tasks below `parent`. Return the number of the first."""
        first = len(graph)
        for chunk in columns(tasks, max_bytes=1 if chunked else 2**20):
            graph.add(chunk, base=first, parent=parent, specs=[KINDS.index(spec) for spec in chunk.specs])
        naive.add(tasks, parent)
        return first

    add(roots, ROOT, chunked=False)
    for action, pick, size, subtasks, chunked in plan:
        busy = sorted(naive.busy)
        if (
            action == "look"
        ):  # now and then only: looking tidies the heaps, and may hide what is wrong with them
            check_equal(graph, naive)
        elif action == "take":
            taken = graph.next_ready(range(len(KINDS)), size)
            assert taken == naive.ready(range(len(KINDS)))[:size]
            for number in taken:
                graph.status[number], graph.ready[number] = RUNNING, 0
                naive.busy.add(number)
        elif action == "skip":
            queued = sorted(set(range(len(graph))) - naive.busy - naive.finished)
            for number in queued[pick % len(queued) :][:1] if queued else []:
                graph.status[number], graph.ready[number] = TaskState.SKIPPED.value, 0
                graph.finish(number)
                naive.finished.add(number)
        elif busy:
            number = busy[pick % len(busy)]
            naive.busy.remove(number)
            if action == "give back":
                graph.requeue(number)
            else:
                graph.status[number] = COMPUTED
                first = add(subtasks, number, chunked=chunked)
                graph.finish(number, first_child=first, children=len(subtasks))
                naive.finished.add(number)
    check_equal(graph, naive)
    event(f"finished: {len(naive.finished) // 5 * 5}…")
