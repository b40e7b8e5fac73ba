"""What jobs and tasks are described with: states, ids, attempts, errors, history."""

from __future__ import annotations

from ._lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .adapters.client.job import Job
    from .core.context import FutureTask
    from .core.events import Error
    from .core.lifecycle import JobState, TaskState
    from .core.task import TaskIdentifier
    from .projections.attempts import Attempt, AttemptOutcome
    from .projections.history import History, HistoryEntry
    from .projections.job_view import JobError
    from .projections.progress import ProgressIndicator
    from .projections.tasks import Tasks, TaskView

_HOMES = {
    "Attempt": "jobledger.projections.attempts",
    "AttemptOutcome": "jobledger.projections.attempts",
    "Error": "jobledger.core.events",
    "FutureTask": "jobledger.core.context",
    "History": "jobledger.projections.history",
    "HistoryEntry": "jobledger.projections.history",
    "Job": "jobledger.adapters.client.job",
    "JobError": "jobledger.projections.job_view",
    "JobState": "jobledger.core.lifecycle",
    "ProgressIndicator": "jobledger.projections.progress",
    "TaskIdentifier": "jobledger.core.task",
    "TaskState": "jobledger.core.lifecycle",
    "TaskView": "jobledger.projections.tasks",
    "Tasks": "jobledger.projections.tasks",
}
__getattr__ = lazy_names(globals(), _HOMES)
__all__ = [
    "Attempt",
    "AttemptOutcome",
    "Error",
    "FutureTask",
    "History",
    "HistoryEntry",
    "Job",
    "JobError",
    "JobState",
    "ProgressIndicator",
    "TaskIdentifier",
    "TaskState",
    "TaskView",
    "Tasks",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
