"""The workloads that are measured, by the names they are asked for with."""

from __future__ import annotations

from benchmarks.bench import Workload

from .chain import chain
from .cold_start import cold_start
from .fan_out import fan_out
from .flat_cost import growing_log, live_jobs
from .idle_runners import idle_runners
from .many_jobs import many_jobs
from .map_reduce import map_reduce
from .replay import replay
from .small_job import small_job

WORKLOADS: dict[str, Workload] = {
    "W1": fan_out,
    "W2": chain,
    "W3": small_job,
    "W4": many_jobs,
    "W5": map_reduce,
    "W6": replay,
    "W7": cold_start,
    "W8": idle_runners,
    "flat": growing_log,
    "live": live_jobs,
}


def chosen(names: list[str]) -> list[str]:
    """Return the keys of the workloads that are asked for, by key or by name; of all if none is.

    Errors: ValueError for what is no workload.
    """
    keys = {one.__name__: key for key, one in WORKLOADS.items()} | {key.lower(): key for key in WORKLOADS}
    wanted = []
    for name in names:
        key = keys.get(name.lower().replace("-", "_"))
        if key is None:
            raise ValueError(f"there is no workload {name!r}: there are {', '.join(keys)}")
        wanted.append(key)
    return wanted or list(WORKLOADS)
