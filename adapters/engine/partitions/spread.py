"""Which engine is to own which partition: worked out by each engine for itself, alike from the same facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def spread(count: int, engines: Iterable[str], owners: Mapping[int, str]) -> dict[int, str]:
    """Return the engine that is to own each of `count` partitions, for as few as possible another than now.

    No engine is to own two more than another. Who is not among `engines` owns nothing any more.
    Shape:  `owners` is by partition; one that nobody owns is missing.

    >>> spread(4, ["a"], {})
    {0: 'a', 1: 'a', 2: 'a', 3: 'a'}
    >>> spread(4, ["a", "b"], {0: "a", 1: "a", 2: "a", 3: "a"})
    {0: 'a', 1: 'a', 2: 'b', 3: 'b'}
    >>> spread(4, ["b", "c", "d"], {0: "a", 1: "a", 2: "b", 3: "b"})
    {0: 'c', 1: 'd', 2: 'b', 3: 'b'}
    """
    owned: dict[str, list[int]] = {engine: [] for engine in sorted(engines)}
    for partition in range(count):
        owner = owners.get(partition)
        if owner in owned:
            owned[owner].append(partition)
    least, more = divmod(count, len(owned))
    # Where the partitions cannot be divided evenly, those have one more that own most as it is.
    ranked = sorted(owned, key=lambda engine: -len(owned[engine]))
    shares = {engine: least + (place < more) for place, engine in enumerate(ranked)}
    wanted = {partition: engine for engine in ranked for partition in owned[engine][: shares[engine]]}
    free = iter(partition for partition in range(count) if partition not in wanted)
    for engine in ranked:
        for _ in range(shares[engine] - len(owned[engine])):
            wanted[next(free)] = engine
    return dict(sorted(wanted.items()))
