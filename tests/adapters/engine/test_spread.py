"""Which engine is to own which partition."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from jobledger.adapters.engine.partitions.spread import spread

ENGINES = st.sets(st.sampled_from("abcdefg"), min_size=1).map(sorted)


@st.composite
def situations(draw: st.DrawFn) -> tuple[int, list[str], dict[int, str]]:
    """Any number of partitions, engines that are there, and owners that may have gone."""
    count = draw(st.integers(1, 20))
    owners = draw(st.dictionaries(st.integers(0, count - 1), st.sampled_from("abcdefghij")))
    return count, draw(ENGINES), owners


@given(situations())
def test_every_partition_is_given_to_an_engine_that_is_there(
    situation: tuple[int, list[str], dict[int, str]],
) -> None:
    count, engines, owners = situation
    wanted = spread(count, engines, owners)
    assert list(wanted) == list(range(count))
    assert set(wanted.values()) <= set(engines)


@given(situations())
def test_no_engine_has_two_more_than_another(situation: tuple[int, list[str], dict[int, str]]) -> None:
    count, engines, owners = situation
    counts = Counter(spread(count, engines, owners).values())
    assert max(counts[engine] for engine in engines) - min(counts[engine] for engine in engines) <= 1


@given(situations())
def test_what_is_right_stays(situation: tuple[int, list[str], dict[int, str]]) -> None:
    count, engines, owners = situation
    wanted = spread(count, engines, owners)
    assert spread(count, engines, wanted) == wanted
    assert spread(count, reversed(engines), owners) == wanted


@settings(max_examples=40)
@given(situations(), st.randoms(use_true_random=False))
def test_each_engine_by_itself_they_come_to_rest_and_nothing_moves_twice(
    situation: tuple[int, list[str], dict[int, str]], random: Random
) -> None:
    """They look in any order, give up one partition at a time, and take what is wanted and free."""
    count, engines, owners = situation
    owners = {partition: owner for partition, owner in owners.items() if owner in engines}
    taken: Counter[int] = Counter()
    for _ in range(count * 2):
        for engine in random.sample(engines, len(engines)):
            wanted = spread(count, engines, owners)
            for partition in [one for one in wanted if wanted[one] == engine and one not in owners]:
                owners[partition] = engine
                taken[partition] += 1
            surplus = [one for one in owners if owners[one] == engine and wanted[one] != engine]
            if surplus:
                del owners[surplus[0]]
    assert spread(count, engines, owners) == owners
    assert max(taken.values(), default=0) <= 1


@given(situations())
def test_of_what_an_engine_owns_no_more_is_moved_than_it_has_too_much(
    situation: tuple[int, list[str], dict[int, str]],
) -> None:
    count, engines, owners = situation
    wanted = spread(count, engines, owners)
    for engine in engines:
        had = {partition for partition, owner in owners.items() if owner == engine}
        kept = {partition for partition in had if wanted[partition] == engine}
        assert kept == had or len(kept) == Counter(wanted.values())[engine]
