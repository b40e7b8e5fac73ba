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
    from .adapters.client.feed import FeedStatus
    from .adapters.client.follow.subscription import AsyncSubscription, Subscription
    from .adapters.client.history.past import PastJob
    from .adapters.client.history.replays import JobReplay
    from .adapters.client.intervene.bulk import Outcome, Outcomes
    from .adapters.client.job import AsyncJob, Job
    from .adapters.client.query.selection import Selection
    from .adapters.client.read.reasons import Reasons
    from .adapters.doctor.findings import Health, HealthFinding, HealthReport
    from .adapters.feed.protocol import PublisherStatus
    from .adapters.telemetry.lines import LogRecord, LogRecords
    from .adapters.telemetry.spans import Span, SpanEvent, Spans
    from .adapters.views.protocol import ViewStatus
    from .core.context import CurrentJob, CurrentTask, FutureTask, Logger, Progress, Tracer
    from .core.events import Error, Origin, Value
    from .core.lifecycle import JobState, TaskState
    from .core.options import PolicyOptions
    from .core.task import TaskIdentifier
    from .projections.attempts import Attempt, AttemptOutcome, Source
    from .projections.clusters import Cluster, ClusterEntry
    from .projections.differences import Difference, JobDiff, TaskDiff
    from .projections.dismissals import Cause
    from .projections.history import History, HistoryEntry
    from .projections.job_changes import JobChange
    from .projections.job_view import JobError, StopRequest
    from .projections.jobs.row import JobRow
    from .projections.progress import ProgressIndicator
    from .projections.statistics import ExecutionStats
    from .projections.steps import ReplayStep, StateChange
    from .projections.tasks import Tasks, TaskView
    from .projections.vocabulary import JobStatus, Status, SubmissionStatus
    from .projections.whatif.divergences import Divergence, DivergenceKind, WhatIf
    from .projections.whatif.states import JobStates

_HOMES = {
    "AsyncJob": "jobledger.adapters.client.job",
    "AsyncSubscription": "jobledger.adapters.client.follow.subscription",
    "Attempt": "jobledger.projections.attempts",
    "AttemptOutcome": "jobledger.projections.attempts",
    "Cause": "jobledger.projections.dismissals",
    "Cluster": "jobledger.projections.clusters",
    "ClusterEntry": "jobledger.projections.clusters",
    "CurrentJob": "jobledger.core.context",
    "CurrentTask": "jobledger.core.context",
    "Difference": "jobledger.projections.differences",
    "Divergence": "jobledger.projections.whatif.divergences",
    "DivergenceKind": "jobledger.projections.whatif.divergences",
    "Error": "jobledger.core.events",
    "ExecutionStats": "jobledger.projections.statistics",
    "FeedStatus": "jobledger.adapters.client.feed",
    "FutureTask": "jobledger.core.context",
    "Health": "jobledger.adapters.doctor.findings",
    "HealthFinding": "jobledger.adapters.doctor.findings",
    "HealthReport": "jobledger.adapters.doctor.findings",
    "History": "jobledger.projections.history",
    "HistoryEntry": "jobledger.projections.history",
    "Job": "jobledger.adapters.client.job",
    "JobChange": "jobledger.projections.job_changes",
    "JobDiff": "jobledger.projections.differences",
    "JobError": "jobledger.projections.job_view",
    "JobReplay": "jobledger.adapters.client.history.replays",
    "JobRow": "jobledger.projections.jobs.row",
    "JobState": "jobledger.core.lifecycle",
    "JobStates": "jobledger.projections.whatif.states",
    "JobStatus": "jobledger.projections.vocabulary",
    "LogRecord": "jobledger.adapters.telemetry.lines",
    "LogRecords": "jobledger.adapters.telemetry.lines",
    "Logger": "jobledger.core.context",
    "Origin": "jobledger.core.events",
    "Outcome": "jobledger.adapters.client.intervene.bulk",
    "Outcomes": "jobledger.adapters.client.intervene.bulk",
    "PastJob": "jobledger.adapters.client.history.past",
    "PolicyOptions": "jobledger.core.options",
    "Progress": "jobledger.core.context",
    "ProgressIndicator": "jobledger.projections.progress",
    "PublisherStatus": "jobledger.adapters.feed.protocol",
    "Reasons": "jobledger.adapters.client.read.reasons",
    "ReplayStep": "jobledger.projections.steps",
    "Selection": "jobledger.adapters.client.query.selection",
    "Source": "jobledger.projections.attempts",
    "Span": "jobledger.adapters.telemetry.spans",
    "SpanEvent": "jobledger.adapters.telemetry.spans",
    "Spans": "jobledger.adapters.telemetry.spans",
    "StateChange": "jobledger.projections.steps",
    "Status": "jobledger.projections.vocabulary",
    "StopRequest": "jobledger.projections.job_view",
    "SubmissionStatus": "jobledger.projections.vocabulary",
    "Subscription": "jobledger.adapters.client.follow.subscription",
    "TaskDiff": "jobledger.projections.differences",
    "TaskIdentifier": "jobledger.core.task",
    "TaskState": "jobledger.core.lifecycle",
    "TaskView": "jobledger.projections.task_view",
    "Tasks": "jobledger.projections.tasks",
    "Tracer": "jobledger.core.context",
    "Value": "jobledger.core.events",
    "ViewStatus": "jobledger.adapters.views.protocol",
    "WhatIf": "jobledger.projections.whatif.divergences",
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
    "Difference",
    "Divergence",
    "DivergenceKind",
    "Error",
    "ExecutionStats",
    "FeedStatus",
    "FutureTask",
    "Health",
    "HealthFinding",
    "HealthReport",
    "History",
    "HistoryEntry",
    "Job",
    "JobChange",
    "JobDiff",
    "JobError",
    "JobReplay",
    "JobRow",
    "JobState",
    "JobStates",
    "JobStatus",
    "LogRecord",
    "LogRecords",
    "Logger",
    "Origin",
    "Outcome",
    "Outcomes",
    "PastJob",
    "PolicyOptions",
    "Progress",
    "ProgressIndicator",
    "PublisherStatus",
    "Reasons",
    "ReplayStep",
    "Selection",
    "Source",
    "Span",
    "SpanEvent",
    "Spans",
    "StateChange",
    "Status",
    "StopRequest",
    "SubmissionStatus",
    "Subscription",
    "TaskDiff",
    "TaskIdentifier",
    "TaskState",
    "TaskView",
    "Tasks",
    "Tracer",
    "Value",
    "ViewStatus",
    "WhatIf",
]


def __dir__() -> list[str]:
    return __all__
