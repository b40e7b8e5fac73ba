"""All metrics there are: what each is called, what it tells, and by which labels.

Every sample has the label `namespace`. Those that a process counts for itself have its id, too, in the label that is
named after what it is: `engine`, `projector` or `feed`. Both are filled in where the answers are merged.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]

#: distinct pairs of cluster and task name that have figures of their own in one process; names are users' words
MOST_TASKS = 200
#: the cluster and task name under which all further ones are counted together
OTHER = "(other)"
#: characters of a label's value; what is longer is cut
LONGEST_LABEL = 100


class Metric(NamedTuple):
    """One metric. The name of a counter has its suffix `_total`."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str


_ENGINE = ("namespace", "engine")
_BY_TASK = (*_ENGINE, "cluster", "task")
_VIEW = ("namespace", "projector", "store")
_FEED = ("namespace", "feed")

_ALL = (
    # -- the queue ------------------------------------------------------------------------------------------------
    Metric(
        "jobledger_queue_tasks",
        "gauge",
        (*_BY_TASK, "status"),
        "Queued tasks of jobs that go on: `ready` to be claimed, `held` until a time, or `waiting` for other tasks.",
    ),
    Metric(
        "jobledger_queue_oldest_seconds",
        "gauge",
        _BY_TASK,
        "For how long the oldest ready task has been: since it was submitted, but no longer than its job has had ready "
        "tasks of its kind without a break. 0 where none is ready.",
    ),
    Metric("jobledger_running_tasks", "gauge", _BY_TASK, "Tasks that runners have claimed and not reported."),
    Metric(
        "jobledger_live_jobs",
        "gauge",
        (*_ENGINE, "state"),
        "Jobs in the engine's memory, by state: all that are not settled.",
    ),
    # -- what became of tasks and jobs ----------------------------------------------------------------------------
    Metric(
        "jobledger_tasks_total",
        "counter",
        (*_BY_TASK, "outcome"),
        "Tasks that ended: `computed`, `reused`, `failed`, `failed_optional`, `skipped`, `canceled`, `abandoned`. A task "
        "that is retried can end again.",
    ),
    Metric(
        "jobledger_attempts_total",
        "counter",
        (*_BY_TASK, "ending"),
        "Attempts that ended: `computed`, `reused`, `failed` for good, `retried` after a failure, `canceled`, `released` "
        "by their runner, or `expired` with its lease.",
    ),
    Metric(
        "jobledger_lease_expiries_total",
        "counter",
        _BY_TASK,
        "Attempts whose runner gave no sign of life for the length of its lease.",
    ),
    Metric("jobledger_jobs_submitted_total", "counter", _ENGINE, "Jobs that were submitted."),
    Metric(
        "jobledger_jobs_settled_total",
        "counter",
        (*_ENGINE, "outcome"),
        "Jobs that settled: `completed`, `failed`, `canceled`. One that is retried can settle again.",
    ),
    Metric("jobledger_jobs_retried_total", "counter", _ENGINE, "Retries of jobs, or of parts of them."),
    Metric("jobledger_jobs_deleted_total", "counter", _ENGINE, "Jobs that were deleted."),
    # -- runners --------------------------------------------------------------------------------------------------
    Metric("jobledger_runners", "gauge", _ENGINE, "Runners within their lease."),
    Metric("jobledger_runners_waiting", "gauge", _ENGINE, "Runners that wait for a task to become ready."),
    Metric("jobledger_exchanges_total", "counter", _ENGINE, "Exchanges with runners."),
    Metric(
        "jobledger_exchange_wait_seconds",
        "histogram",
        _ENGINE,
        "How long exchanges were held open because nothing was ready.",
    ),
    Metric(
        "jobledger_claim_tasks",
        "histogram",
        _ENGINE,
        "Tasks claimed at once: the count is that of claims, the sum that of tasks claimed.",
    ),
    Metric(
        "jobledger_reports_refused_total",
        "counter",
        (*_ENGINE, "reason"),
        "Reports of runners that were refused: `stale` from a runner that had lost the task, `unknown_job`, `invalid`, or "
        "`damaged` where the job's history is.",
    ),
    # -- the log --------------------------------------------------------------------------------------------------
    Metric(
        "jobledger_commit_seconds",
        "histogram",
        _ENGINE,
        "Time from a commit's append to its acknowledgement, which includes the log's fsync.",
    ),
    Metric("jobledger_commit_bytes", "histogram", _ENGINE, "Size of commits."),
    Metric("jobledger_commit_events", "histogram", _ENGINE, "Events in a commit."),
    Metric("jobledger_commit_decisions", "histogram", _ENGINE, "Decisions that became one commit."),
    Metric(
        "jobledger_commits_failed_total",
        "counter",
        (*_ENGINE, "reason"),
        "Commits that were not acknowledged: `conflict` where somebody else wrote to the job, `refused` where the log took "
        "none, mostly because it is full, `unacknowledged` where it did not answer.",
    ),
    Metric(
        "jobledger_unwritable_jobs",
        "gauge",
        _ENGINE,
        "Jobs of which something is decided that the log refused, mostly because it is full. It is tried again until the log takes it.",
    ),
    Metric("jobledger_log_messages", "gauge", ("namespace",), "Commits in the log."),
    Metric("jobledger_log_bytes", "gauge", ("namespace",), "Size of the log on each server that holds it."),
    Metric(
        "jobledger_log_limit_bytes",
        "gauge",
        ("namespace",),
        "Size at which the log takes no more commits; there is no such sample where the log has no limit of its own.",
    ),
    Metric(
        "jobledger_server_sync_interval_seconds",
        "gauge",
        ("namespace", "server"),
        "For how long a commit may have been acknowledged before it is on disk (fsync): 0 where none is. Of the embedded "
        "server; `jobledger doctor` asks others.",
    ),
    Metric("jobledger_log_last_position", "gauge", ("namespace",), "Position of the newest commit."),
    # -- views ----------------------------------------------------------------------------------------------------
    Metric("jobledger_view_position", "gauge", _VIEW, "Position of the log up to which the view tells."),
    Metric("jobledger_view_lag_positions", "gauge", _VIEW, "Commits the view does not tell of yet."),
    Metric(
        "jobledger_view_lag_seconds",
        "gauge",
        _VIEW,
        "Age of the oldest commit that the view does not tell of yet; 0 where it is up to date.",
    ),
    Metric(
        "jobledger_view_moves",
        "gauge",
        _VIEW,
        "1 for the projector that moves the view, 0 for one that stands by.",
    ),
    Metric(
        "jobledger_view_open",
        "gauge",
        ("namespace", "projector"),
        "1 while the projector has its view open, 0 while its database or the log is away.",
    ),
    # -- the feed -------------------------------------------------------------------------------------------------
    Metric(
        "jobledger_feed_position", "gauge", _FEED, "Position of the log up to which the feed was published."
    ),
    Metric("jobledger_feed_lag_positions", "gauge", _FEED, "Commits the feed does not tell of yet."),
    Metric(
        "jobledger_feed_lag_seconds",
        "gauge",
        _FEED,
        "Age of the oldest commit that the feed does not tell of yet; 0 where it is up to date.",
    ),
    Metric(
        "jobledger_feed_publishing",
        "gauge",
        _FEED,
        "1 for the publisher that publishes, 0 for one that stands by, or cannot.",
    ),
    # -- processes ------------------------------------------------------------------------------------------------
    Metric(
        "jobledger_engine_serving",
        "gauge",
        _ENGINE,
        "1 for an engine that serves, 0 for one that stands by.",
    ),
    Metric(
        "jobledger_engine_partitions",
        "gauge",
        _ENGINE,
        "Partitions of the log that the engine owns: all of them together are what the log is divided into.",
    ),
    Metric(
        "jobledger_processes",
        "gauge",
        ("namespace", "kind"),
        "Processes that answered, by what they are; only where the metrics of a whole namespace are asked for.",
    ),
    Metric(
        "jobledger_process_start_time_seconds",
        "gauge",
        ("namespace", "kind", "process"),
        "When the process began, in seconds since 1970 UTC.",
    ),
    Metric(
        "jobledger_build_info",
        "gauge",
        ("namespace", "kind", "process", "version", "python"),
        "Always 1: what the process runs is in the labels.",
    ),
)

METRICS = {metric.name: metric for metric in _ALL}
