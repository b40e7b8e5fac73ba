"""Python's cyclic garbage collector, in processes that hold many jobs.

The engine's objects end when the last reference to them does: what it keeps is trees, and whatever a request made is
gone with it. The collector only walks through them, the more often the more jobs become live, as about 60 objects of
each stay: with 10,000 live jobs a submit takes 190 µs of the engine, and 86 with it relaxed (Python 3.11; 77 without it).
It stays on: an exception now and then makes a cycle.
"""

from __future__ import annotations

import gc

#: objects made and not ended since, before the young ones are walked through: 1 to 2 ms; then how many times until the
#: next older ones are, too
_THRESHOLDS = (50_000, 20, 100)


def relax() -> None:
    """Have the collector of this process look less often, and never again at what was loaded so far.

    For processes of this package's own, once they have loaded what they are made of: in those of users it is theirs.
    """
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
