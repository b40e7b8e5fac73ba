"""What executing a job took, all tasks together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, compress
from typing import TYPE_CHECKING, NamedTuple

from jobledger.core.lifecycle import TaskState

from .utc import utc_or_none

if TYPE_CHECKING:
    from .job_view import JobView


@dataclass(frozen=True, slots=True)
class ExecutionStats:
    """The execution of a job's tasks in numbers; of a job that is not settled, so far.

    >>> InlineClient().run(Greet("world")).execution_stats
    ExecutionStats(first_task_started_at=datetime.datetime(2026, 1, 1, 0, 0, tzinfo=datetime.timezone.utc),
    last_task_stopped_at=datetime.datetime(2026, 1, 1, 0, 0, tzinfo=datetime.timezone.utc),
    compute_time=datetime.timedelta(0), elapsed_time=datetime.timedelta(0), parallelism=0.0, total_tasks=1,
    tasks_by_state={<TaskState.QUEUED: 1>: 0, ...})
    """

    first_task_started_at: datetime | None  #: aware UTC; None until a runner says that it began one
    last_task_stopped_at: datetime | None  #: aware UTC; None until one ended
    compute_time: timedelta  #: all attempts of all tasks together
    elapsed_time: timedelta  #: from the first start to the last end, or to now while tasks run
    parallelism: (
        float  #: compute time by elapsed time: how many ran at a time on average; 0 where no time passed
    )
    total_tasks: int
    tasks_by_state: dict[TaskState, int]  #: every state is a key


class Ran(NamedTuple):
    """What is known of the attempts that began, in µs; 0 where there are none."""

    first: int  #: start
    last: int  #: end
    compute: int  #: of those that ended
    running: list[int]  #: when those that run began


def ran(view: JobView) -> Ran:
    """Add up all attempts: one pass over the tasks. What a fork has taken over did not run in it."""
    attempt = view.job.attempt
    earlier = [  # than the one that `started` and `stopped` tell of
        (one.started, one.stopped)
        for task, attempts in view.ended.items()
        for one in attempts
        if one.number != attempt[task]
    ]
    times: Iterable[tuple[int, int]] = zip(view.started, view.stopped, strict=True)
    if view.sources:
        times = compress(times, (not view.taken(task) for task in range(len(attempt))))
    first = last = compute = 0
    running = []
    for started, stopped in chain(times, earlier):
        if started:
            if started < first or not first:
                first = started
            if not stopped:
                running.append(started)
            elif stopped > started:
                compute += stopped - started
        last = max(last, stopped)
    return Ran(first, last, compute, running)


def execution_stats(view: JobView) -> ExecutionStats:
    """Return the numbers of a job as of the view's `now`."""
    total, now = view.ran, view.now
    compute = total.compute + sum(max(0, now - started) for started in total.running)
    end = now if total.running else total.last
    elapsed = max(0, end - total.first) if total.first else 0
    return ExecutionStats(
        utc_or_none(total.first),
        utc_or_none(total.last),
        _length(compute),
        _length(elapsed),
        compute / elapsed if elapsed else 0.0,
        len(view.job.graph),
        view.tasks_by_state,
    )


def _length(microseconds: int) -> timedelta:
    try:
        return timedelta(microseconds=microseconds)
    except OverflowError:  # the sum of what broken clocks said
        return timedelta.max
