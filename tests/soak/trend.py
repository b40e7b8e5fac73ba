"""Whether a figure grows for good, told from one that only goes up and down.

Two tests have to agree, neither of which minds outliers, sawteeth or the scale of the noise. Theil and Sen's slope, the
median of the slopes between all pairs of samples, says how much a figure grew: more than it is allowed. Kendall's tau (the
test of Mann and Kendall) says that this is no accident: of all pairs, so many rise that there is one chance in a thousand for a
figure without a trend to look like it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from statistics import median
from typing import NamedTuple

#: of the standard normal distribution: exceeded once in a thousand times
_SURE = 3.09


class Trend(NamedTuple):
    """What a figure did while it was watched."""

    first: float  #: median of its first third
    last: float  #: and of its last
    growth: float  #: from the first sample to the last, by its slope
    sure: bool  #: whether it rises, and not by accident

    def exceeds(self, allowed: float) -> bool:
        return self.sure and self.growth > allowed


def trend(times: Sequence[float], values: Sequence[float]) -> Trend:
    """Return the trend of these samples. Errors: ValueError where there are fewer than six.

    >>> trend(range(20), [5, 9] * 10).sure, trend(range(20), range(0, 40, 2)).growth
    (False, 38.0)
    """
    if len(values) < 6:
        raise ValueError(f"{len(values)} samples tell nothing: watch for longer")
    pairs = [
        (later[0] - earlier[0], later[1] - earlier[1])
        for earlier, later in combinations(zip(times, values, strict=True), 2)
    ]
    slope = median(rise / time for time, rise in pairs if time)
    score = sum((rise > 0) - (rise < 0) for _, rise in pairs)
    third = max(2, len(values) // 3)
    return Trend(
        median(values[:third]),
        median(values[-third:]),
        slope * (times[-1] - times[0]),
        score > _SURE * _deviation(values),
    )


def _deviation(values: Sequence[float]) -> float:
    """Return the standard deviation of Kendall's score of so many samples without a trend, some of them equal."""
    count = len(values)
    ties = sum(n * (n - 1) * (2 * n + 5) for n in Counter(values).values())
    return math.sqrt((count * (count - 1) * (2 * count + 5) - ties) / 18)
