"""What may begin next, whatever the batches in which it was handed out."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.adapters.clocks import clock
from jobledger.adapters.protocol import ClaimedJob, ClaimedTask
from jobledger.adapters.runner.assignment import Assignment, Assignments
from jobledger.adapters.runner.lease import Lease
from jobledger.adapters.runner.running.todo import Todo
from jobledger.core.policy import Policy
from jobledger.core.submission import TaskSpec


def make_todo(*, exact: bool = True, lease: float = 1000.0) -> Todo:
    held = Lease()
    held.renewed(clock(), lease, uncounted=False)
    return Todo(held, exact=exact, on_stale=lambda: None)


def spec(priority: int = 0) -> TaskSpec:
    return TaskSpec("Task", 1, 0, "default", policy=Policy(priority=priority) if priority else None)


def claimed(*tasks: int, job: str = "job", depth: int = 0, data: bytes = b"") -> ClaimedJob:
    rows = [ClaimedTask(task, 1, 0, data, depth) for task in tasks]
    return ClaimedJob(job, "a job", [spec()], rows)


def add(todo: Todo, *jobs: ClaimedJob) -> list[Assignment]:
    new = Assignments().admit(jobs)
    todo.answered(new)
    return new


def answer(todo: Todo, *jobs: ClaimedJob, over: Assignment | None = None, limit: int) -> None:
    ended = [] if over is None else [over]
    todo.answered(Assignments().admit(jobs), over=ended, limit=limit, handed_out=jobs)


def take(todo: Todo) -> Assignment:
    assert todo.open
    assignment = todo.take()
    assert assignment is not None
    return assignment


def rest(todo: Todo) -> list[tuple[str, int]]:
    """Take all that may begin; return what it is."""
    taken = []
    while todo.open:
        assignment = take(todo)
        taken.append((assignment.job_id, assignment.task))
    return taken


def numbers(assignments: Sequence[Assignment]) -> list[int]:
    return [assignment.task for assignment in assignments]


# -- the order ----------------------------------------------------------------------------------------------------


def test_larger_priority_comes_first_then_deeper_then_what_was_submitted_before() -> None:
    todo = make_todo()
    specs = [spec(), spec(5), spec(-1)]
    rows = [(7, 0, 1), (3, 0, 2), (4, 0, 2), (1, 1, 0), (2, 2, 9)]  # number, spec, depth
    for number, kind, depth in rows:
        add(todo, ClaimedJob("job", "a job", specs, [ClaimedTask(number, 1, kind, b"", depth)]))
    add(todo, claimed(0))
    assert [task for _, task in rest(todo)] == [1, 3, 4, 7, 0, 2]


def test_jobs_take_turns() -> None:
    todo = make_todo()
    add(todo, claimed(0, 1, 2, job="a"), claimed(0, job="b"), claimed(0, 1, job="c"))
    assert rest(todo) == [("a", 0), ("b", 0), ("c", 0), ("a", 1), ("c", 1), ("a", 2)]


def test_what_was_lost_is_passed_over() -> None:
    todo = make_todo()
    add(todo, claimed(0, 1, 2))[1].lost = True
    assert take(todo).task == 0
    assert take(todo).task == 2
    assert todo.waiting == 0


# -- barriers -----------------------------------------------------------------------------------------------------


def submitted(todo: Todo) -> Assignment:
    """Take the next, and have it submit subtasks."""
    assignment = take(todo)
    assignment.submits = True
    assert todo.ended(assignment)
    return assignment


def test_after_a_submission_nothing_of_the_job_begins_before_the_answer() -> None:
    todo = make_todo()
    add(todo, claimed(0, 1, job="a"), claimed(0, job="b"))
    parent = submitted(todo)
    assert rest(todo) == [("b", 0)]
    assert todo.held_up
    children = claimed(2, 3, job="a", depth=1)
    answer(todo, children, over=parent, limit=10)
    assert rest(todo) == [("a", 2), ("a", 3), ("a", 1)]
    assert not todo.held_up


def test_a_full_answer_says_nothing_of_what_comes_after_its_last_task() -> None:
    todo = make_todo()
    add(todo, claimed(0, 1))
    parent = submitted(todo)
    answer(todo, claimed(2, 3, depth=1), over=parent, limit=2)
    assert [task for _, task in rest(todo)] == [2, 3]
    assert todo.waiting == 1
    answer(todo, claimed(4, depth=1), limit=2)
    assert [task for _, task in rest(todo)] == [4, 1]


def test_an_answer_that_is_full_of_bytes_may_be_full_too() -> None:
    todo = make_todo()
    add(todo, claimed(0, 1))
    parent = submitted(todo)
    answer(todo, claimed(2, depth=1, data=b"x" * 100_000), over=parent, limit=10)
    assert [task for _, task in rest(todo)] == [2]


@pytest.mark.parametrize("limit", [0, 1])
def test_an_answer_that_does_not_speak_of_the_job_leaves_it_held_up(limit: int) -> None:
    todo = make_todo()
    add(todo, claimed(0, 1))
    parent = submitted(todo)
    answer(todo, *[claimed(0, job="other")] * limit, over=parent, limit=limit)
    assert rest(todo) == [("other", 0)] * limit
    assert todo.open == 0
    assert todo.held_up
    answer(todo, limit=1)
    assert rest(todo) == [("job", 1)]


def test_with_several_workers_only_failures_hold_up_a_job() -> None:
    todo = make_todo(exact=False)
    add(todo, claimed(0, 1, 2, 3))
    first, second = take(todo), take(todo)
    first.submits = True
    assert not todo.ended(first)
    second.failed = True
    assert todo.ended(second)
    assert todo.open == 0
    todo.answered(over=[second])
    assert [task for _, task in rest(todo)] == [2, 3]


# -- giving back --------------------------------------------------------------------------------------------------


def test_the_last_ones_are_given_back_first_and_those_held_up_before_the_others() -> None:
    todo = make_todo()
    add(todo, claimed(0, 1, 2, job="a"), claimed(0, 1, job="b"))
    submitted(todo)
    assert [(one.job_id, one.task) for one in todo.take_back(3)] == [("a", 2), ("a", 1), ("b", 1)]
    assert rest(todo) == [("b", 0)]


def test_a_job_or_some_tasks_of_it_can_be_given_back() -> None:
    todo = make_todo()
    add(todo, claimed(*range(10), job="a"), claimed(0, job="b"))
    assert numbers(todo.take_back_job("a", [2, 4, 9, 10])) == [2, 3, 9]
    assert numbers(todo.take_back_job("a")) == [0, 1, 4, 5, 6, 7, 8]
    assert todo.take_back_job("a") == []
    assert (todo.waiting, todo.open) == (1, 1)
    assert rest(todo) == [("b", 0)]


# -- the lease ----------------------------------------------------------------------------------------------------


def test_after_the_lease_nothing_begins_until_it_is_renewed() -> None:
    stale = threading.Event()
    lease = Lease()
    lease.renewed(clock() - 2, 1, uncounted=False)
    todo = Todo(lease, exact=True, on_stale=stale.set)
    add(todo, claimed(0))
    with ThreadPoolExecutor(1) as pool:
        taken = pool.submit(todo.take)
        assert stale.wait(10)
        assert not taken.done()
        lease.renewed(clock(), 1000, uncounted=False)
        todo.go_on()
        assignment = taken.result(10)
    assert assignment is not None
    assert assignment.task == 0


def test_an_older_answer_does_not_shorten_a_lease() -> None:
    lease = Lease()
    assert lease.over
    lease.renewed(clock(), 1000, uncounted=False)
    lease.renewed(clock() - 2, 1, uncounted=False)
    assert not lease.over


# -- exactness ----------------------------------------------------------------------------------------------------


class Node(NamedTuple):
    """A task to be: its priority, and what it submits."""

    priority: int
    children: list[Node]


nodes = st.recursive(
    st.builds(Node, st.integers(-1, 1), st.just([])),
    lambda children: st.builds(Node, st.integers(-1, 1), st.lists(children, max_size=4)),
    max_leaves=30,
)


class Engine:
    """The least an engine does: numbers tasks as they are submitted, and hands out the ready ones in order."""

    def __init__(self, roots: list[Node]) -> None:
        self.tasks: list[tuple[Node, int]] = []
        self._ready: list[tuple[float, int, int]] = []
        self.submit(roots, 0)

    def submit(self, nodes: list[Node], depth: int) -> None:
        for node in nodes:
            number = len(self.tasks)
            self.tasks.append((node, depth))
            heapq.heappush(self._ready, (-node.priority, -depth, number))

    def computed(self, task: int) -> None:
        node, depth = self.tasks[task]
        self.submit(node.children, depth + 1)

    def claim(self, limit: int) -> list[ClaimedJob]:
        numbers = [heapq.heappop(self._ready)[2] for _ in range(min(limit, len(self._ready)))]
        specs = [spec(self.tasks[number][0].priority) for number in numbers]
        rows = [ClaimedTask(n, 1, i, b"", self.tasks[n][1]) for i, n in enumerate(numbers)]
        return [ClaimedJob("job", "a job", specs, rows)] if rows else []

    def one_by_one(self) -> list[int]:
        """Return the order without any batches."""
        order = []
        while self._ready:
            order.append(heapq.heappop(self._ready)[2])
            self.computed(order[-1])
        return order


@given(st.lists(nodes, min_size=1, max_size=4), st.data())
def test_batches_do_not_change_the_order(roots: list[Node], data: st.DataObject) -> None:
    """Whenever what is asked for, reported and answered: up to two exchanges are on their way at a time."""
    engine, todo, assignments = Engine(roots), make_todo(), Assignments()
    order: list[int] = []
    done: list[Assignment] = []
    flights: list[tuple[list[Assignment], int, list[ClaimedJob]]] = []
    expected = Engine(roots).one_by_one()
    while len(order) < len(expected):
        possible = ["begin"] * bool(todo.open) + ["ask"] * (len(flights) < 2) + ["answer"] * bool(flights)
        match data.draw(st.sampled_from(possible)):
            case "begin":
                assignment = take(todo)
                order.append(assignment.task)
                assignment.submits = bool(engine.tasks[assignment.task][0].children)
                todo.ended(assignment)
                done.append(assignment)
            case "ask":
                for assignment in done:
                    engine.computed(assignment.task)
                # a request that is repeated after its answer was lost asks for nothing
                limit = data.draw(st.integers(0, 5)) if todo.open or flights else 5
                flights.append((done, limit, engine.claim(limit)))
                done = []
            case "answer":
                over, limit, jobs = flights.pop(0)
                todo.answered(assignments.admit(jobs), over=over, limit=limit, handed_out=jobs)
    assert order == expected
