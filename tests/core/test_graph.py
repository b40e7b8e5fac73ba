"""Which tasks may run, and which subtrees are complete. Told by examples, then compared with a naive model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hypothesis import event, given, settings
from hypothesis import strategies as st

from jobledger.core import events as e
from jobledger.core.graph import HELD, READY, ROOT, WAITING, TaskGraph
from jobledger.core.job import evolve
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.core.submission import NewTask, columns
from support.histories import JobDriver, graph_snapshot, hinted, submission, task
from support.shapes import KINDS, new_tasks

QUEUED, RUNNING, COMPUTED = TaskState.QUEUED.value, TaskState.RUNNING.value, TaskState.COMPUTED.value
SKIPPED, CANCELED = TaskState.SKIPPED.value, TaskState.CANCELED.value


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


def test_what_depends_on_a_task_does_so_directly_through_others_and_through_the_task_above() -> None:
    job = JobDriver(task("Root"))
    job.run(0, task("A"), task("B", after=[0]), task("C", after=[1]), task("D"))
    job.run(1, task("Part"))
    assert [job.job.graph.dependants([number]) for number in (0, 1, 2, 3, 4, 5)] == [
        set(),
        {2, 3},
        {3},
        set(),
        set(),
        {2, 3},
    ]


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
    for _ in "AB":
        graph.add_kind()
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
        self.canceled: set[int] = set()
        self.retry_at: dict[int, int] = {}

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

    def due_at(self, number: int) -> int:
        return max(KINDS[self.kind[number]].asked.not_before, self.retry_at.get(number, 0))

    def begins(self, number: int) -> bool:
        """Whether it waits for no other task."""
        return all(self.complete(other) for other in self.waits_for[number])

    def ready(self, kinds: Iterable[int], now: int, slots: Mapping[str, int] = {}) -> list[int]:
        away = self.finished | self.busy | self.canceled
        numbers = [
            number
            for number in set(range(len(self.parent))) - away
            if self.kind[number] in kinds and self.begins(number) and self.due_at(number) <= now
        ]
        left, chosen = dict(slots), list[int]()
        for number in sorted(numbers, key=self.order):
            key = KINDS[self.kind[number]].asked.key
            if left.get(key, 1) > 0:
                chosen.append(number)
                left[key] = left.get(key, len(self.parent)) - 1
        return chosen

    def order(self, number: int) -> tuple[int, int, int]:
        return (-KINDS[self.kind[number]].asked.priority, -self.depth(number), number)

    def stranded(self, lost: set[int]) -> set[int]:
        away = self.finished | self.busy
        waiting = {number for number in range(len(self.parent)) if not self.begins(number)} - away
        found: set[int] = set()
        while more := {number for number in waiting if self.depends(number, lost | found)} - found:
            found |= more
        return found

    def depends(self, number: int, lost: set[int]) -> bool:
        return any(lost & ({other} | self.below(other)) for other in self.waits_for[number])


def check_equal(graph: TaskGraph, naive: NaiveGraph, now: int) -> None:
    every = range(len(KINDS))
    graph.wake(now)
    ready = naive.ready(every, now)
    assert graph.next_ready(every, len(graph)) == ready
    assert graph.next_ready(reversed(every), 3) == ready[:3]
    assert graph.next_ready([0, 3], 2) == naive.ready([0, 3], now)[:2]
    for slots in ({"api": 0}, {"api": 1, "other": 0}, {"api": 2}):
        assert graph.next_ready(every, len(graph), slots) == naive.ready(every, now, slots)
        assert graph.next_ready(every, 2, slots) == naive.ready(every, now, slots)[:2]
    assert [number for number, byte in enumerate(graph.ready) if byte == READY] == sorted(ready)
    assert set(graph.ready_specs()) == {naive.kind[number] for number in ready}
    held = {number for number in naive.ready(every, 2**63) if naive.due_at(number) > now}
    assert {number for number, byte in enumerate(graph.ready) if byte == HELD} == held
    assert {number for numbers in hinted(graph).values() for number in numbers} == held | set(ready)
    wake = graph.next_wake  # may be early, for the sake of a task that is held no more
    assert not held or (wake is not None and now < wake <= min(naive.due_at(number) for number in held))
    lost = sorted(naive.canceled)
    stranded = graph.stranded(lost, (QUEUED, CANCELED))
    assert set(stranded) == naive.stranded(naive.canceled)
    assert stranded == {
        number: next(one for one in lost if number in naive.stranded({one})) for number in stranded
    }
    for number in range(len(graph)):
        assert graph.is_complete(number) == naive.complete(number)
        assert [*graph.children(number)] == naive.children[number]
        assert sorted(graph.descendants(number)) == sorted(naive.below(number))
        assert graph.depth[number] == naive.depth(number)
        assert graph.parent[number] == naive.parent[number]


steps = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *["take", "finish", "give back"] * 3,
                "skip",
                "cancel",
                "retry",
                "wait",
                "look",
            ]
        ),
        st.integers(0, 50),  # which task
        st.integers(1, 4),  # how many, or how long
        new_tasks(min_size=0, max_size=3),
        st.booleans(),  # in chunks of one task; tried again later
    ),
    min_size=20,  # short plans, of which there are more, finish hardly anything
    max_size=60,
)


@settings(max_examples=200)
@given(new_tasks(min_size=3, max_size=8), steps)
def test_the_graph_answers_as_a_naive_one(
    roots: list[NewTask], plan: list[tuple[str, int, int, list[NewTask], bool]]
) -> None:
    graph, naive, now = TaskGraph(), NaiveGraph(), 1
    every = range(len(KINDS))
    for spec in KINDS:
        asked = spec.asked
        graph.add_kind(priority=asked.priority, not_before=asked.not_before, key=asked.key)

    def add(tasks: list[NewTask], parent: int, *, chunked: bool) -> int:
        """Add tasks below `parent`. Return the number of the first."""
        first = len(graph)
        for chunk in columns(tasks, max_bytes=1 if chunked else 2**20):
            graph.add(chunk, base=first, parent=parent, specs=[KINDS.index(spec) for spec in chunk.specs])
        naive.add(tasks, parent)
        return first

    def end(number: int, state: int) -> None:
        graph.status[number], graph.ready[number] = state, WAITING

    add(roots, ROOT, chunked=False)
    for action, pick, size, subtasks, later in plan:
        busy = sorted(naive.busy)
        if action == "look":
            # now and then only: looking tidies the heaps, and may hide what is wrong with them
            check_equal(graph, naive, now)
        elif action == "wait":
            now += 5 * size
        elif action == "take":
            graph.wake(now)
            taken = graph.next_ready(every, size)
            assert taken == naive.ready(every, now)[:size]
            for number in taken:
                end(number, RUNNING)
                naive.busy.add(number)
        elif action == "retry" and naive.canceled:
            number = sorted(naive.canceled)[pick % len(naive.canceled)]
            naive.canceled.remove(number)
            naive.retry_at.pop(number, None)
            graph.requeue(number)
        elif action in ("skip", "cancel"):
            queued = sorted(set(range(len(graph))) - naive.busy - naive.finished - naive.canceled)
            for number in queued[pick % len(queued) :][:1] if queued else []:
                end(number, SKIPPED if action == "skip" else CANCELED)
                if action == "skip":
                    graph.finish(number)
                    naive.finished.add(number)
                else:
                    naive.canceled.add(number)
        elif busy and action != "retry":
            number = busy[pick % len(busy)]
            naive.busy.remove(number)
            naive.retry_at.pop(number, None)
            if action == "give back":
                if later:
                    naive.retry_at[number] = now + size
                graph.requeue(number, now + size if later else 0)
            else:
                graph.status[number] = COMPUTED
                first = add(subtasks, number, chunked=later)
                graph.finish(number, first_child=first, children=len(subtasks))
                naive.finished.add(number)
    check_equal(graph, naive, now)
    event(f"finished: {len(naive.finished) // 5 * 5}…")
