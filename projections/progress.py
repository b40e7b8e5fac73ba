"""How far a job has come, by the counts its tasks keep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jobledger.core.events import Progress
from jobledger.core.lifecycle import JobState, TaskState

#: states in which a task is behind its job for good
_DONE = (TaskState.COMPUTED.value, TaskState.SKIPPED.value, TaskState.FAILED_OPTIONAL.value)
_ALMOST = 99.9  # what a job that is not completed shows at most


class ProgressIndicator(NamedTuple):
    """One label's share of the work, over all tasks of a job.

    >>> class Import(Task):
    ...     rows: int
    ...
    ...     def execute(self, context: ExecutionContext) -> None:
    ...         context.progress("rows").add(self.rows)
    ...         context.progress("rows").done(self.rows // 2)
    >>> InlineClient().run(Import(8)).progress
    [ProgressIndicator(label='rows', total=8, done=4)]
    """

    label: str | None  #: None for work that was counted without a label
    total: int
    done: int


def summed(counts: Iterable[list[Progress]]) -> list[ProgressIndicator]:
    """Add up what tasks counted, each by its last execution, in the order in which labels first show up.

    >>> summed([[Progress("", 2, 1)], [Progress("tiles", 9, 0), Progress("", 1, 1)]])
    [ProgressIndicator(label=None, total=3, done=2), ProgressIndicator(label='tiles', total=9, done=0)]
    """
    sums: dict[str, list[int]] = {}
    for task in counts:
        for label, total, done in ((one.label, one.total, one.done) for one in task):
            sum_ = sums.setdefault(label, [0, 0])
            sum_[0] += total
            sum_[1] += done
    return [ProgressIndicator(label or None, total, done) for label, (total, done) in sums.items()]


def percent(state: JobState | None, indicators: Iterable[ProgressIndicator], counts: Sequence[int]) -> float:
    """Return how far a job has come, from 0 to 100: by what its tasks count, or, where they do not, by its tasks.

    It is 100 once the job is completed, and not before. It may fall: while a job runs it finds out what there is to do.
    Shape:  `counts` is how many tasks are in each state, by its value.

    >>> percent(JobState.RUNNING, [ProgressIndicator(None, 8, 2)], [])
    25.0
    """
    if state is JobState.COMPLETED:
        return 100.0
    known = list(indicators)
    total, done = sum(one.total for one in known), sum(one.done for one in known)
    if total <= 0:
        total, done = sum(counts), sum(counts[value] for value in _DONE)
    return min(_ALMOST, max(0.0, 100.0 * done / total)) if total else 0.0
