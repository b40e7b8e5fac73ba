"""Attempts as they are handed on to a process: in the form in which the engine handed them out."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter

from jobledger.core.submission import TaskSpec

from ...protocol import ClaimedJob, ClaimedTask
from ..assignment import Assignment


def claimed(assignments: list[Assignment]) -> list[ClaimedJob]:
    """Return these in their order."""
    return [_of_one_job(list(group)) for _, group in groupby(assignments, attrgetter("job_id"))]


def _of_one_job(assignments: list[Assignment]) -> ClaimedJob:
    first = assignments[0]
    specs: list[TaskSpec] = []
    places: dict[int, int] = {}  # by identity: those that were handed out together share theirs
    tasks = []
    for a in assignments:
        spec = places.get(id(a.spec))
        if spec is None:
            spec = places[id(a.spec)] = len(specs)
            specs.append(a.spec)
        tasks.append(ClaimedTask(a.task, a.attempt, spec, a.input, a.depth))
    return ClaimedJob(
        first.job_id,
        first.job_name,
        specs,
        tasks,
        [a.task for a in assignments if a.by_reference],
        first.trace,
        first.force,
        first.sealed,
        [a.place for a in assignments] if first.sealed else [],
    )
