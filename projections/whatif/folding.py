"""Whether a history folds to what was recorded with it."""

from __future__ import annotations

from collections.abc import Sequence

from jobledger.core import events as e
from jobledger.core.errors import DamagedLog
from jobledger.core.lifecycle import JobState

from ..history import Placed
from ..job_view import JobView
from .divergences import Divergence, DivergenceKind

#: events that say how the job stands after them
_DECLARED: dict[type, JobState] = {
    e.JobCompleted: JobState.COMPLETED,
    e.JobFailed: JobState.FAILED,
    e.DeadlineExceeded: JobState.FAILED,
    e.JobDeleted: JobState.DELETED,
}


def check_fold(view: JobView, commits: Sequence[Placed]) -> list[Divergence]:
    """Apply these commits to an empty view, and return where that comes to something else than was recorded.

    It ends with the first event that cannot be folded; the view is then as it was before.
    """
    divergences: list[Divergence] = []
    last = commits[-1] if commits else None
    for placed in commits:
        commit = placed.commit
        try:
            view.apply(placed.position, placed.version, commit)
        except DamagedLog as error:
            return [*divergences, _divergence(view, placed, DivergenceKind.FOLD, str(error))]
        unknown = sorted({str(event.tag) for event in commit.events if isinstance(event, e.UnknownEvent)})
        if unknown:
            text = (
                f"event {', '.join(unknown)} is not known, and means nothing here: a later version wrote it"
            )
            divergences.append(_divergence(view, placed, DivergenceKind.UNKNOWN_EVENT, text))
        # a commit says False as well where more was decided by then, which the next one has
        if commit.settled != view.settled and (commit.settled or placed is last):
            was, now = _settled(commit.settled), _settled(view.settled)
            text = f"the job is {now}, and was {was} when this was written"
            divergences.append(_divergence(view, placed, DivergenceKind.OUTCOME, text))
        declared = [_DECLARED[type(event)] for event in commit.events if type(event) in _DECLARED]
        # what is retried within the same commit stands elsewhere after it
        if declared and view.state is not declared[-1] and type(commit.events[-1]) in _DECLARED:
            state = view.state.name if view.state else "not there"
            text = f"the job is {state}, and was {declared[-1].name} when this was written"
            divergences.append(_divergence(view, placed, DivergenceKind.OUTCOME, text))
    return divergences


def _settled(settled: bool) -> str:
    return "settled" if settled else "not settled"


def _divergence(view: JobView, placed: Placed, kind: DivergenceKind, text: str) -> Divergence:
    return Divergence(kind, view.job.id, view.job.name, placed.version, placed.position, text)
