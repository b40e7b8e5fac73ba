"""What is told of jobs and tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..output import Output

if TYPE_CHECKING:
    from jobledger.core.events import Error
    from jobledger.projections.job_view import JobError
    from jobledger.projections.jobs import JobRow
    from jobledger.projections.task_view import TaskView

    from ...client.history.past import PastJob
    from ...client.job import Job


def facts_of(job: Job | PastJob) -> dict[str, Any]:
    """Return what `show` tells of a job."""
    error = job.error
    stats = job.execution_stats
    info = job.info
    return {
        "id": job.id,
        "name": job.name,
        "state": job.state,
        "settled": job.settled,
        "percent": job.percent,
        "waiting": _waiting(job),
        "tasks": _counts(job.tasks_by_state),
        "progress": {one.label or "progress": f"{one.done}/{one.total}" for one in job.progress},
        "submitted_at": job.submitted_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "deadline": job.deadline,
        "elapsed_time": stats.elapsed_time,
        "compute_time": stats.compute_time,
        "root_task": info["root_task"],
        "clusters": info["clusters"],
        "labels": job.labels,
        "submitted_by": info["submitted_by"],
        "origin": _origin(job),
        "on_failure": job.on_failure,
        "sealed": job.sealed,
        "error": {"task": error.task_id or None, **_error(error)} if error else None,
    }


def _origin(job: Job | PastJob) -> dict[str, Any] | None:
    """Say which job, as of which of its commits, it was forked from."""
    origin = job.origin
    return {"job": origin.job, "version": origin.version, "position": origin.position} if origin else None


def _waiting(job: Job | PastJob) -> str | None:
    """Say why nothing of the job runs; None where something does, and once it is settled."""
    from jobledger.core.lifecycle import TaskState

    counts = job.tasks_by_state
    if counts[TaskState.RUNNING] or not counts[TaskState.QUEUED]:
        return None
    queued = job.tasks.filter(TaskState.QUEUED)
    first = next((task for task in queued if task.ready), None) or next(iter(queued), None)
    return None if first is None else f"task {first.number} ({first.display}) is {first.waiting}"


def row_of(job: JobRow, output: Output) -> dict[str, Any]:
    """Return what `list` tells of a job: to people what fits a line."""
    error = job.error
    row = {
        "id": job.id,
        "name": job.name,
        "state": job.state,
        "percent": job.percent,
        "submitted_at": job.submitted_at,
        "tasks": sum(job.tasks_by_state.values()),
        "labels": job.labels,
        "error": error.reason if error else None,
    }
    if output == "table":
        return row
    return row | {
        "settled": job.settled,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "updated_at": job.updated_at,
        "tasks": _counts(job.tasks_by_state),
        "root_tasks": job.root_tasks,
        "clusters": job.clusters,
        "submitted_by": job.by,
        "error": {"task": error.task_id or None, "reason": error.reason, "message": error.message}
        if error
        else None,
    }


def task_facts(task: TaskView, output: Output) -> dict[str, Any]:
    """Return what `tasks` tells of a task."""
    error, parent = task.error, task.parent
    short = error and f"{error.reason}: {error.message}"
    # a table has no room for them
    more = (
        {}
        if output == "table"
        else {"input": _input(task), "origin": str(task.origin) if task.origin else None}
    )
    return {
        "task": task.number,
        "id": task.id,
        "name": task.name,
        "version": task.version,
        "display": task.display,
        "state": task.state,
        "attempt": task.attempt,
        "parent": parent.number if parent else None,
        "depends_on": list(task.depends_on.numbers),
        "cluster": task.cluster,
        "submitted_at": task.submitted_at,
        "started_at": task.started_at,
        "stopped_at": task.stopped_at,
        "runner": task.runner or None,
        "reused": task.reused,
        "waiting": task.waiting,
        "error": short if output == "table" or error is None else _error(error),
        **more,
    }


def _input(task: TaskView) -> Any:
    """Return the input of a task as JSON data; None also where it is in the object store, or cannot be read here."""
    from jobledger.core.errors import JobLedgerError

    try:
        return None if task.input_object is not None else task.input_json
    except JobLedgerError:
        return None


def _error(error: JobError | Error) -> dict[str, str]:
    return {"reason": error.reason, "message": error.message, "traceback": error.traceback}


def _counts(by_state: Any) -> dict[str, int]:
    return {state.name: count for state, count in by_state.items() if count}
