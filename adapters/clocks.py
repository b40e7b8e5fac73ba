"""The clock by which leases are measured, on either side."""

from __future__ import annotations

import time
from functools import partial

#: seconds since some moment in the past; goes on while the machine sleeps, as a lease does, where there is such a clock
clock = partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
