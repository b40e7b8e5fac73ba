"""Counting events: what became of tasks and jobs, by cluster and task name.

What a commit holds is noted while it is made, as little of it as it takes to count later: of a computed task, of which
there may be 50,000 a second, its number. That takes 0.1 µs. To keep the events took ten times as much: they have to be
found in memory again, by whoever counts and by Python's collector.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from jobledger.core import events as e
from jobledger.core import ranges
from jobledger.core.job import Job
from jobledger.core.lifecycle import JobState

from .figures import Histogram, Sample, Samples
from .kinds import KnownTasks

#: how an attempt ends by an event about it, and what that makes of the task, if that is its end
_ENDINGS: dict[type, tuple[str, str | None]] = {
    e.TaskComputed: ("computed", "computed"),
    e.TaskReused: ("reused", "reused"),
    e.AttemptFailed: ("retried", None),
    e.TaskFailed: ("failed", "failed"),
    e.OptionalTaskFailed: ("failed", "failed_optional"),
    e.TaskCanceled: ("canceled", "canceled"),
    e.TaskReleased: ("released", None),
    e.LeaseExpired: ("expired", None),
}
#: what becomes of tasks that never ran
_UNRUN: dict[type, str] = {
    e.TasksSkipped: "skipped",
    e.TasksCanceled: "canceled",
    e.TasksAbandoned: "abandoned",
}
_JOB_EVENTS: dict[type, str] = {
    e.JobSubmitted: "jobledger_jobs_submitted_total",
    e.JobRetried: "jobledger_jobs_retried_total",
    e.JobDeleted: "jobledger_jobs_deleted_total",
}
_OUTCOMES = {
    JobState.COMPLETED.value: "completed",
    JobState.FAILED.value: "failed",
    JobState.CANCELED.value: "canceled",
}
_COMPUTED = e.TaskComputed  # looked up for every decision
_SIZES = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)


class Contents(NamedTuple):
    """What there is to count of a commit."""

    decisions: int
    events: int
    settled: int  #: the state that the job settled in with it, 0 if it did not
    computed: list[int]  #: tasks of which a decision says that they were, and nothing else
    others: list[e.Event]  #: all other events


def contents_of(decisions: list[list[e.Event]], *, settled: int) -> Contents:
    """Return what there is to count of a commit of these decisions."""
    computed, others = [], []
    for decision in decisions:
        first = decision[0]
        if first.__class__ is _COMPUTED and len(decision) == 1:
            computed.append(first.task)
        else:
            others += decision
    return Contents(len(decisions), len(computed) + len(others), settled, computed, others)


class Tally:
    """Counts since the process began. They never fall."""

    def __init__(self, known: KnownTasks) -> None:
        self._known = known
        self._counts: dict[str, Counter[tuple[str, ...]]] = {
            name: Counter() for name in (*_JOB_EVENTS.values(), *_BY_LABELS)
        }
        for name in _JOB_EVENTS.values():
            self._counts[name][()] = 0
        for outcome in _OUTCOMES.values():
            self._counts["jobledger_jobs_settled_total"][(outcome,)] = 0
        self._claims = Histogram(_SIZES)

    def count(self, job: Job, contents: Contents) -> None:
        """Count a commit of the job, but for its computed tasks."""
        for event in contents.others:
            count = _COUNTS.get(event.__class__)
            if count is not None:
                count(self, job, event)
        outcome = _OUTCOMES.get(contents.settled)
        if outcome is not None:
            self._counts["jobledger_jobs_settled_total"][(outcome,)] += 1

    def count_computed(self, job: Job, tasks: list[int]) -> None:
        """Count these tasks of the job as computed."""
        self._ended(job, tasks, e.TaskComputed)

    def samples(self) -> Samples:
        found = {
            name: [Sample(labels, float(number)) for labels, number in counts.items()]
            for name, counts in self._counts.items()
        }
        # What has not happened yet is told as 0: a rise from nothing cannot be seen.
        expiries = self._counts["jobledger_lease_expiries_total"]
        found["jobledger_lease_expiries_total"] = [
            Sample(labels, float(expiries[labels])) for labels in self._known
        ]
        found["jobledger_claim_tasks"] = [self._claims.sample()]
        return found

    def _by_kind(self, job: Job, tasks: Iterable[int]) -> Iterator[tuple[tuple[str, str], int]]:
        for kind, number in Counter(map(job.graph.spec.__getitem__, tasks)).items():
            yield self._known.of(job.specs[kind]), number

    def _ended(self, job: Job, tasks: Iterable[int], event: type) -> None:
        ending, outcome = _ENDINGS[event]
        for labels, number in self._by_kind(job, tasks):
            self._counts["jobledger_attempts_total"][(*labels, ending)] += number
            if outcome is not None:
                self._counts["jobledger_tasks_total"][(*labels, outcome)] += number

    def _attempt(self, job: Job, event: Any) -> None:
        self._ended(job, (event.task,), event.__class__)

    def _failed(self, job: Job, event: e.TaskFailed | e.OptionalTaskFailed) -> None:
        self._attempt(job, event)
        if event.error.reason == "LeaseExpired" and event.started == event.stopped:
            self._lease(job, event)  # once too often: its runners were lost with it

    def _expired(self, job: Job, event: e.LeaseExpired) -> None:
        self._attempt(job, event)
        self._lease(job, event)

    def _lease(self, job: Job, event: Any) -> None:
        for labels, number in self._by_kind(job, (event.task,)):
            self._counts["jobledger_lease_expiries_total"][labels] += number

    def _unrun(self, job: Job, event: Any) -> None:
        outcome = _UNRUN[event.__class__]
        for labels, number in self._by_kind(job, ranges.numbers(event.tasks)):
            self._counts["jobledger_tasks_total"][(*labels, outcome)] += number

    def _claimed(self, job: Job, event: e.TasksClaimed) -> None:
        self._claims.observe(ranges.count(event.tasks))

    def _of_job(self, job: Job, event: Any) -> None:
        self._counts[_JOB_EVENTS[event.__class__]][()] += 1


_BY_LABELS = (
    "jobledger_tasks_total",
    "jobledger_attempts_total",
    "jobledger_lease_expiries_total",
    "jobledger_jobs_settled_total",
)
#: how each event counts
_COUNTS: dict[type, Callable[[Tally, Job, Any], None]] = {
    **dict.fromkeys(_ENDINGS, Tally._attempt),
    **dict.fromkeys(_UNRUN, Tally._unrun),
    **dict.fromkeys(_JOB_EVENTS, Tally._of_job),
    e.TaskFailed: Tally._failed,
    e.OptionalTaskFailed: Tally._failed,
    e.LeaseExpired: Tally._expired,
    e.TasksClaimed: Tally._claimed,
}
