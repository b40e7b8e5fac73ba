"""Tasks that were computed one after the other and submitted nothing: most of any long history.

A run of them is taken in one loop, 0.6 µs an event instead of 0.9 (Python 3.11). Whatever asks for more than that is left
to `reports.computed`, which knows all there is to know about such an event.
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import events as e
from ..lifecycle import TASK_TABLE
from .state import Job
from .steps import RUNNING, follow_tasks

_COMPUTED = TASK_TABLE["compute"][RUNNING]


def computed(job: Job, events: Sequence[e.Event | e.UnknownEvent], start: int) -> int:
    """Apply the plain ones of these events from `start` on, and return where the first other one is.

    It raises nothing: an event that cannot follow is an other one.
    """
    if job.staged or job.slots or job.cancel_requests:
        return start
    claimed_by, attempt, results = job.claimed_by, job.attempt, job.results
    status, finish = job.graph.status, job.graph.finish
    done = start
    while done < len(events):
        event = events[done]
        if event.__class__ is not e.TaskComputed or event.subtasks is not None or event.reuse_key is not None:
            break
        task = event.task
        if task not in claimed_by or attempt[task] != event.attempt:
            break
        del claimed_by[task]
        status[task] = _COMPUTED
        if event.result is not None:
            results[task] = event.result
        finish(task)
        done += 1
    job.counts[RUNNING] -= done - start
    job.counts[_COMPUTED] += done - start
    if done > start and not job.counts[RUNNING]:
        follow_tasks(job)
    return done
