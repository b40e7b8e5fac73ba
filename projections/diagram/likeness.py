"""Which tasks look alike, from "in every respect" to "of the same name": one number per task, equal where alike.

Whole subtrees are compared by giving every shape a number, children before parents: children have larger numbers than
their parents, so that one pass from the last task to the first does. What a task waits for and what waits for it are
compared by hashes of dependency sets, relative to the first sibling, so that cousins can be alike. A set costs as much
as it has ranges, however many tasks are in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import accumulate, chain, compress
from operator import sub, xor

from jobledger.core import ranges
from jobledger.core.graph import ROOT
from jobledger.core.submission import NO_DEPENDENCIES

from .outline import Outline

_MASK = 2**64 - 1


def spread(sets: Iterable[Sequence[int]]) -> tuple[list[int], list[tuple[int, int]]]:
    """Return the first task of each range in these sets, and all ranges of several tasks, merged: what many sets share
    is looked at once. Together they are the union of the sets."""
    flat = list(chain.from_iterable(sets))
    starts, stops = flat[::2], flat[1::2]
    several = compress(zip(starts, stops, strict=True), map((1).__lt__, map(sub, stops, starts)))
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(set(several)):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(stop, merged[-1][1])
        else:
            merged.append((start, stop))
    return starts, merged


class Likeness:
    """Keys of the tasks of an outline, computed when first asked for. `levels` go from fine to coarse."""

    levels = range(5)
    by_role = 2  #: the first level at which it does not matter for which tasks one waits

    def __init__(self, outline: Outline) -> None:
        self._outline = outline

    def keys(self, level: int) -> Sequence[int]:
        """Return a number for each task; alike at this level are tasks whose numbers are equal."""
        return (self._alike, self._alike_but_text, self._same_role, self._same_place, self._same_name)[
            level
        ]()

    def _alike(self) -> Sequence[int]:
        return self._exact

    def _alike_but_text(self) -> Sequence[int]:
        return self._shapes(texts=False) if self._outline.displays else self._exact

    def _same_role(self) -> Sequence[int]:
        return [16 * place + look for place, look in zip(self._places, self._outline.looks, strict=True)]

    def _same_place(self) -> Sequence[int]:
        return self._places

    def _same_name(self) -> Sequence[int]:
        return self._names

    @cached_property
    def _exact(self) -> list[int]:
        return self._shapes(texts=True)

    @cached_property
    def _names(self) -> list[int]:
        numbers: dict[str, int] = {}
        by_spec = [numbers.setdefault(spec.name, len(numbers)) for spec in self._outline.specs]
        return [by_spec[spec] for spec in self._outline.spec]

    @cached_property
    def _places(self) -> list[int]:
        """Name, whether it waits for any other, and whether any other waits for it."""
        outline = self._outline
        awaited = bytearray(len(outline.looks))
        starts, several = spread(outline.members)
        for task in starts:
            awaited[task] = 1
        for start, stop in several:
            awaited[start:stop] = b"\x01" * (stop - start)
        columns = zip(self._names, outline.dependencies, awaited, strict=True)
        return [4 * name + 2 * (waits != NO_DEPENDENCIES) + one for name, waits, one in columns]

    def _shapes(self, *, texts: bool) -> list[int]:
        outline = self._outline
        keys = [0] * len(outline.looks)
        numbers: dict[object, int] = {}
        displays = outline.displays if texts else {}
        first_child, child_count = outline.first_child, outline.child_count
        looks, spec, waits, awaited = outline.looks, outline.spec, self._waits, self._awaited
        for task in range(len(keys) - 1, -1, -1):
            below = 0
            if child_count[task]:
                first = first_child[task]
                children = Counter(keys[first : first + child_count[task]])
                below = numbers.setdefault(tuple(sorted(children.items())), len(numbers) + 1)
            key = (spec[task], displays.get(task), looks[task], below, waits[task], awaited[task])
            keys[task] = numbers.setdefault(key, len(numbers) + 1)
        return keys

    @cached_property
    def _waits(self) -> Sequence[int]:
        """For each task, a hash of what it waits for; 0 if for nothing."""
        hashes = self._hashes
        return [hashes[index] if index != NO_DEPENDENCIES else 0 for index in self._outline.dependencies]

    @cached_property
    def _awaited(self) -> Sequence[int]:
        """For each task, a hash of the dependency sets it is in; 0 if in none."""
        outline = self._outline
        changes = [0] * (len(outline.looks) + 1)
        seen: set[tuple[int, int]] = set()
        for members, told in zip(outline.members, self._hashes, strict=True):
            family = outline.parent[members[0]]
            if (family, told) in seen:
                continue  # the same set, submitted again in a later chunk
            seen.add((family, told))
            for start, stop in ranges.pairs(members):
                changes[start] ^= told
                changes[stop] ^= told
        return list(accumulate(changes[:-1], xor))

    def sets_exceed(self, families: Iterable[range], most: int) -> bool:
        """Whether the tasks of these families wait for more than `most` different sets, so that more are not alike.

        Cheap to answer where it saves most: among 100,000 tasks with a set each, a few hundred are looked at.
        """
        outline = self._outline
        seen: set[int] = set()
        different: set[tuple[int, ...]] = set()
        for family in families:
            for index in outline.dependencies[family.start : family.stop]:
                if index not in seen:
                    seen.add(index)
                    members = outline.members[index] if index != NO_DEPENDENCIES else ()
                    different.add(tuple([number - family.start for number in members]))
                    if len(different) > most:
                        return True
        return False

    @cached_property
    def _hashes(self) -> list[int]:
        """For each dependency set, a hash of its members' places among their siblings; never 0."""
        outline = self._outline
        hashes = []
        for members in outline.members:
            parent = outline.parent[members[0]]
            first = 0 if parent == ROOT else outline.first_child[parent]
            hashes.append(_scattered(hash(tuple([number - first for number in members]))) or 1)
        return hashes


def _scattered(number: int) -> int:
    """Return 64 bits that depend on all bits of `number` (splitmix64), so that they may be combined by xor."""
    number = (number + 0x9E3779B97F4A7C15) & _MASK
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    number = (number ^ number >> 27) * 0x94D049BB133111EB & _MASK
    return number ^ number >> 31
