"""What conditions mean, for a single row."""

from __future__ import annotations

from random import Random

import pytest

from jobledger.core.lifecycle import JobState
from jobledger.projections.jobs import JobFilter, JobRow
from jobledger.projections.jobs.filters import facets_of
from jobledger.projections.jobs.row import first_place, place_of
from support.rows import random_filter, random_row

ROW = JobRow(place=1, id="b", name="Nightly import", state=JobState.FAILED, counts=[0, 0, 0, 2, 1])


def test_no_condition_holds_for_every_job() -> None:
    assert JobFilter().matches(ROW)
    assert JobFilter().alternatives == []


@pytest.mark.parametrize("name", ["n", "NIGHT", "ly im", "import", "Nightly import"])
def test_a_part_of_the_name_in_any_case(name: str) -> None:
    assert JobFilter(name=name).matches(ROW)
    assert not JobFilter(name=f"{name}!").matches(ROW)


def test_several_values_of_one_condition_are_alternatives_and_conditions_add_up() -> None:
    assert JobFilter(states=[4, 5], task_states=[4]).matches(ROW)
    assert not JobFilter(states=[4, 5], task_states=[2]).matches(ROW)


def test_labels_cannot_be_mistaken_for_each_other() -> None:
    one = JobRow(place=1, id="b", name="", state=JobState.FAILED, labels={"a": "b=c"})
    assert JobFilter(labels={"a": ["b=c"]}).matches(one)
    assert not JobFilter(labels={"a=b": ["c"]}).matches(one)
    assert not JobFilter(labels={"a": ["b"]}).matches(one)


@pytest.mark.parametrize("seed", range(30))
def test_a_condition_that_is_added_never_finds_more(seed: int) -> None:
    random = Random(seed)
    rows = [random_row(random, number) for number in range(40)]
    wanted = random_filter(random)
    assert all(
        JobFilter(name=wanted.name, states=wanted.states).matches(one) for one in rows if wanted.matches(one)
    )


@pytest.mark.parametrize("seed", range(30))
def test_the_places_of_a_time_hold_all_that_was_submitted_in_it(seed: int) -> None:
    random = Random(seed)
    since, before = sorted(random.randint(0, 10_000_000) for _ in range(2))
    low, high = JobFilter(since=since, before=before).places
    assert low is not None
    assert high is not None
    for _ in range(200):
        submitted = random.randint(0, 10_000_000)
        if since <= submitted < before:
            assert low <= place_of(submitted, random.randint(0, 2**40)) < high


def test_an_end_of_time_no_clock_comes_to_is_open() -> None:
    beyond = 10**18
    low, high = JobFilter(before=beyond).places
    assert low is None
    assert high is None or high > place_of(beyond, 5)


def test_facets_are_told_in_one_order() -> None:
    assert facets_of(ROW) == ["s5", "t3", "t4"]
    assert first_place(5_000_000) <= place_of(5_000_000, 0)
