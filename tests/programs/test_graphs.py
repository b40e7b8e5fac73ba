"""Programs about which tasks there are and in what order they run."""

from __future__ import annotations

from collections import Counter

import pytest

from jobledger import Job, JobState, TaskState
from jobledger.cache import InMemoryCache, JobCache
from programs.conftest import Output
from programs.workflows import (
    caches,
    chained_prints,
    display_names,
    fibonacci,
    hello,
    map_reduce,
    parent_child,
    recursion,
    sum_of_squares,
)


def assert_completed(job: Job, tasks: int) -> None:
    """Every task ran once, and the job says so."""
    assert job.state is JobState.COMPLETED
    assert job.settled
    assert {state: count for state, count in job.tasks_by_state.items() if count} == {
        TaskState.COMPUTED: tasks
    }
    assert [task.attempt for task in job.tasks] == [1] * tasks


def test_hello(output: Output) -> None:
    assert_completed(hello.main(), 3)
    assert output.lines() == ["Greeting 2 people", "Hello, Ada!", "Hello, Grace!"]


def test_children_run_after_their_parent_in_the_order_of_submission(output: Output) -> None:
    job = parent_child.main(5)
    assert_completed(job, 6)
    assert output.lines() == ["parent: 5 children to come", *(f"child {i}" for i in range(5))]
    assert [child.input_json for child in job.tasks[0].children] == [0, 1, 2, 3, 4]


def test_a_parent_of_thousands(output: Output) -> None:
    assert_completed(parent_child.main(3000), 3001)
    assert len(output.lines()) == 3001


def test_map_reduce(output: Output) -> None:
    job = map_reduce.main()
    assert_completed(job, 6)
    assert output.lines() == ["5 x the", "3 x log", "11 different words"]
    last = job.tasks[5]
    assert [task.number for task in last.depends_on] == [1, 2, 3, 4]


def test_sum_of_squares(output: Output) -> None:
    assert_completed(sum_of_squares.main(), 102)
    assert output.lines() == ["Sum of squares: 338350"]


def test_recursion(output: Output) -> None:
    job = recursion.main(8)
    assert_completed(job, 15)
    assert Counter(output.lines()) == {"at 8": 1, "at 4": 2, "at 2": 4, "at 1": 8}
    for task in job.tasks:
        assert [child.input_json for child in task.children] == [task.input_json // 2] * len(task.children)


def test_recursion_with_results(output: Output) -> None:
    job = fibonacci.main(7)
    # How often one number is asked for before it is known depends on which tasks were claimed together.
    assert 16 <= len(job.tasks) <= 37
    assert_completed(job, len(job.tasks))
    lines = output.lines()
    assert list(dict.fromkeys(lines)) == [
        f"fib({n}) = {value}" for n, value in enumerate((2, 3, 5, 8, 13), 3)
    ]
    assert lines[-1] == "fib(7) = 13"


def test_a_chain(output: Output) -> None:
    job = chained_prints.main(3)
    assert_completed(job, 4)
    assert output.lines() == ["1", "2", "3"]
    assert [[before.number for before in task.depends_on] for task in job.tasks] == [[], [], [1], [2]]


def test_a_chain_may_be_long_and_keeps_its_order_on_many_threads(output: Output) -> None:
    assert_completed(chained_prints.main(100, concurrency=8), 101)
    assert output.lines() == [str(i) for i in range(1, 101)]


def test_tasks_are_called_what_they_say() -> None:
    job = display_names.main()
    assert_completed(job, 4)
    assert [task.display for task in job.tasks] == ["Root(3)", "Leaf Nr. 0", "Leaf Nr. 1", "Leaf Nr. 2"]


@pytest.mark.parametrize("cache", [None, InMemoryCache()], ids=["on the server", "in memory"])
def test_a_dependency_is_over_when_all_below_it_is(output: Output, cache: JobCache | None) -> None:
    producer_consumer, groups = caches.main(cache)
    assert_completed(producer_consumer, 7)
    assert_completed(groups, 1)
    lines = output.lines()
    assert "['level'] two below False" in lines
    lines.remove("['level'] two below False")
    assert lines == ["made by the producer itself", "item-0: 0", "item-1: 10", "item-2: 20", "item-3: 30"]
