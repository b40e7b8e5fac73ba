"""When the tasks of a job were submitted: to the second, for whoever asks how old the oldest one is."""

from __future__ import annotations

from array import array
from bisect import bisect_right

_SECOND = 1_000_000  # µs


class Growth:
    """How many tasks a job had when. 16 bytes for each second in which some were submitted."""

    def __init__(self) -> None:
        self._sizes = array("q")
        self._times = array("q")

    def note(self, size: int, at: int) -> None:
        """The job has so many tasks at this time (µs since 1970 UTC).

        >>> growth = Growth()
        >>> growth.note(1, at=5_000_000), growth.note(3, at=5_200_000), growth.note(4, at=9_000_000)
        (None, None, None)
        >>> [growth.submitted(task) for task in range(4)]
        [5000000, 5000000, 5000000, 9000000]
        """
        sizes, times = self._sizes, self._times
        if sizes and sizes[-1] >= size:
            return
        if times and at - times[-1] < _SECOND:
            sizes[-1] = size
        else:
            sizes.append(size)
            times.append(at)

    def submitted(self, task: int) -> int:
        """Return when this task was submitted; 0 if that was not noted yet."""
        place = bisect_right(self._sizes, task)
        return self._times[place] if place < len(self._times) else 0
