"""Tasks as columns and back, in one piece or in chunks; and what is not columns is refused."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.core import ranges
from jobledger.core.submission import (
    NO_DEPENDENCIES,
    NewRun,
    NewTask,
    Submission,
    TaskSpec,
    columns,
    columns_of_runs,
)
from jobledger.core.task import TaskIdentifier
from support.histories import submission, task
from support.shapes import new_tasks

SPEC = TaskSpec("Task", 1, 0, "default")


def rows(chunks: Iterable[Submission]) -> list[NewTask]:
    """Return what `columns` was given: the definition of what columns mean."""
    tasks: list[NewTask] = []
    for chunk in chunks:
        assert chunk.start == len(tasks)
        for run in chunk.runs():
            assert run.start == len(tasks)
            waits = [] if run.dependencies == NO_DEPENDENCIES else chunk.dependency_sets[run.dependencies]
            members = frozenset(ranges.numbers(waits))
            for position in range(run.start, run.stop):
                tasks.append(NewTask(chunk.specs[run.spec], chunk.inputs[position - chunk.start], members))
        assert len(tasks) == chunk.start + len(chunk)
    return tasks


@given(new_tasks(max_size=12), st.sampled_from([1, 15, 40, 2**30]))
def test_columns_hold_what_the_rows_held(tasks: list[NewTask], max_bytes: int) -> None:
    chunks = list(columns(tasks, max_bytes=max_bytes))
    assert rows(chunks) == tasks
    for chunk in chunks:
        chunk.check()
    if max_bytes == 1:
        assert all(len(chunk) == 1 for chunk in chunks)
    if max_bytes == 2**30:
        assert len(chunks) == 1


@given(new_tasks(max_size=12), st.sampled_from([1, 15, 40, 2**30]))
def test_runs_make_the_same_columns_as_their_rows(tasks: list[NewTask], max_bytes: int) -> None:
    runs = [
        NewRun(spec, [row.input for row in same], members)
        for (spec, members), same in groupby(tasks, lambda row: (row.spec, row.depends_on))
    ]
    assert list(columns_of_runs(runs, max_bytes=max_bytes)) == list(columns(tasks, max_bytes=max_bytes))


@given(new_tasks(max_size=12))
def test_columns_are_the_same_after_the_wire(tasks: list[NewTask]) -> None:
    (chunk,) = columns(tasks)
    data = msgspec.msgpack.encode(chunk)
    assert msgspec.msgpack.decode(data, type=Submission) == chunk


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=40), st.integers(20, 200))
def test_chunks_keep_to_the_limit(inputs: list[bytes], max_bytes: int) -> None:
    for chunk in columns([NewTask(SPEC, data, frozenset()) for data in inputs], max_bytes=max_bytes):
        fixed = len(msgspec.msgpack.encode(chunk)) - sum(len(data) for data in chunk.inputs)
        assert len(chunk) == 1 or sum(len(data) for data in chunk.inputs) <= max_bytes
        assert fixed < 50 + 3 * len(chunk)


def test_nothing_makes_no_submission() -> None:
    assert list(columns([])) == []


def test_a_hundred_thousand_tasks_of_one_kind_take_a_few_bytes_each() -> None:
    (chunk,) = columns([task(data=b"")] * 100_000)
    assert chunk.spec_runs == [0, 100_000]
    assert chunk.dependency_runs == []
    assert len(msgspec.msgpack.encode(chunk)) < 100_000 * 2 + 100


def test_what_waits_for_the_same_shares_one_set() -> None:
    chunk = submission(task(), task(), task(after=[0, 1]), task("Other", after=[1, 0]), task(after=[0]))
    assert chunk.dependency_sets == [[0, 2], [0, 1]]
    assert chunk.dependency_runs == [NO_DEPENDENCIES, 2, 0, 2, 1, 1]
    assert [spec.name for spec in chunk.specs] == ["Task", "Other"]
    assert chunk.spec_runs == [0, 3, 1, 1, 0, 1]


def test_a_kind_knows_its_identifier() -> None:
    assert SPEC.identifier == TaskIdentifier("Task", 1, 0)


# -- what is refused ------------------------------------------------------------------------------------------------

SOUND: dict[str, Any] = {
    "inputs": [b"", b"", b""],
    "specs": [SPEC],
    "spec_runs": [0, 3],
    "dependency_sets": [[0, 1]],
    "dependency_runs": [-1, 1, 0, 2],
    "start": 0,
}


def test_the_sound_one_is_sound() -> None:
    Submission(**SOUND).check()
    msgspec.structs.replace(Submission(**SOUND), start=7).check()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"inputs": []}, "at least one task"),
        ({"inputs": [b""]}, "spec_runs does not cover 1 tasks"),
        ({"spec_runs": []}, "spec_runs does not cover"),
        ({"spec_runs": [0, 2]}, "spec_runs does not cover"),
        ({"spec_runs": [0, 4]}, "spec_runs does not cover"),
        ({"spec_runs": [0, 3, 0]}, "spec_runs does not cover"),
        ({"spec_runs": [0, 3, 0, 0]}, "spec_runs does not cover"),
        ({"spec_runs": [0, 4, 0, -1]}, "spec_runs does not cover"),
        ({"spec_runs": [1, 3]}, "spec_runs names entry 1"),
        ({"spec_runs": [-1, 3]}, "spec_runs names entry -1"),
        ({"specs": []}, "spec_runs names entry 0"),
        ({"specs": [TaskSpec("", 1, 0, "default")]}, "needs a name"),
        ({"specs": [TaskSpec("Task", 1, 0, "")]}, "needs a name, a cluster"),
        ({"specs": [TaskSpec("Task", 1, 0, "default", -1)]}, "max_retries >= 0"),
        ({"dependency_runs": []}, "no task waits for one"),
        ({"dependency_runs": [-1, 1, 0, 1]}, "dependency_runs does not cover"),
        ({"dependency_runs": [-1, 1, 1, 2]}, "dependency_runs names entry 1"),
        ({"dependency_runs": [-1, 1, -2, 2]}, "dependency_runs names entry -2"),
        ({"dependency_runs": [-1, 3]}, "no task waits for dependency set 0"),
        ({"dependency_sets": [[0, 1], [0, 1]]}, "no task waits for dependency set 1"),
        ({"dependency_sets": [[0, 1], [0]]}, "no task waits for dependency set 1"),
        ({"dependency_sets": []}, "dependency_runs names entry 0"),
        ({"dependency_sets": [[]]}, "a dependency set is empty"),
        ({"dependency_sets": [[0]]}, "no end for their last start"),
        ({"dependency_sets": [[0, 0]]}, "is empty"),
        ({"dependency_sets": [[-1, 1]]}, "is empty, or not after"),
        ({"dependency_sets": [[0, 2]]}, "not among the first 1"),  # would wait for itself
        ({"dependency_sets": [[2, 3]]}, "not among the first 1"),  # would wait for a later one
        ({"start": -1}, "start is negative"),
    ],
    ids=str,
)
def test_malformed_columns_are_refused(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Submission(**{**SOUND, **columns}).check()


@given(
    st.builds(
        Submission,
        inputs=st.lists(st.just(b""), max_size=4),
        specs=st.lists(st.just(SPEC), max_size=2),
        spec_runs=st.lists(st.integers(-1, 4), max_size=6),
        dependency_sets=st.lists(st.lists(st.integers(-1, 5), max_size=4), max_size=2),
        dependency_runs=st.lists(st.integers(-2, 4), max_size=6),
        start=st.integers(-1, 2),
    )
)
def test_whatever_passes_the_check_can_be_read(chunk: Submission) -> None:
    try:
        chunk.check()
    except ValueError:
        return
    runs = list(chunk.runs())
    assert [position for run in runs for position in range(run.start, run.stop)] == [
        *range(chunk.start, chunk.start + len(chunk))
    ]
    for run in runs:
        if run.dependencies != NO_DEPENDENCIES:
            members = [*ranges.numbers(chunk.dependency_sets[run.dependencies])]
            assert members == sorted(set(members))
            assert 0 <= members[0] <= members[-1] < run.start
