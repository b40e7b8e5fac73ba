"""What a process has counted, as it travels: MessagePack, an answer to an empty request on the subject `metrics`."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TypeAlias

import msgspec


class Sample(msgspec.Struct, array_like=True, frozen=True):
    """One figure."""

    #: of the labels that the catalogue names, in order, without those that say who speaks
    labels: tuple[str, ...]
    value: float  #: of a histogram the sum
    #: of a histogram: upper bounds, each with how many were not above it
    buckets: list[tuple[float, int]] = []


Samples: TypeAlias = dict[str, list[Sample]]


class Report(msgspec.Struct, array_like=True, frozen=True):
    """All figures of one process."""

    kind: str  #: "engine", "projector", "feed" or "server", which is that of a data folder
    process: str  #: its id
    samples: Samples  #: by the name of the metric


encode = msgspec.msgpack.Encoder().encode
decode_report = msgspec.msgpack.Decoder(Report).decode


class Histogram:
    """How many of what was observed lay between bounds, and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def sample(self) -> Sample:
        """Return it as it is now.

        >>> lengths = Histogram([1, 10])
        >>> lengths.observe(1), lengths.observe(4), lengths.observe(100)
        (None, None, None)
        >>> lengths.sample()
        Sample(labels=(), value=105.0, buckets=[(1, 1), (10, 2), (inf, 3)])
        """
        buckets, total = [], 0
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            total += count
            buckets.append((bound, total))
        return Sample((), self._sum, buckets)
