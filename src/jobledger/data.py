"""What jobs and tasks are described with: states, ids, attempts, errors, history. For annotations and comparisons.

>>> from jobledger.data import JobState, TaskView
>>> def failed(job: Job) -> list[TaskView]:
...     return list(job.tasks.filter(state=TaskState.FAILED))
>>> failed(job), job.state is JobState.COMPLETED
([], True)
"""

from __future__ import annotations

from ._lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .adapters.client.bulk import Outcome, Outcomes
    from .adapters.client.job import AsyncJob, Job
    from .adapters.client.reasons import Reasons
    from .adapters.client.selection import Selection
    from .adapters.client.subscription import AsyncSubscription, Subscription
    from .adapters.telemetry.lines import LogRecord, LogRecords
    from .adapters.telemetry.spans import Span, SpanEvent, Spans
    from .adapters.views.protocol import ViewStatus
    from .core.context import CurrentJob, CurrentTask, FutureTask, Logger, Progress, Tracer
    from .core.events import Error, Value
    from .core.lifecycle import JobState, TaskState
    from .core.options import PolicyOptions
    from .core.task import TaskIdentifier
    from .projections.attempts import Attempt, AttemptOutcome, Source
    from .projections.clusters import Cluster, ClusterEntry
    from .projections.dismissals import Cause
    from .projections.history import History, HistoryEntry
    from .projections.job_changes import JobChange
    from .projections.job_view import JobError, StopRequest
    from .projections.jobs.row import JobRow
    from .projections.progress import ProgressIndicator
    from .projections.statistics import ExecutionStats
    from .projections.tasks import Tasks, TaskView
    from .projections.vocabulary import JobStatus, Status, SubmissionStatus

_HOMES = {
    "AsyncJob": "jobledger.adapters.client.job",
    "AsyncSubscription": "jobledger.adapters.client.subscription",
    "Attempt": "jobledger.projections.attempts",
    "AttemptOutcome": "jobledger.projections.attempts",
    "Cause": "jobledger.projections.dismissals",
    "Cluster": "jobledger.projections.clusters",
    "ClusterEntry": "jobledger.projections.clusters",
    "CurrentJob": "jobledger.core.context",
    "CurrentTask": "jobledger.core.context",
    "Error": "jobledger.core.events",
    "ExecutionStats": "jobledger.projections.statistics",
    "FutureTask": "jobledger.core.context",
    "History": "jobledger.projections.history",
    "HistoryEntry": "jobledger.projections.history",
    "Job": "jobledger.adapters.client.job",
    "JobChange": "jobledger.projections.job_changes",
    "JobError": "jobledger.projections.job_view",
    "JobRow": "jobledger.projections.jobs.row",
    "JobState": "jobledger.core.lifecycle",
    "JobStatus": "jobledger.projections.vocabulary",
    "LogRecord": "jobledger.adapters.telemetry.lines",
    "LogRecords": "jobledger.adapters.telemetry.lines",
    "Logger": "jobledger.core.context",
    "Outcome": "jobledger.adapters.client.bulk",
    "Outcomes": "jobledger.adapters.client.bulk",
    "PolicyOptions": "jobledger.core.options",
    "Progress": "jobledger.core.context",
    "ProgressIndicator": "jobledger.projections.progress",
    "Reasons": "jobledger.adapters.client.reasons",
    "Selection": "jobledger.adapters.client.selection",
    "Source": "jobledger.projections.attempts",
    "Span": "jobledger.adapters.telemetry.spans",
    "SpanEvent": "jobledger.adapters.telemetry.spans",
    "Spans": "jobledger.adapters.telemetry.spans",
    "Status": "jobledger.projections.vocabulary",
    "StopRequest": "jobledger.projections.job_view",
    "SubmissionStatus": "jobledger.projections.vocabulary",
    "Subscription": "jobledger.adapters.client.subscription",
    "TaskIdentifier": "jobledger.core.task",
    "TaskState": "jobledger.core.lifecycle",
    "TaskView": "jobledger.projections.task_view",
    "Tasks": "jobledger.projections.tasks",
    "Tracer": "jobledger.core.context",
    "Value": "jobledger.core.events",
    "ViewStatus": "jobledger.adapters.views.protocol",
}
__getattr__ = lazy_names(globals(), _HOMES)
__all__ = [
    "AsyncJob",
    "AsyncSubscription",
    "Attempt",
    "AttemptOutcome",
    "Cause",
    "Cluster",
    "ClusterEntry",
    "CurrentJob",
    "CurrentTask",
    "Error",
    "ExecutionStats",
    "FutureTask",
    "History",
    "HistoryEntry",
    "Job",
    "JobChange",
    "JobError",
    "JobRow",
    "JobState",
    "JobStatus",
    "LogRecord",
    "LogRecords",
    "Logger",
    "Outcome",
    "Outcomes",
    "PolicyOptions",
    "Progress",
    "ProgressIndicator",
    "Reasons",
    "Selection",
    "Source",
    "Span",
    "SpanEvent",
    "Spans",
    "Status",
    "StopRequest",
    "SubmissionStatus",
    "Subscription",
    "TaskIdentifier",
    "TaskState",
    "TaskView",
    "Tasks",
    "Tracer",
    "Value",
    "ViewStatus",
]


def __dir__() -> list[str]:
    return __all__
