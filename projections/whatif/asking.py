"""All that is asked of one history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jobledger.core.lifecycle import JobState
from jobledger.core.task import Task

from ..history import Placed
from ..job_view import JobView
from .code import check_code
from .deciding import decide_again
from .divergences import Divergence, DivergenceKind, WhatIf
from .folding import check_fold
from .states import JobStates, compare_states, states_of


def what_if(
    view: JobView,
    commits: Sequence[Placed],
    *,
    classes: Iterable[type[Task]] | None = None,
    saved: JobStates | None = None,
) -> WhatIf:
    """Return what a history comes to. The view is to be empty, and has it afterwards.

    Shape:  `classes`: the task classes there are; None: not asked. `saved`: where the job stood before, after one of
            these commits.
    """
    until = len(commits) if saved is None else saved.version
    divergences = check_fold(view, commits[:until])
    if saved is not None:
        divergences += _compared(view, saved)
        divergences += check_fold(view, commits[until:]) if until < len(commits) else []
    divergences += decide_again(view.job.id, commits)
    folded = view.version == len(commits)
    if classes is not None and view.state not in (None, JobState.DELETED):
        divergences += check_code(view, classes)
    return WhatIf(view.job.id, view.job.name, len(commits), divergences, states_of(view) if folded else None)


def _compared(view: JobView, saved: JobStates) -> list[Divergence]:
    if view.version != saved.version:
        text = f"it was saved at version {saved.version}, and is known up to version {view.version}"
        return [_state(view, text, None, 1)]
    return [_state(view, *difference) for difference in compare_states(saved, states_of(view))]


def _state(view: JobView, text: str, task: int | None, count: int) -> Divergence:
    return Divergence(
        DivergenceKind.STATE, view.job.id, view.job.name, view.version, view.position, text, task, count
    )
