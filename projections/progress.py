"""How far a job has come, by the counts its tasks keep."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from jobledger.core.events import Progress


class ProgressIndicator(NamedTuple):
    """One label's share of the work, over all tasks of a job."""

    label: str | None  #: None for work that was counted without a label
    total: int
    done: int


def summed(counts: Iterable[list[Progress]]) -> list[ProgressIndicator]:
    """Add up what tasks counted, each by its last execution, in the order in which labels first show up.

    >>> summed([[Progress("", 2, 1)], [Progress("tiles", 9, 0), Progress("", 1, 1)]])
    [ProgressIndicator(label=None, total=3, done=2), ProgressIndicator(label='tiles', total=9, done=0)]
    """
    sums: dict[str, list[int]] = {}
    for task in counts:
        for label, total, done in ((one.label, one.total, one.done) for one in task):
            sum_ = sums.setdefault(label, [0, 0])
            sum_[0] += total
            sum_[1] += done
    return [ProgressIndicator(label or None, total, done) for label, (total, done) in sums.items()]
