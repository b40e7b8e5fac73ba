"""What the log says about the job: its history, folded into the numbers the demo ends with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from jobledger.core import events as e
from jobledger.core import ranges
from jobledger.data import HistoryEntry


@dataclass
class Evidence:
    """What happened to the job. Tasks are given by their numbers in it."""

    events: int = 0
    retried: bool = False
    runs: Counter[int] = field(default_factory=Counter)  #: how often each task was run, to whatever end
    failed: set[int] = field(default_factory=set)
    computed_before: set[int] = field(default_factory=set)  #: before the job was retried
    computed_after: set[int] = field(default_factory=set)
    given_back: int = 0  #: times a runner gave back a task that it had not begun
    ran_again: set[int] = field(
        default_factory=set
    )  #: although computed: given to a runner, or computed once more

    @property
    def computed(self) -> set[int]:
        return self.computed_before | self.computed_after

    @property
    def ran_twice(self) -> set[int]:
        return {task for task, runs in self.runs.items() if runs > 1}


def fold(history: Iterable[HistoryEntry]) -> Evidence:
    """Return what happened to the job, from its first event to its last."""
    seen = Evidence()
    for entry in history:
        seen.events += 1
        match entry.event:
            case e.JobRetried():
                seen.retried = True
            case e.TasksClaimed(tasks=claimed):
                seen.ran_again |= seen.computed.intersection(ranges.numbers(claimed))
            case e.TaskComputed(task=task):
                seen.runs[task] += 1
                if task in seen.computed:
                    seen.ran_again.add(task)
                (seen.computed_after if seen.retried else seen.computed_before).add(task)
            case e.TaskFailed(task=task) | e.AttemptFailed(task=task) | e.OptionalTaskFailed(task=task):
                seen.runs[task] += 1
                seen.failed.add(task)
            case e.LeaseExpired(task=task):
                seen.runs[task] += 1
            case e.TaskReleased():
                seen.given_back += 1
    return seen
